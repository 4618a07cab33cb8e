"""Bills by hand: steps of the price, switches billed twice, work lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.billing import HOUR_S, Terms, bill, hourly_means, spot_usd
from backtest.policies.contract import walk
from backtest.tally import Weeks, tally
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool
from tests.backtest.replays import by_hand


def test_a_change_within_the_hour_is_billed_from_its_second() -> None:
    """20 minutes at 0.06 and 40 at 0.03 are 0.04 USD; before the first price nothing is known."""
    times, prices = np.array([0, 1_200]), np.array([0.06, 0.03])
    assert spot_usd(times, prices, 0, HOUR_S) == pytest.approx(0.02 + 0.02)
    assert spot_usd(times, prices, 900, 1_500) == pytest.approx((300 * 0.06 + 300 * 0.03) / 3_600)
    assert np.isnan(spot_usd(times, prices, -1, HOUR_S))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 40_000), st.integers(1, 500)),
        min_size=1,
        max_size=40,
    )
)
def test_hours_of_many_pools_are_billed_like_each_alone(rows: list[tuple[int, int, int]]) -> None:
    """The table of all pools and hours holds what ``spot_usd`` says of each pool and hour."""
    pools = [Pool("m5.large", f"us-east-1{letter}") for letter in "abc"]
    changes, _ = PriceChanges().merge([(pools[p], t, c / 1000) for p, t, c in rows], {})
    table = hourly_means(changes, 3_000, 12)
    assert table.shape == (12, len(changes.pools))
    for column in range(len(changes.pools)):
        own = slice(changes.first_row[column], changes.first_row[column + 1])
        for hour in range(12):
            begin = 3_000 + hour * HOUR_S
            alone = spot_usd(changes.time_s[own], changes.price[own], begin, begin + HOUR_S)
            assert table[hour, column] == pytest.approx(alone, nan_ok=True)


def test_a_switch_is_billed_twice_and_an_interruption_loses_work() -> None:
    """From 0.05 to 0.03 with half an hour of overlap, then interrupted at eight hours of 0.10."""
    starts = by_hand([[0.05, 0.03], [0.05, 0.03], [0.05, 0.03]], 0.10, first=0, hits={1: 1})
    paths = walk(starts, lambda look: np.where(look.interrupted, 0, 1))
    case = starts.case
    hit = np.array([[False, True, False]])
    billed = bill(paths, starts.steps, case.price, case.billed, hit, 0.10, Terms(0.5, 0.1, 8.0))
    assert billed.running.tolist() == [[0.03, 0.03, 0.05]]
    assert billed.switches[0].tolist() == pytest.approx([0.5 * 0.05 + 0.1 * 0.10, 0, 0])
    assert billed.interruptions[0].tolist() == pytest.approx([0, 0.8, 0])


def test_a_tally_adds_up_to_the_bill() -> None:
    """Parts, weeks and sum agree, and switches and interruptions are counted."""
    starts = by_hand([[0.05, 0.03]] * 4, 0.10, first=0, hits={1: 1})
    paths = walk(starts, lambda look: np.where(look.interrupted, 0, 1))
    made = tally([starts], [paths], 8.0, Weeks.of([starts]))
    parts = made.running_usd + made.switches_usd + made.interruptions_usd
    assert made.usd == pytest.approx(parts)
    assert made.weekly_usd.sum(axis=1) == pytest.approx(made.usd)
    assert (made.switches[0], made.interruptions[0]) == (2, 1)
    assert made.first_hour_saved / made.first_hour_reachable == pytest.approx(1.0)
    assert made.highest_price_fraction == pytest.approx(0.5)
