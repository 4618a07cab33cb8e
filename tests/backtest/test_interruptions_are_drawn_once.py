"""All policies meet the same interruptions."""

import numpy as np
import pytest

from backtest.hazards import (
    bucket_of_share,
    draw_hits,
    rate_of_share,
    rates_of_advisor,
)
from backtest.starts import run_hours, starts_of
from spot_optimizer.vocabulary import Pool
from tests.backtest.replays import case, period, recorded

POOLS = [Pool("m5.large", "us-east-1a"), Pool("c5.large", "us-east-1b")]


def _draw(pools: list[Pool], rate: float, runs: int = 4) -> np.ndarray:
    return draw_hits(pools, np.full(len(pools), rate), 0, 500, runs, seed=3)


def test_a_pool_is_hit_alike_whatever_else_is_in_the_market() -> None:
    """Another file, other pools or another order do not move a draw."""
    both, one = _draw(POOLS, 0.05), _draw(POOLS[1:], 0.05)
    assert np.array_equal(both[:, :, 1], one[:, :, 0])
    assert np.array_equal(_draw(POOLS[::-1], 0.05)[:, :, [1, 0, 2]], both)


def test_a_higher_rate_only_adds_interruptions() -> None:
    """The uniform number is the same; what was hit stays hit."""
    few, many = _draw(POOLS, 0.02), _draw(POOLS, 0.2)
    assert few.any()
    assert not (few & ~many).any()


def test_runs_have_draws_of_their_own() -> None:
    """One unlucky hour does not meet all runs."""
    hits = _draw(POOLS, 0.2)
    assert not np.array_equal(hits[0], hits[1])


def test_draws_of_one_start_differ_in_nothing_else() -> None:
    """Hour and pool are the same, the interruptions are not."""
    of = period(recorded())
    hits = draw_hits(of.pools, np.full(len(of.pools), 0.2), 0, run_hours(of.hours), 6, seed=3)
    starts = starts_of(case(of), hits, draws=3, seed=3)
    for same in (starts.hour, starts.place):
        assert same.reshape(2, 3).std(axis=1).tolist() == [0, 0]
    assert starts.hour[0] != starts.hour[3]
    assert not np.array_equal(starts.hits_of(0, 3)[0], starts.hits_of(0, 3)[1])


def test_on_demand_is_never_hit() -> None:
    """It is the last place."""
    assert _draw(POOLS, 5.0)[:, :, :-1].mean() > 0.9
    assert not _draw(POOLS, 5.0)[:, :, -1].any()


def test_a_share_a_month_is_met_within_the_month() -> None:
    """10 % in 730 hours, and the bucket that says so; the advisor's bucket 1 is 7.5 %."""
    print("seed 3")
    assert 1 - np.exp(-rate_of_share(0.1) * 730) == pytest.approx(0.1)
    assert [bucket_of_share(s) for s in (0, 0.04, 0.05, 0.12, 0.19, 0.2, 0.9)] == [
        0,
        0,
        1,
        2,
        3,
        4,
        4,
    ]
    rates = rates_of_advisor(POOLS, {"m5.large": 1})
    assert 1 - np.exp(-rates * 730) == pytest.approx([0.075, 0.125])
    many = draw_hits(POOLS[:1], rates[:1], 0, 730, 4_000, seed=3)[:, :, 0].any(axis=1).mean()
    assert many == pytest.approx(0.075, abs=0.015)
