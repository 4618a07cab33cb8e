"""Volatility is exact for the piecewise constant price, not for samples of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.market.volatility import rise_volatility, rise_volatility_worst, volatility
from tests.market.price_strategies import POOLS, START_S, merged, prices, rows_within

SPAN_S = 600
moments = st.integers(START_S - 50, START_S + SPAN_S + 50)
windows = st.integers(1, SPAN_S + 100)


def every_second(changes: PriceChanges, at_s: int, window_s: int) -> list[Floats]:
    """The price of each pool in each second of the window in which it had one."""
    grid = changes.grid(at_s - window_s, at_s, step_s=1)
    return [row[np.isfinite(row)] for row in grid]


def expected(series: Floats, is_known: bool) -> float:
    """Standard deviation / mean of pieces of equal length; 0 if no time has passed."""
    if not is_known:
        return np.nan
    return float(np.std(series) / np.mean(series)) if len(series) else 0.0


@given(rows_within(SPAN_S), moments, windows)
def test_volatility_equals_the_brute_force_figure(
    rows: list[PriceRow], at_s: int, window_s: int
) -> None:
    """All seconds of the window, one by one, give the same figure."""
    changes = merged(rows)
    brute = [
        expected(series, since <= at_s)
        for series, since in zip(
            every_second(changes, at_s, window_s), changes.known_since_s, strict=True
        )
    ]
    np.testing.assert_allclose(volatility(changes, at_s, window_s), brute, atol=1e-9)


@given(rows_within(SPAN_S), moments, windows)
def test_rise_volatility_equals_the_brute_force_figure(
    rows: list[PriceRow], at_s: int, window_s: int
) -> None:
    """The opening price and all rises since, second by second, give the same figure."""
    changes = merged(rows)
    brute = []
    for series, since in zip(
        every_second(changes, at_s, window_s), changes.known_since_s, strict=True
    ):
        rises = np.maximum(np.diff(series), 0)
        risen = series[:1] + np.concatenate(([0.0], np.cumsum(rises)))[: len(series)]
        brute.append(expected(risen, since <= at_s))
    np.testing.assert_allclose(rise_volatility(changes, at_s, window_s), brute, atol=1e-9)


@given(st.lists(prices, min_size=1, max_size=20), windows)
def test_falling_price_has_no_rise_volatility(series: list[float], window_s: int) -> None:
    """Falls do not make a pool unsafe: exactly 0, not almost."""
    falling = sorted(set(series), reverse=True)
    changes = merged([(POOLS[0], START_S + 13 * k, price) for k, price in enumerate(falling)])
    assert rise_volatility(changes, START_S + SPAN_S, window_s).tolist() == [0.0]


@given(st.lists(prices, min_size=1, max_size=20), windows)
def test_rising_price_has_its_plain_volatility(series: list[float], window_s: int) -> None:
    """Without falls both figures are equal."""
    changes = merged([(POOLS[0], START_S + 13 * k, p) for k, p in enumerate(sorted(set(series)))])
    at_s = START_S + SPAN_S
    np.testing.assert_allclose(
        rise_volatility(changes, at_s, window_s), volatility(changes, at_s, window_s), atol=1e-9
    )


@given(rows_within(SPAN_S), rows_within(SPAN_S), moments, windows)
def test_volatility_does_not_depend_on_later_prices(
    rows: list[PriceRow], other: list[PriceRow], at_s: int, window_s: int
) -> None:
    """Prices after the moment have no influence."""
    past = [(pool, START_S, 0.2) for pool in POOLS] + [r for r in rows if START_S < r[1] <= at_s]
    known = merged(past)
    with_future = merged(past, [row for row in other if row[1] > max(at_s, START_S)])
    for figure in (volatility, rise_volatility):
        np.testing.assert_array_equal(
            figure(with_future, at_s, window_s), figure(known, at_s, window_s)
        )


@given(rows_within(SPAN_S * 10), st.integers(0, 120))
def test_worst_recent_volatility_is_the_highest_of_all_samples(
    rows: list[PriceRow], minutes: int
) -> None:
    """A pool counts as safe only if it was safe at every sample, the oldest included."""
    changes, at_s = merged(rows), START_S + SPAN_S * 10
    times_s = [at_s - 300 * k for k in range(minutes // 5 + 1)] + [at_s - 60 * minutes]
    figures = [rise_volatility(changes, time_s, 3_600) for time_s in times_s]
    worst = rise_volatility_worst(changes, at_s, 3_600, minutes)
    np.testing.assert_array_equal(worst, np.fmax.reduce(figures))


def test_worst_recent_volatility_includes_a_rise_that_left_the_window() -> None:
    """A rise a day and a minute ago is out of the window now, but was in it within the last half
    hour."""
    day_s = 86_400
    changes = merged([(POOLS[0], START_S, 0.1), (POOLS[0], START_S + 60, 0.4)])
    at_s = START_S + 60 + day_s + 60
    assert rise_volatility(changes, at_s, day_s).tolist() == [0.0]
    assert rise_volatility_worst(changes, at_s, day_s, 30)[0] > 0


def test_market_without_pools_has_no_volatility() -> None:
    """An empty market is not an error."""
    assert rise_volatility_worst(PriceChanges(), START_S, 3_600, 30).shape == (0,)


def test_window_without_length_is_refused() -> None:
    """The message names the value."""
    with pytest.raises(ValueError, match="window_s = 0"):
        volatility(PriceChanges(), START_S, 0)
