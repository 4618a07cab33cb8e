"""Gaps in collected prices, and the method and confidence to fill each (docs/market-data.md).

A gap is a run of 5-minute buckets that no successful collection covers, with covered buckets before
and after it. Buckets before the first or after the last collection are not a gap: they are not
collected yet.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spot_optimizer.market.coverage import Coverage, Span, between, joined
from spot_optimizer.market.gap_methods import GAP_KINDS, gap_kind
from spot_optimizer.market.prices import GRID_STEP_S
from spot_optimizer.vocabulary import Pool

BUCKET_S = GRID_STEP_S


@dataclass(frozen=True, slots=True)
class Gap:
    """Consecutive missing buckets, and the pools that miss them."""

    start_s: int
    """Start of the first bucket, epoch seconds."""
    buckets: int
    pools: tuple[Pool, ...]
    """Sorted."""

    @property
    def end_s(self) -> int:
        """Start of the first bucket after it."""
        return self.start_s + self.buckets * BUCKET_S


def find_gaps(coverages: Sequence[Coverage], pools: Iterable[Pool], within: Span) -> list[Gap]:
    """Gaps of ``pools`` that none of ``coverages`` covers, in order of time.

    A gap that crosses an edge of ``within`` is returned whole, because its length decides the method.
    Pools that miss the same buckets share one entry.
    """
    pools_of: dict[tuple[int, int], list[Pool]] = defaultdict(list)
    buckets_of: dict[tuple[Span, ...], list[tuple[int, int]]] = {}
    for pool in sorted(pools):
        spans = joined(span for coverage in coverages for span in coverage.of_pool(pool))
        if spans not in buckets_of:
            buckets_of[spans] = [
                (start_s, buckets)
                for start_s, buckets in _missed_buckets(between(spans))
                if start_s < within[1] and start_s + buckets * BUCKET_S > within[0]
            ]
        for missed in buckets_of[spans]:
            pools_of[missed].append(pool)
    return [
        Gap(start_s, buckets, tuple(missing))
        for (start_s, buckets), missing in sorted(pools_of.items())
    ]


def _missed_buckets(holes: Iterable[Span]) -> list[tuple[int, int]]:
    """Start and number of the buckets that start within each hole.

    Holes are merged if no bucket starts in the covered time between them.
    """
    ranges = [(-(-start_s // BUCKET_S), -(-end_s // BUCKET_S)) for start_s, end_s in holes]
    return [(first * BUCKET_S, last - first) for first, last in joined(ranges)]


def count_gaps(gaps: Iterable[Gap]) -> dict[str, dict[str, int]]:
    """Kind -> numbers of gaps and buckets, counted per pool; kinds without gaps are omitted."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for gap in gaps:
        pools = len(gap.pools)
        counts[gap_kind(gap.buckets)].update(gaps=pools, buckets=pools * gap.buckets)
    return {kind: dict(counts[kind]) for kind in GAP_KINDS if kind in counts}
