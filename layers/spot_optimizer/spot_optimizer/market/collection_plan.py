"""Plan price requests: which types and spans to request from AWS, in slices of limited size."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spot_optimizer.market.coverage import Coverage, Span, missing
from spot_optimizer.vocabulary import DAY_S

HISTORY_DAYS_MAX = 90
"""DescribeSpotPriceHistory returns prices of the last 90 days (EC2 API reference)."""


OVERLAP_S = 15 * 60
"""Requests start this long before the missing span, because AWS may publish a change late."""

TYPES_MAX = 200
"""Instance types per request; more make the request itself too large."""

SLICE_DAYS_MAX = 8
"""Eight days of 200 types are about 20 pages of 1,000 rows, which take half a minute at most."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One request: all prices of these types from ``start_s`` to before ``end_s``."""

    types: tuple[str, ...]
    """Sorted, at most ``TYPES_MAX``."""
    start_s: int
    end_s: int

    def coverage(self) -> Coverage:
        """What the answer covers."""
        return Coverage().with_span(self.types, (self.start_s, self.end_s))


def plan_slices(coverage: Coverage, types: Iterable[str], within: Span) -> list[Slice]:
    """Slices that together cover what ``coverage`` lacks of ``within``.

    The newest come first, so that a long collection is useful for decisions from the start.
    """
    lacking: dict[Span, list[str]] = defaultdict(list)
    for name in sorted(types):
        for span in missing(coverage.of_type(name), within):
            for part in _portions(span):
                lacking[part].append(name)
    newest_first = sorted(lacking, key=lambda span: (-span[1], -span[0]))
    return [
        Slice(batch, max(span[0] - OVERLAP_S, within[0]), span[1])
        for span in newest_first
        for batch in _batches(lacking[span])
    ]


def halves(whole: Slice) -> tuple[Slice, Slice]:
    """Split a slice into two, each with half of the types."""
    middle = len(whole.types) // 2
    return (
        Slice(whole.types[:middle], whole.start_s, whole.end_s),
        Slice(whole.types[middle:], whole.start_s, whole.end_s),
    )


def history_span(wanted_since_s: int | None, now_s: int, kept_at_hand_s: int) -> Span:
    """The span that the archive should cover: whole days from ``wanted_since_s`` on.

    Default and maximum are the days for which AWS returns prices. The last ``kept_at_hand_s`` are not
    archived yet. The span is empty (both ends equal) if it would start later than that.
    """
    oldest_s = now_s - HISTORY_DAYS_MAX * DAY_S
    start_s = max(oldest_s, oldest_s if wanted_since_s is None else wanted_since_s)
    first = -(-start_s // DAY_S) * DAY_S
    return first, max(first, (now_s - kept_at_hand_s) // DAY_S * DAY_S)


def _portions(span: Span) -> list[Span]:
    size = SLICE_DAYS_MAX * DAY_S
    ends = range(span[1], span[0], -size)
    return [(max(end_s - size, span[0]), end_s) for end_s in ends]


def _batches(types: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(types[first : first + TYPES_MAX]) for first in range(0, len(types), TYPES_MAX)]
