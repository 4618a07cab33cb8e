"""A price history answers as the plain list of its changes would."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.market.history import Pool, PriceHistory

A = Pool("m5.large", "us-east-1a")
B = Pool("m5.large", "us-east-1b")
POOLS = (A, B)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
EPOCH_S = int(EPOCH.timestamp())

Row = tuple[int, int, float]
ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(1, 9).map(lambda p: p / 100)),
    min_size=1,
    max_size=40,
)


def history_of(rows: list[Row], hours_after: int = 100) -> PriceHistory:
    """Rows of (pool, hour, price); the history ends `hours_after` the epoch."""
    pool, hour, price = zip(*rows, strict=True)
    time_s = [EPOCH_S + h * 3600 for h in hour]
    return PriceHistory.from_rows(
        POOLS, pool, time_s, price, end=EPOCH + timedelta(hours=hours_after)
    )


def at(hour: float) -> datetime:
    return EPOCH + timedelta(hours=hour)


def plain_price(rows: list[Row], pool: int, hour: float) -> float | None:
    """The last given price of the latest hour up to `hour`."""
    past = [(h, position, price) for position, (p, h, price) in enumerate(rows) if p == pool]
    past = [row for row in past if row[0] <= hour]
    return max(past)[2] if past else None


@given(ROWS, st.integers(-1, 14))
def test_price_at_is_the_newest_row_up_to_then(rows: list[Row], hour: int) -> None:
    """Whatever the order and duplicates, the price is the newest row's, None before the first."""
    history = history_of(rows)
    for position, pool in enumerate(POOLS):
        for moment in (hour, hour + 0.5):
            assert history.price_at(pool, at(moment)) == plain_price(rows, position, moment)


@given(ROWS)
def test_changes_ascend_and_each_changes_the_price(rows: list[Row]) -> None:
    """Changes are strictly ascending in time, never repeat a price, and cannot be written to."""
    history = history_of(rows)
    for pool in history.pools:
        time_s, price = history.changes(pool)
        assert (np.diff(time_s) > 0).all()
        assert (np.diff(price) != 0).all()
        assert not time_s.flags.writeable
        assert not price.flags.writeable


@given(ROWS, st.integers(0, 14), st.integers(1, 14), st.sampled_from([0.001, 0.5, 1.0, 2.5]))
def test_surge_multiplies_the_price_inside_its_window_only(
    rows: list[Row], first: int, length: int, factor: float
) -> None:
    """Inside the window every price is the market's times the factor; elsewhere it is untouched."""
    rows = [*rows, (0, 0, 0.05)]
    history = history_of(rows)
    last = first + length
    surged = history.with_price_surge([A], at(first), at(last), factor)
    for hour in np.arange(0, 30, 0.5):
        base = history.price_at(A, at(hour))
        assert base is not None
        expected = max(round(base * factor, 4), 0.0001) if first <= hour < last else base
        assert surged.price_at(A, at(hour)) == pytest.approx(expected, abs=1e-12)
        assert surged.price_at(B, at(hour)) == history.price_at(B, at(hour))
    assert surged.end == history.end


@given(ROWS)
def test_restricted_history_is_the_same_for_what_remains(rows: list[Row]) -> None:
    """Restricting keeps the changes and the end of the pools named, and no other pool."""
    history = history_of(rows)
    kept = history.pools[0]
    alone = history.restrict([kept])
    assert alone.pools == (kept,)
    assert alone.end == history.end
    for before, after in zip(history.changes(kept), alone.changes(kept), strict=True):
        assert before.tolist() == after.tolist()


@given(ROWS)
def test_hourly_grid_agrees_with_single_answers(rows: list[Row]) -> None:
    """The grid of prices is what price_at says for each pool and hour, NaN for None."""
    history = history_of(rows)
    grid = history.prices_on(np.arange(EPOCH_S, EPOCH_S + 15 * 3600, 3600))
    for row, pool in enumerate(history.pools):
        single = [history.price_at(pool, at(hour)) for hour in range(15)]
        assert grid[row].tolist() == pytest.approx(
            [np.nan if price is None else price for price in single], nan_ok=True
        )


def test_history_ends_when_the_last_row_was_seen() -> None:
    """A re-stated price is no change but shows that the history still held then."""
    history = PriceHistory.from_rows([A], [0, 0], [EPOCH_S, EPOCH_S + 86_400], [0.05, 0.05])
    assert history.changes(A)[0].tolist() == [EPOCH_S]
    assert history.start == EPOCH
    assert history.end == at(24)


@pytest.mark.parametrize("price", [0.0, -0.01, float("nan"), float("inf")])
def test_impossible_price_is_refused_by_name(price: float) -> None:
    """A price that cannot be charged is refused with the field, the value and the pool."""
    with pytest.raises(ValueError, match=r"spot_usd_per_hour: .* row 1 \(m5\.large/us-east-1b\)"):
        history_of([(0, 0, 0.1), (1, 0, price)])


def test_bad_questions_name_the_field() -> None:
    """Unknown pools, naive times, empty windows and impossible factors are refused by name."""
    history = history_of([(0, 0, 0.1)])
    with pytest.raises(KeyError, match=r"us-east-1b"):
        history.changes(B)
    with pytest.raises(ValueError, match=r"^pools: m5.large/us-east-1b"):
        history.restrict([B])
    with pytest.raises(ValueError, match=r"^when: .* no time zone"):
        history.price_at(A, datetime(2024, 1, 1))
    with pytest.raises(ValueError, match=r"^end: "):
        history.with_price_surge([A], at(2), at(2), 2.0)
    with pytest.raises(ValueError, match=r"^factor: -1"):
        history.with_price_surge([A], at(1), at(2), -1)
    with pytest.raises(ValueError, match=r"^start, end: "):
        history.with_price_surge([A], at(1), at(101), 2.0)
    with pytest.raises(ValueError, match=r"^pool_index: 2 "):
        history_of([(2, 0, 0.1)])
    with pytest.raises(ValueError, match=r"^pools: "):
        PriceHistory.from_rows([A, A], [0], [EPOCH_S], [0.1])
    assert history.price_at(B, EPOCH) is None
