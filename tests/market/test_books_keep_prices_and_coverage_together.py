"""A price book keeps prices, coverage and zone ids consistent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.price_book import PriceBook, contents_from_bytes
from tests.market.price_strategies import POOLS, START_S, merged, rows_within

DAY_S = 86_400
ZONES = {"us-east-1a": "use1-az4", "us-east-1b": "use1-az6"}
moments = st.integers(START_S - 10, START_S + 3 * DAY_S)


def book(rows: list[PriceRow], *spans: tuple[int, int]) -> PriceBook:
    """A book of rows that covers these spans of all types."""
    coverage = Coverage()
    for start_s, end_s in spans:
        coverage = coverage.with_span(["c5.large", "m5.large"], (start_s, end_s))
    return PriceBook().received(rows, coverage, ZONES, {})[0]


@given(rows_within(3 * DAY_S), rows_within(3 * DAY_S))
@settings(max_examples=40, deadline=None)
def test_merged_series_equal_one_merge_of_all_rows(
    first: list[PriceRow], second: list[PriceRow]
) -> None:
    """Archive and recent prices overlap by days, and nothing is duplicated or lost."""
    there = {(pool, time_s) for pool, time_s, _ in second}
    first = [row for row in first if row[:2] not in there]
    assert merged(first).merge_series(merged(second)).to_bytes() == merged(first, second).to_bytes()


@given(rows_within(3 * DAY_S), moments, moments)
@settings(max_examples=40, deadline=None)
def test_part_of_a_book_equals_the_book_in_its_span(
    rows: list[PriceRow], one: int, other: int
) -> None:
    """The change in force at its start is included, so a month can be read alone."""
    span = (min(one, other), max(one, other))
    whole = book(rows, (START_S, START_S + 3 * DAY_S))
    part = whole.between(span)
    times = np.arange(*span, 3_600)
    for place, pool in enumerate(part.changes.pools):
        row = whole.changes.pools.index(pool)
        np.testing.assert_array_equal(
            part.changes.prices_at(times)[place], whole.changes.prices_at(times)[row]
        )
    assert (part.changes.time_s < span[1]).all()
    assert part.coverage == whole.coverage.clip(span)


@given(rows_within(DAY_S))
@settings(max_examples=40, deadline=None)
def test_stored_book_round_trips(rows: list[PriceRow]) -> None:
    """Changes, coverage and zone ids survive, and equal books give equal bytes."""
    written = book(rows, (START_S, START_S + 100), (START_S + 200, START_S + 300))
    read = PriceBook.from_bytes(written.to_bytes())
    assert read.to_bytes() == written.to_bytes()
    assert (read.coverage, read.zone_ids) == (written.coverage, ZONES)
    coverage, pools = contents_from_bytes(written.to_bytes())
    assert (coverage, pools) == (written.coverage, written.changes.pools)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_book_is_refused_with_the_reason(data: st.DataObject) -> None:
    """Any damage gives one clear error."""
    good = book([(POOLS[0], START_S, 0.1)], (START_S, START_S + 9)).to_bytes()
    cut = data.draw(st.integers(0, len(good) - 1))
    for read in (PriceBook.from_bytes, contents_from_bytes):
        with pytest.raises(DamagedState, match="price-book"):
            read(good[:cut])


def test_unwanted_types_lose_their_coverage_too() -> None:
    """If such a type is wanted again, its whole history is requested, not only new prices."""
    both = book([(pool, START_S, 0.1) for pool in POOLS], (START_S, START_S + DAY_S))
    kept = both.restrict(frozenset({"m5.large"}))
    assert {pool.instance_type for pool in kept.changes.pools} == {"m5.large"}
    assert set(kept.coverage.spans) == {"m5.large"}
