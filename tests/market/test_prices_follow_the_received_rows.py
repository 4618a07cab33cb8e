"""In whatever order rows arrive, the series gives the price at every moment."""

import io
import zipfile
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool
from tests.market.price_strategies import POOLS, START_S, merged, rows_within

DAY_S = 86_400
A, B, C = POOLS


def believed_price(rows: list[PriceRow], pool: Pool, time_s: int) -> float:
    """The price of the pool's last row up to a time: the meaning of AWS's answer."""
    known = [(t, price) for p, t, price in rows if p == pool and t <= time_s]
    return max(known)[1] if known else np.nan


@given(rows_within(DAY_S), st.integers(START_S - 10, START_S + DAY_S + 10))
def test_price_at_any_time_is_the_last_row_before_it(rows: list[PriceRow], time_s: int) -> None:
    """Dropping restated prices loses no price."""
    changes = merged(rows)
    expected = [believed_price(rows, pool, time_s) for pool in changes.pools]
    np.testing.assert_array_equal(changes.price_at(time_s), expected)


@given(rows_within(DAY_S), st.data())
def test_merging_in_any_order_and_portions_gives_the_same_series(
    rows: list[PriceRow], data: st.DataObject
) -> None:
    """Back-fill adds old rows after new ones, and the result must not depend on that."""
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    edges = [0, *cuts, len(rows)]
    portions = [shuffled[low:high] for low, high in pairwise(edges)]
    assert merged(*portions).to_bytes() == merged(rows).to_bytes()


@given(rows_within(DAY_S))
def test_merging_again_changes_nothing_and_counts_every_row_as_repeated(
    rows: list[PriceRow],
) -> None:
    """Overlapping collections do no harm."""
    once = merged(rows)
    twice, cleaning = once.merge(rows, {})
    assert twice.to_bytes() == once.to_bytes()
    assert cleaning.repeated == len(rows)
    assert cleaning.changes == cleaning.restated == cleaning.corrected == 0


@given(rows_within(DAY_S), rows_within(DAY_S))
def test_every_received_row_is_counted_once(first: list[PriceRow], second: list[PriceRow]) -> None:
    """The counts of a cleaning add up to the received rows."""
    bad = [(A, START_S, 0.0), (A, START_S + 1, -1.0), (B, START_S, float("nan"))]
    _, cleaning = merged(first).merge([*second, *bad], {"m5.large": 0.02})
    parts = cleaning.changes + cleaning.restated + cleaning.repeated + cleaning.corrected
    assert parts + sum(cleaning.dropped.values()) == cleaning.received == len(second) + len(bad)


@given(rows_within(3 * DAY_S), st.integers(START_S - 10, START_S + 3 * DAY_S))
def test_trimming_keeps_every_price_from_the_given_time_on(
    rows: list[PriceRow], before_s: int
) -> None:
    """The last change before that time stays, so the price then is known."""
    changes = merged(rows)
    trimmed = changes.trim(before_s)
    later = np.arange(before_s, before_s + 4 * DAY_S, 7_919)
    np.testing.assert_array_equal(
        trimmed._prices(trimmed.rows_at(later)), changes._prices(changes.rows_at(later))
    )
    assert (trimmed.time_s < before_s).sum() <= len(trimmed.pools)


def test_restated_price_is_kept_but_is_not_a_change() -> None:
    """AWS restates an unchanged price every 24 h; the time of the last change must not move."""
    changes, cleaning = PriceChanges().merge([(A, START_S, 0.1), (A, START_S + DAY_S, 0.1)], {})
    assert changes.time_s.tolist() == [START_S]
    assert (cleaning.changes, cleaning.restated) == (1, 1)


def test_late_change_does_not_hide_the_return_of_the_old_price() -> None:
    """0.1, then 0.2 (missed at first), then 0.1 again: the 0.2 ends when the price returned."""
    changes = merged([(A, START_S, 0.1), (A, START_S + 200, 0.1)], [(A, START_S + 100, 0.2)])
    assert changes.price.tolist() == [0.1, 0.2, 0.1]
    assert changes.price_at(START_S + 300).tolist() == [0.1]


def test_newest_received_price_of_one_moment_wins() -> None:
    """AWS corrects a price by another one for the same time."""
    changes, cleaning = merged([(A, START_S, 0.1)]).merge([(A, START_S, 0.3)], {})
    assert changes.price.tolist() == [0.3]
    assert cleaning.corrected == 1


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        (0.0, "zero or negative"),
        (-0.1, "zero or negative"),
        (float("nan"), "not a number"),
        (float("inf"), "not a number"),
        (1.01, "above 10 x on-demand"),
    ],
)
def test_absurd_price_is_dropped_and_counted(price: float, reason: str) -> None:
    """An error in the data neither becomes a price nor goes unnoticed."""
    changes, cleaning = PriceChanges().merge([(B, START_S, price)], {"m5.large": 0.1})
    assert changes.pools == ()
    assert cleaning.dropped == {reason: 1}


def test_type_without_on_demand_price_has_no_upper_limit() -> None:
    """A missing price list must not cost the spot prices."""
    changes, cleaning = PriceChanges().merge([(B, START_S, 99.0)], {})
    assert changes.price.tolist() == [99.0]
    assert cleaning.dropped == {}


def test_grid_has_the_price_at_every_step_and_none_before_the_first_change() -> None:
    """The 5-minute grid carries a price forward and invents none."""
    changes = merged([(A, START_S + 301, 0.1), (A, START_S + 600, 0.2)])
    grid = changes.grid(START_S, START_S + 1_200)
    np.testing.assert_array_equal(grid, [[np.nan, np.nan, 0.2, 0.2]])


@given(rows_within(DAY_S))
def test_restricting_keeps_every_change_of_the_remaining_pools(rows: list[PriceRow]) -> None:
    """Only the pools of other types are removed."""
    kept = merged(rows).restrict({"m5.large"})
    alone = merged([row for row in rows if row[0].instance_type == "m5.large"])
    assert kept.to_bytes() == alone.to_bytes()


@given(rows_within(DAY_S))
def test_stored_series_round_trips_and_can_be_merged(rows: list[PriceRow]) -> None:
    """Restated prices survive too."""
    half = len(rows) // 2
    stored = PriceChanges.from_bytes(merged(rows[:half]).to_bytes())
    resumed, _ = stored.merge(rows[half:], {})
    assert resumed.to_bytes() == merged(rows).to_bytes()


def test_stored_bytes_do_not_depend_on_the_time_of_writing() -> None:
    """Equal series give equal bytes at any time, so an unchanged object need not be written."""
    archive = zipfile.ZipFile(io.BytesIO(merged([(A, START_S, 0.1)]).to_bytes()))
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@given(st.data())
def test_damaged_series_is_refused_with_the_reason(data: st.DataObject) -> None:
    """Any damage gives one clear error."""
    good = bytearray(merged([(A, START_S, 0.1), (C, START_S, 0.2)]).to_bytes())
    cut = data.draw(st.integers(0, len(good) - 1))
    with pytest.raises(DamagedState, match="price-changes"):
        PriceChanges.from_bytes(bytes(good[:cut]))


def test_unsorted_series_is_refused() -> None:
    """Every lookup relies on the order, so it is checked on reading."""
    swapped = PriceChanges(
        (Pool("m5.large", "us-east-1a"),),
        np.zeros(2, np.int32),
        np.array([START_S + 1, START_S], np.int64),
        np.array([0.1, 0.2]),
    )
    with pytest.raises(DamagedState, match="not sorted"):
        PriceChanges.from_bytes(swapped.to_bytes())
