"""The figures of a market, on markets small enough to count by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from simulator.market.history import Pool, PriceHistory
from simulator.market.statistics import market_statistics

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
MOVING = Pool("m5.large", "us-east-1a")
IDLE = Pool("m5.large", "us-east-1b")


def small_market() -> PriceHistory:
    """One pool that rises at 6, 12 and 24 h and falls at 30 h, and one that never changes."""
    hours = [0, 6, 12, 24, 30, 0]
    return PriceHistory.from_rows(
        [MOVING, IDLE],
        [0, 0, 0, 0, 0, 1],
        [int(EPOCH.timestamp()) + hour * 3600 for hour in hours],
        [0.0100, 0.0101, 0.0102, 0.0204, 0.0102, 0.0300],
        end=EPOCH + timedelta(days=4),
    )


def test_counted_figures_are_those_of_a_hand_count() -> None:
    """Changes, idle pools, gaps, sizes, signs and rises of a market of five rows."""
    figures = market_statistics(small_market(), {"m5.large": 0.1})
    assert (figures.pools, figures.days, figures.changes) == (2, 4.0, 4)
    assert figures.changed_pool_hours_fraction == pytest.approx(4 / (2 * 96))
    assert figures.idle_pools_fraction == 0.5
    assert figures.gap_under_8_h_fraction == pytest.approx(2 / 3)
    assert figures.gap_8_to_16_h_fraction == pytest.approx(1 / 3)
    assert figures.single_tick_fraction == 0.5
    assert figures.sign_agreement_fraction == pytest.approx(2 / 3)
    assert figures.size_p99 > 0.9
    # 12 hours look ahead from each of hours 0 to 84: those from 12 to 23 see the doubling.
    assert figures.rise_fraction == pytest.approx(12 / (2 * 85))
    assert figures.price_ratio_p50 == pytest.approx((0.102 + 0.3) / 2)


def test_siblings_that_move_together_correlate_fully() -> None:
    """Two zones of one type with the same returns correlate by 1, opposite strangers by -1."""
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.normal(0, 0.01, 80))
    pools = [MOVING, IDLE, Pool("c5.large", "us-east-1c")]
    hours = np.arange(80) * 6
    history = PriceHistory.from_rows(
        pools,
        np.repeat([0, 1, 2], 80),
        np.tile(int(EPOCH.timestamp()) + hours * 3600, 3),
        np.exp(np.concatenate((walk, walk + 1, -walk))),
    )
    figures = market_statistics(history)
    assert figures.same_type_correlation == pytest.approx(1.0)
    assert figures.stranger_correlation == pytest.approx(-1.0)
    assert figures.price_ratio_p50 is None


def test_too_short_a_history_is_refused() -> None:
    """Daily returns need two days."""
    history = PriceHistory.from_rows([MOVING], [0], [0], [1.0])
    with pytest.raises(ValueError, match=r"^history: spans 0\.00 days"):
        market_statistics(history)
