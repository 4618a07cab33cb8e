"""Outcomes are what a price did within each horizon; what is not known yet is NaN."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings

from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES
from spot_optimizer.forecast.training_labels import Outcomes, compute_outcomes
from spot_optimizer.market.cleaning import PriceRow
from tests.market.price_strategies import POOLS, START_S, merged, rows_within

HOUR_S = 3_600
POOL = POOLS[0]


def outcomes(rows: Iterable[tuple[float, float]], at_h: int, known_until_h: int) -> Outcomes:
    """Outcomes of one pool at one hour."""
    changes = merged([(POOL, START_S + round(h * HOUR_S), price) for h, price in rows])
    times = np.array([START_S + at_h * HOUR_S])
    return compute_outcomes(changes, times, START_S + known_until_h * HOUR_S)


def test_moves_and_changes_are_those_by_the_end_of_each_horizon() -> None:
    """Up after 3 h and back after 8: a change within 6, 12 and 24 h, a move at 6 h only."""
    actual = outcomes([(0, 0.10), (13, 0.11), (18, 0.10)], at_h=10, known_until_h=40)
    assert actual.changed[:, 0, 0].tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(actual.move[:, 0, 0], [0, np.log(1.1), 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("price", "rose"), [(0.1030, [1, 1]), (0.1029, [0, 1]), (0.1010, [0, 1]), (0.1009, [0, 0])]
)
def test_rise_counts_from_its_level_on_at_any_time_within_12_h(
    price: float, rose: list[int]
) -> None:
    """Exactly 3 % and 1 % count, although the price falls back before the 12 h are over."""
    actual = outcomes([(0, 0.10), (15.5, price), (20, 0.09)], at_h=10, known_until_h=40)
    assert actual.rose[:, 0, 0].tolist() == rose
    leads = [5.5 if yes else np.nan for yes in rose]
    np.testing.assert_array_equal(actual.rise_lead_h[:, 0, 0], leads)


def test_rise_after_12_h_does_not_count() -> None:
    """The horizon has ended."""
    actual = outcomes([(0, 0.10), (22.5, 0.2)], at_h=10, known_until_h=40)
    assert not actual.rose.any()
    assert np.isnan(actual.rise_lead_h).all()


def test_outcome_is_unknown_if_the_horizon_ends_after_the_recording() -> None:
    """Known for 6 h: outcomes of 1 and 6 h, none of 12 and 24, no rises."""
    actual = outcomes([(0, 0.10), (11.5, 0.2)], at_h=10, known_until_h=16)
    assert np.isfinite(actual.move[:, 0, 0]).tolist() == [True, True, False, False]
    assert np.isfinite(actual.changed[:, 0, 0]).tolist() == [True, True, False, False]
    assert np.isnan(actual.rose).all()


@settings(deadline=None, max_examples=40)
@given(rows_within(3 * 86_400))
def test_known_outcomes_do_not_depend_on_later_prices(rows: list[PriceRow]) -> None:
    """An outcome that was learned never changes."""
    until_s = START_S + 2 * 86_400
    opening = [(pool, START_S, 0.2) for pool in POOLS]
    later = [row for row in rows if row[1] > START_S]
    known = [row for row in later if row[1] <= until_s]
    times = START_S + np.arange(1, 48, 5) * HOUR_S
    whole, part = (compute_outcomes(merged(opening, r), times, until_s) for r in (later, known))
    for name in ("move", "changed", "rose"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(part, name))
    assert whole.move.shape == (len(HORIZONS_H), len(POOLS), len(times))
    assert whole.rose.shape[0] == len(RISES)
