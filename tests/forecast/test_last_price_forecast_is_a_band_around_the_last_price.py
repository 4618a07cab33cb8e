"""Without a model the last price is forecast, with a band as wide as past moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.forecast.forecaster import unknown_instability
from spot_optimizer.forecast.last_price import LastPrice, _row_quantile
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool
from tests.market.price_strategies import POOLS, START_S, merged, rows_within

HOUR_S = 3_600
DAY_S = 86_400
RESTLESS, QUIET, YOUNG = POOLS


@given(rows_within(3 * DAY_S), st.integers(START_S, START_S + 3 * DAY_S))
def test_quantiles_are_ordered_positive_and_on_ticks(rows: list[PriceRow], at_s: int) -> None:
    """p05 <= last <= p95 for every pool, in steps of 0.0001 USD, and never 0."""
    changes = merged(rows)
    forecast = LastPrice().forecast(changes, at_s, HOUR_S)
    known = np.isfinite(changes.price_at(at_s))
    low, high, last = forecast.p05[known], forecast.p95[known], forecast.p50[known]
    assert (low > 0).all()
    assert (low <= last).all()
    assert (last <= high).all()
    for band in (low, high):
        np.testing.assert_array_equal(band, np.round(band, 4))
    np.testing.assert_array_equal(forecast.p50, changes.price_at(at_s))
    np.testing.assert_array_equal(forecast.mean, forecast.p50)


@pytest.mark.parametrize("price", [0.00003, 0.10004, 0.10006])
def test_band_contains_a_price_between_ticks(price: float) -> None:
    """Rounding to ticks neither excludes the last price nor makes a limit 0."""
    changes = merged([(QUIET, START_S, price)])
    forecast = LastPrice().forecast(changes, START_S + 2 * DAY_S, HOUR_S)
    assert 0 < forecast.p05[0] <= price <= forecast.p95[0]


def test_band_is_the_last_price_with_too_little_history() -> None:
    """A handful of moves is not enough for a band."""
    changes = merged([(RESTLESS, START_S, 0.1), (RESTLESS, START_S + HOUR_S, 0.2)])
    forecast = LastPrice().forecast(changes, START_S + 2 * HOUR_S, HOUR_S)
    for column in (forecast.p05, forecast.p50, forecast.p95, forecast.mean):
        assert column.tolist() == [0.2]


def swinging(pool: Pool, hours: int, low: float, high: float, every: int = 1) -> list[PriceRow]:
    """A pool that alternates between two prices every hour, or every few."""
    steps = range(0, hours, every)
    return [(pool, START_S + HOUR_S * h, (low, high)[k % 2]) for k, h in enumerate(steps)]


def test_own_moves_weigh_by_the_number_of_own_changes() -> None:
    """More than 5 % of the pool's hours doubled its price, less than 5 % of all hours did: 19
    changes make 19/39 of a doubling, and none make none."""
    changes = merged(swinging(RESTLESS, 160, 0.1, 0.2, every=8), [(QUIET, START_S, 0.1)])
    forecast = LastPrice().forecast(changes, START_S + 159 * HOUR_S + 60, HOUR_S)
    factor = 2 ** (19 / 39)
    np.testing.assert_allclose(forecast.p95, [0.2 * factor, 0.1], atol=0.0001)
    np.testing.assert_allclose(forecast.p05, [0.2 / factor, 0.1], atol=0.0001)


def test_quiet_pool_takes_its_band_from_the_others() -> None:
    """A pool without moves of its own may still move as others did."""
    changes = merged(swinging(RESTLESS, 100, 0.1, 0.2), [(QUIET, START_S, 0.1)])
    forecast = LastPrice().forecast(changes, START_S + 99 * HOUR_S + 60, HOUR_S)
    np.testing.assert_allclose(forecast.p95[1], 0.2, atol=0.0001)


def test_band_of_a_swinging_pool_contains_its_swing() -> None:
    """From the low price, the high price follows an hour later: p95 must come near it."""
    changes = merged(swinging(RESTLESS, 101, 0.1, 0.2))
    forecast = LastPrice().forecast(changes, START_S + 100 * HOUR_S + 60, HOUR_S)
    assert forecast.p50.tolist() == [0.1]
    np.testing.assert_allclose(forecast.p95, [0.2], atol=0.0001)


def test_moves_older_than_a_week_do_not_count() -> None:
    """A market that calmed down is calm."""
    changes = merged(swinging(RESTLESS, 48, 0.1, 0.2))
    forecast = LastPrice().forecast(changes, START_S + 10 * DAY_S, HOUR_S)
    assert forecast.p05.tolist() == forecast.p95.tolist() == [0.2]


def test_pool_without_a_price_has_no_forecast() -> None:
    """Unknown stays unknown instead of becoming 0."""
    changes = merged(swinging(RESTLESS, 100, 0.1, 0.2), [(YOUNG, START_S + 30 * DAY_S, 0.1)])
    forecast = LastPrice().forecast(changes, START_S + 100 * HOUR_S, HOUR_S)
    assert np.isnan([forecast.p05[1], forecast.p50[1], forecast.p95[1], forecast.mean[1]]).all()


@given(st.data())
def test_row_quantiles_equal_those_of_numpy(data: st.DataObject) -> None:
    """Excluding unknown values by hand gives what nanquantile gives."""
    value = st.one_of(st.just(np.nan), st.floats(-1, 1))
    row = st.lists(value, min_size=7, max_size=7)
    values = np.array(data.draw(st.lists(row, min_size=1, max_size=4)))
    level = data.draw(st.sampled_from([0.05, 0.5, 0.95]))
    expected = [
        np.quantile(known, level) if len(known := row[np.isfinite(row)]) else 0.0 for row in values
    ]
    np.testing.assert_allclose(_row_quantile(values, level), expected, atol=1e-12)


def test_empty_market_has_an_empty_forecast() -> None:
    """No pools are not an error."""
    assert LastPrice().forecast(PriceChanges(), START_S, HOUR_S).p50.shape == (0,)
    assert unknown_instability(PriceChanges()).shape == (0,)


def test_instability_is_one_half_without_a_model() -> None:
    """Every pool has instability 0.5 if no model forecasts it."""
    assert unknown_instability(merged([(QUIET, START_S, 0.1)])).tolist() == [0.5]
