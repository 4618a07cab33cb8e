"""Coverage: for which times prices have been collected. It distinguishes a gap from a quiet pool.

A spot price holds until the next change, so prices alone do not show whether nothing changed or
nothing was collected. Every successful collection therefore records the span that it covers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.vocabulary import Pool

Span = tuple[int, int]
"""From the first to before the second, epoch seconds."""


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same times as disjoint spans in order; touching spans are merged, empty ones dropped."""
    result: list[Span] = []
    for start_s, end_s in sorted(spans):
        if end_s <= start_s:
            continue
        if result and start_s <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end_s))
        else:
            result.append((start_s, end_s))
    return tuple(result)


def clipped(spans: Iterable[Span], within: Span) -> tuple[Span, ...]:
    """The parts of ``spans`` that lie within ``within``."""
    return joined((max(a, within[0]), min(b, within[1])) for a, b in spans)


def missing(spans: Iterable[Span], within: Span) -> tuple[Span, ...]:
    """The parts of ``within`` that no span covers."""
    covered = clipped(spans, within)
    edges = [within[0], *(edge for span in covered for edge in span), within[1]]
    return joined(zip(edges[::2], edges[1::2], strict=True))


def between(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The gaps between consecutive spans."""
    return tuple((before[1], after[0]) for before, after in pairwise(joined(spans)))


@dataclass(frozen=True)
class Coverage:
    """Covered spans by key: an instance type for all its zones, or one pool (``str(Pool)``)."""

    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """Disjoint and in order; no key without a span."""

    def of_type(self, instance_type: str) -> tuple[Span, ...]:
        """Spans in which all pools of a type are covered."""
        return self.spans.get(instance_type, ())

    def of_pool(self, pool: Pool) -> tuple[Span, ...]:
        """Spans in which a pool is covered, by itself or with its type."""
        own, of_type = self.spans.get(str(pool), ()), self.of_type(pool.instance_type)
        return joined((*own, *of_type)) if own and of_type else own or of_type

    def with_span(self, keys: Iterable[str], span: Span) -> "Coverage":
        """Add ``span`` for each of ``keys``."""
        return self.union(Coverage({key: (span,) for key in keys if span[0] < span[1]}))

    def union(self, other: "Coverage") -> "Coverage":
        """The spans that either coverage has."""
        both = {
            key: joined((*self.spans.get(key, ()), *spans)) for key, spans in other.spans.items()
        }
        return Coverage({**self.spans, **both})

    def clip(self, within: Span) -> "Coverage":
        """The part of this coverage that lies within ``within``."""
        kept = {key: clipped(spans, within) for key, spans in self.spans.items()}
        return Coverage({key: spans for key, spans in kept.items() if spans})

    def restrict(self, instance_types: frozenset[str]) -> "Coverage":
        """The coverage of these types only."""
        return Coverage(
            {k: spans for k, spans in self.spans.items() if k.partition("/")[0] in instance_types}
        )

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Arrays to store. Keys with equal spans share them; mostly all types have equal spans."""
        groups: dict[tuple[Span, ...], int] = {}
        keys = sorted(self.spans)
        group_of = [groups.setdefault(self.spans[key], len(groups)) for key in keys]
        rows = [(group, *span) for spans, group in groups.items() for span in spans]
        return {
            "covered_keys": np.array(keys, dtype=np.str_),
            "covered_group": np.array(group_of, dtype=np.int32),
            "covered_spans": np.array(rows, dtype=np.int64).reshape(-1, 3),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> "Coverage":
        """Read what ``to_columns`` gave. Raises ValueError if the columns contradict each other."""
        groups: dict[int, list[Span]] = {}
        for group, start_s, end_s in columns["covered_spans"].tolist():
            groups.setdefault(group, []).append((start_s, end_s))
        keys, group_of = columns["covered_keys"].tolist(), columns["covered_group"].tolist()
        spans = {group: joined(members) for group, members in groups.items()}
        try:
            return cls({key: spans[group] for key, group in zip(keys, group_of, strict=True)})
        except KeyError as error:
            raise ValueError(f"covered_group {error} has no spans") from error


COVERAGE_COLUMNS = ("covered_keys", "covered_group", "covered_spans")
