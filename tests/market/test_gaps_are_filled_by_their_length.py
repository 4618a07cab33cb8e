"""A view of prices distinguishes reported, imported and filled prices."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.gap_methods import CONFIDENCE, Method, gap_kind, method_for
from spot_optimizer.market.gaps import BUCKET_S, count_gaps, find_gaps
from spot_optimizer.market.grid_view import PriceGrid, count_methods, grid_view
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.vocabulary import Pool

START_S = 1_772_409_600
A, B, C = (Pool("m5.large", f"us-east-1{zone}") for zone in "abc")
OTHER = Pool("c5.large", "us-east-1a")
EMPTY = PriceBook()


def at(bucket: int) -> int:
    """Start of a bucket, epoch seconds."""
    return START_S + bucket * BUCKET_S


def book(
    prices: Iterable[tuple[Pool, int, float]], covered: Iterable[tuple[Pool | str, int, int]]
) -> PriceBook:
    """A book of (pool, bucket, price) that covers (key, first bucket, bucket after the last)."""
    coverage = Coverage()
    for key, first, last in covered:
        coverage = coverage.with_span([str(key)], (at(first), at(last)))
    rows = [(pool, at(bucket), price) for pool, bucket, price in prices]
    return EMPTY.received(rows, coverage, {}, {})[0]


def row(
    grid: PriceGrid, pool: Pool
) -> tuple[npt.NDArray[np.float64], list[int], npt.NDArray[np.float64]]:
    """Price, method and confidence of one pool."""
    place = grid.pools.index(pool)
    return grid.price[place], grid.method[place].tolist(), grid.confidence[place]


@pytest.mark.parametrize(
    ("buckets", "kind", "method", "confidence"),
    [
        (1, "short", Method.LINEAR, 0.85),
        (2, "short", Method.LINEAR, 0.85),
        (3, "medium", Method.INVERSE_DISTANCE, 0.75),
        (6, "medium", Method.INVERSE_DISTANCE, 0.75),
        (7, "long", Method.PEERS, 0.70),
        (48, "long", Method.PEERS, 0.70),
        (49, "blackout", Method.NONE, None),
    ],
)
def test_each_length_has_its_method_and_confidence(
    buckets: int, kind: str, method: Method, confidence: float
) -> None:
    """The table of gaps at its limits."""
    assert (gap_kind(buckets), method_for(buckets)) == (kind, method)
    assert CONFIDENCE.get(method) == confidence


@pytest.mark.parametrize("buckets", [1, 2, 3, 6, 7, 48, 49])
def test_gap_is_filled_by_the_method_for_its_length(buckets: int) -> None:
    """Exactly the missing buckets have the method and confidence for the length; a blackout is
    empty."""
    end = 20 + buckets
    reported = book([(A, 0, 0.1), (B, 0, 0.2)], [(A, 0, 20), (A, end, end + 20), (B, 0, end + 20)])
    price, method, confidence = row(grid_view(reported, EMPTY, (at(0), at(end + 20))), A)
    expected = method_for(buckets)
    assert method == [Method.REPORTED] * 20 + [expected] * buckets + [Method.REPORTED] * 20
    if expected is Method.NONE:
        assert np.isnan(price[20:end]).all()
        assert np.isnan(confidence[20:end]).all()
    else:
        np.testing.assert_allclose(price, 0.1)
        np.testing.assert_allclose(confidence[20:end], CONFIDENCE[expected])


def test_short_gap_is_interpolated_linearly() -> None:
    """Two buckets between 0.10 and 0.16."""
    reported = book([(A, 0, 0.10), (A, 12, 0.16)], [(A, 0, 10), (A, 12, 20)])
    price, _, _ = row(grid_view(reported, EMPTY, (at(0), at(20))), A)
    np.testing.assert_allclose(price[9:13], [0.10, 0.12, 0.14, 0.16])


def test_medium_gap_is_the_weighted_mean_of_the_hour_on_each_side() -> None:
    """Weights are 1 / (minutes + 1), and prices beyond an hour do not count."""
    reported = book(
        [(A, 0, 9.0), (A, 8, 0.10), (A, 24, 0.20), (A, 36, 9.0)], [(A, 0, 20), (A, 24, 60)]
    )
    price, _, _ = row(grid_view(reported, EMPTY, (at(0), at(60))), A)
    for bucket in range(20, 24):
        near = [(b, 0.10) for b in range(8, 20)] + [(b, 0.20) for b in range(24, 36)]
        weight = [1 / (abs(bucket - b) * 5 + 1) for b, _ in near]
        mean = np.average([p for _, p in near], weights=weight)
        assert price[bucket] == pytest.approx(mean)
    assert price[20] < price[23]


def test_long_gap_moves_like_the_median_peer() -> None:
    """Last price x median relative move of the same type in other zones; other types do not count."""
    reported = book(
        [
            *((A, 0, 0.1), (A, 20, 0.5)),
            *((B, 0, 0.2), (B, 15, 0.22)),
            *((C, 0, 0.4), (C, 15, 0.48)),
            *((OTHER, 0, 1.0), (OTHER, 15, 9.0)),
        ],
        [(A, 0, 10), (A, 20, 30), (B, 0, 30), (C, 0, 30), (OTHER, 0, 30)],
    )
    price, _, _ = row(grid_view(reported, EMPTY, (at(0), at(30))), A)
    np.testing.assert_allclose(price[10:15], 0.10)
    np.testing.assert_allclose(price[15:20], 0.10 * (1.1 + 1.2) / 2)


def test_long_gap_without_peers_is_left_empty() -> None:
    """Without peers the move of a pool is unknown."""
    reported = book([(A, 0, 0.10), (OTHER, 0, 1.0)], [(A, 0, 10), (A, 20, 30), (OTHER, 0, 30)])
    price, method, _ = row(grid_view(reported, EMPTY, (at(0), at(30))), A)
    assert np.isnan(price[10:20]).all()
    assert method[10:20] == [Method.NONE] * 10


def test_filled_prices_are_never_used_to_fill() -> None:
    """A medium gap uses the known prices of the hours beside it, not the filled short gap there."""
    rows = [(A, 0, 0.10), (A, 12, 0.30), (A, 18, 0.40)]
    reported = book(rows, [(A, 0, 10), (A, 12, 14), (A, 18, 40)])
    price, method, _ = row(grid_view(reported, EMPTY, (at(0), at(40))), A)
    assert (
        method[10:18] == [Method.LINEAR] * 2 + [Method.REPORTED] * 2 + [Method.INVERSE_DISTANCE] * 4
    )
    near = [(b, 0.10) for b in range(2, 10)] + [(b, 0.30) for b in (12, 13)]
    near += [(b, 0.40) for b in range(18, 30)]
    weight = [1 / (abs(14 - b) * 5 + 1) for b, _ in near]
    assert price[14] == pytest.approx(np.average([p for _, p in near], weights=weight))


@pytest.mark.parametrize("within", [(22, 40), (0, 22), (21, 23)])
def test_gap_that_crosses_the_edge_of_a_view_counts_whole(within: tuple[int, int]) -> None:
    """Two buckets of a gap of four are filled as those of a gap of four."""
    reported = book([(A, 0, 0.10)], [(A, 0, 20), (A, 24, 40)])
    grid = grid_view(reported, EMPTY, (at(within[0]), at(within[1])))
    shown = {int(m) for m in grid.method[0]} - {Method.REPORTED}
    assert shown == {Method.INVERSE_DISTANCE}


def test_quiet_pool_is_not_a_gap() -> None:
    """A price holds until the next change, for days, as long as collections succeed."""
    reported = book([(A, 0, 0.10)], [(A, 0, 1000)])
    price, method, confidence = row(grid_view(reported, EMPTY, (at(0), at(1000))), A)
    assert set(price) == {0.10}
    assert set(method) == {Method.REPORTED}
    assert set(confidence) == {1.0}


def test_nothing_is_filled_before_the_first_and_after_the_last_collection() -> None:
    """One side has no price, and AWS may still return it."""
    reported = book([(A, 10, 0.10)], [(A, 10, 20)])
    _, method, _ = row(grid_view(reported, EMPTY, (at(0), at(30))), A)
    assert method == [Method.NONE] * 10 + [Method.REPORTED] * 10 + [Method.NONE] * 10


def test_reported_prices_come_before_imported_ones_and_both_before_filled_ones() -> None:
    """Confidence 1.00, 0.95 and 0.85 side by side."""
    reported = book([(A, 0, 0.10)], [(A, 0, 10), (A, 13, 20)])
    imported = book([(A, 0, 0.90), (A, 11, 0.30)], [(A, 0, 5), (A, 11, 20)])
    price, _, confidence = row(grid_view(reported, imported, (at(9), at(14))), A)
    np.testing.assert_allclose(confidence, [1.00, 0.85, 0.95, 0.95, 1.00])
    np.testing.assert_allclose(price, [0.10, 0.20, 0.30, 0.30, 0.10])


buckets = st.integers(0, 90)
covered = st.lists(
    st.tuples(st.sampled_from([A, B, C, OTHER, "m5.large"]), buckets, buckets), max_size=8
)
prices = st.lists(
    st.tuples(
        st.sampled_from([A, B, C, OTHER]),
        buckets,
        st.integers(1, 50).map(lambda cents: cents / 100),
    ),
    max_size=25,
)
SPAN = (at(0), at(90))


@given(prices, covered)
@settings(max_examples=30, deadline=None)
def test_filling_changes_no_collected_price_and_stays_within_gaps(
    rows: list[tuple[Pool, int, float]], spans: list[tuple[Pool | str, int, int]]
) -> None:
    """Covered buckets show what AWS reported; only buckets of gaps are filled."""
    reported = book(rows, spans)
    grid = grid_view(reported, EMPTY, SPAN)
    actual = reported.changes.prices_at(grid.time_s)
    gaps = find_gaps([reported.coverage], grid.pools, SPAN)
    for place, pool in enumerate(grid.pools):
        in_gap = {b for g in gaps if pool in g.pools for b in range(g.start_s, g.end_s, BUCKET_S)}
        for column, time_s in enumerate(grid.time_s.tolist()):
            is_covered = any(a <= time_s < b for a, b in reported.coverage.of_pool(pool))
            method = grid.method[place, column]
            assert np.isnan(grid.price[place, column]) == (method == Method.NONE)
            if is_covered:
                np.testing.assert_equal(grid.price[place, column], actual[place, column])
                assert time_s not in in_gap
            else:
                assert method not in (Method.REPORTED, Method.IMPORTED)
                assert method == Method.NONE or time_s in in_gap


@given(prices, covered, st.sampled_from([A, "m5.large"]), buckets, buckets)
@settings(max_examples=30, deadline=None)
def test_prices_collected_later_replace_filled_ones(
    rows: list[tuple[Pool, int, float]],
    spans: list[tuple[Pool | str, int, int]],
    key: Pool | str,
    first: int,
    last: int,
) -> None:
    """A span that is requested again shows what AWS reports, whatever was filled before."""
    collected_later = book(rows, [*spans, (key, first, last)])
    grid = grid_view(collected_later, EMPTY, SPAN)
    actual = collected_later.changes.prices_at(grid.time_s)
    inside = (grid.time_s >= at(first)) & (grid.time_s < at(last))
    for place, pool in enumerate(grid.pools):
        if str(key) in (str(pool), pool.instance_type):
            np.testing.assert_array_equal(grid.price[place, inside], actual[place, inside])


@given(prices, covered, buckets)
@settings(max_examples=30, deadline=None)
def test_view_of_a_part_equals_that_part_of_the_view(
    rows: list[tuple[Pool, int, float]], spans: list[tuple[Pool | str, int, int]], cut: int
) -> None:
    """Filling does not depend on the span of the view."""
    reported = book(rows, spans)
    whole = grid_view(reported, EMPTY, SPAN)
    part = grid_view(reported, EMPTY, (at(cut), SPAN[1]))
    np.testing.assert_array_equal(part.price, whole.price[:, cut:])
    np.testing.assert_array_equal(part.method, whole.method[:, cut:])


@given(prices, covered)
@settings(max_examples=30, deadline=None)
def test_filled_prices_lie_within_the_known_ones(
    rows: list[tuple[Pool, int, float]], spans: list[tuple[Pool | str, int, int]]
) -> None:
    """Interpolations and means stay between the pool's own prices; nothing is filled below zero."""
    reported = book(rows, spans)
    grid = grid_view(reported, EMPTY, SPAN)
    for place in range(len(grid.pools)):
        known = grid.price[place, grid.method[place] == Method.REPORTED]
        between = np.isin(grid.method[place], (Method.LINEAR, Method.INVERSE_DISTANCE))
        filled = grid.price[place, between]
        if len(filled):
            assert known.min() - 1e-12 <= filled.min() <= filled.max() <= known.max() + 1e-12
    assert (grid.price[np.isfinite(grid.price)] > 0).all()


def test_gaps_are_counted_per_pool() -> None:
    """Two zones of a missing type are two gaps, and the counts name the methods."""
    reported = book([(A, 0, 0.1), (B, 0, 0.2)], [("m5.large", 0, 10), ("m5.large", 12, 20)])
    gaps = find_gaps([reported.coverage], [A, B], SPAN)
    assert count_gaps(gaps) == {"short": {"gaps": 2, "buckets": 4}}
    assert count_methods(grid_view(reported, EMPTY, SPAN), gaps) == {"linear": 4}


def test_collection_between_two_bucket_starts_does_not_split_a_gap() -> None:
    """It covers no bucket's start, so the gap around it counts as one."""
    coverage = Coverage({"m5.large": ((at(0), at(2)), (at(4) + 10, at(5) - 10), (at(8), at(9)))})
    (gap,) = find_gaps([coverage], [A], SPAN)
    assert (gap.start_s, gap.buckets) == (at(2), 6)
