"""Coverage is exactly the seconds that were collected, in whatever order."""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.market.collection_plan import OVERLAP_S, halves, history_span, plan_slices
from spot_optimizer.market.coverage import Coverage, Span, between, clipped, joined, missing
from spot_optimizer.market.price_months import Month, months_in
from spot_optimizer.vocabulary import Pool

DAY_S = 86_400
NOW_S = 1_772_409_600

edges = st.integers(0, 60)
spans = st.lists(st.tuples(edges, edges), max_size=6)
types = st.sampled_from(["c5.large", "m5.large", "m6i.large"])
coverages = st.lists(st.tuples(types, edges, edges), max_size=8).map(
    lambda parts: Coverage().union(
        Coverage({name: joined([(a, b)]) for name, a, b in parts if a < b})
    )
)


def seconds(parts: Iterable[Span]) -> set[int]:
    """Every second that the spans cover."""
    return {second for start, end in parts for second in range(start, end)}


@given(spans)
@settings(deadline=None)
def test_joined_spans_cover_the_same_seconds_once(parts: list[Span]) -> None:
    """The spans are disjoint, in order and never touch, and cover the same seconds."""
    result = joined(parts)
    assert seconds(result) == seconds(parts)
    assert sum(end - start for start, end in result) == len(seconds(parts))
    assert all(before[1] < after[0] for before, after in itertools.pairwise(result))


@given(spans, st.tuples(edges, edges).filter(lambda span: span[0] < span[1]))
@settings(deadline=None)
def test_missing_and_covered_parts_make_up_the_span(parts: list[Span], within: Span) -> None:
    """They neither overlap nor leave a rest."""
    covered, lacking = clipped(parts, within), missing(parts, within)
    assert seconds(covered) | seconds(lacking) == seconds([within])
    assert not seconds(covered) & seconds(lacking)


@given(spans)
@settings(deadline=None)
def test_gaps_lie_strictly_between_covered_spans(parts: list[Span]) -> None:
    """Time before the first or after the last collection is not a gap."""
    covered = joined(parts)
    whole = [(covered[0][0], covered[-1][1])] if covered else []
    assert seconds(between(parts)) == seconds(whole) - seconds(covered)


@given(coverages, coverages)
@settings(deadline=None)
def test_coverage_does_not_depend_on_the_order_of_collections(
    first: Coverage, second: Coverage
) -> None:
    """A union is commutative, and stored coverage round-trips."""
    both = first.union(second)
    assert both == second.union(first)
    stored = {name: np.asarray(column) for name, column in both.to_columns().items()}
    assert Coverage.from_columns(stored) == both


def test_pool_is_covered_by_itself_and_by_its_type() -> None:
    """AWS is queried by type, an imported file covers single pools."""
    pool = Pool("m5.large", "us-east-1a")
    coverage = Coverage({"m5.large": ((0, 10),), str(pool): ((8, 20),)})
    assert coverage.of_pool(pool) == ((0, 20),)
    assert coverage.of_pool(Pool("m5.large", "us-east-1b")) == ((0, 10),)
    assert coverage.restrict(frozenset({"m5.large"})) == coverage
    assert coverage.restrict(frozenset({"m5.larg"})) == Coverage()


@given(coverages, st.integers(1, 60))
@settings(deadline=None)
def test_slices_cover_what_is_missing_and_nothing_known(coverage: Coverage, end_s: int) -> None:
    """The plan is complete, and repeats nothing but the overlap for late rows."""
    within, wanted = (0, end_s), ["c5.large", "m5.large"]
    slices = plan_slices(coverage, wanted, within)
    after = coverage
    for part in slices:
        assert 0 <= part.start_s < part.end_s <= end_s
        lacking = [missing(coverage.of_type(name), within) for name in part.types]
        assert all(any(a < part.end_s and b > part.start_s for a, b in gaps) for gaps in lacking)
        after = after.union(part.coverage())
    assert all(not missing(after.of_type(name), within) for name in wanted)
    assert plan_slices(after, wanted, within) == []


def test_slices_are_limited_and_the_newest_comes_first() -> None:
    """A region's 90 days: at most 200 types and eight days each, plus the overlap."""
    names = [f"m{number}.large" for number in range(450)]
    slices = plan_slices(Coverage(), names, (NOW_S - 90 * DAY_S, NOW_S))
    assert max(len(part.types) for part in slices) == 200
    assert max(part.end_s - part.start_s for part in slices) == 8 * DAY_S + OVERLAP_S
    assert [part.end_s for part in slices] == sorted((p.end_s for p in slices), reverse=True)
    assert slices[0].end_s == NOW_S
    assert len(slices) == 3 * 12


def test_half_slices_request_the_same() -> None:
    """A slice that AWS refuses because of one type is split in two."""
    (whole,) = plan_slices(Coverage(), ["a.b", "c.d", "e.f"], (0, 10))
    first, second = halves(whole)
    assert (*first.types, *second.types) == whole.types
    assert {(part.start_s, part.end_s) for part in (first, second)} == {(0, 10)}


@pytest.mark.parametrize(
    ("trained_days_ago", "days"), [(None, 84), (400, 84), (30, 24), (7, 1), (6, 0), (3, 0), (0, 0)]
)
def test_history_goes_back_to_the_training_data_but_90_days_at_most(
    trained_days_ago: int | None, days: int
) -> None:
    """Whole days up to six days ago; none if the model is younger than the recent prices."""
    trained = None if trained_days_ago is None else NOW_S - trained_days_ago * DAY_S
    start_s, end_s = history_span(trained, NOW_S + 3_600, 6 * DAY_S)
    assert start_s % DAY_S == end_s % DAY_S == 0
    assert start_s >= NOW_S + 3_600 - 90 * DAY_S
    assert (end_s - start_s) / DAY_S in (days, max(days - 1, 0))
    assert days == 0 or end_s == NOW_S - 6 * DAY_S


@given(st.integers(0, 2_000_000_000), st.integers(1, 500 * DAY_S))
@settings(deadline=None)
def test_months_cover_a_span_without_gap_or_overlap(start_s: int, length_s: int) -> None:
    """Every second of a span is in exactly one month."""
    months = months_in((start_s, start_s + length_s))
    assert months[0].span[0] <= start_s < months[0].span[1]
    assert months[-1].span[0] < start_s + length_s <= months[-1].span[1]
    assert all(a.span[1] == b.span[0] for a, b in itertools.pairwise(months))
    assert str(Month.of(NOW_S)) == "2026-03"
