"""A quantile sketch of a workload's usage, by day."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

RELATIVE_ACCURACY = 0.02
SMALLEST = 0.001
"""Less than a thousandth of a vCPU or GiB counts as 0."""
DAYS_KEPT = 7
_DAY_S = 86_400
_GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)


@dataclass(frozen=True, slots=True)
class Sketch:
    """One histogram of five-minute means per day, in vCPU or GiB, with buckets of relative width.

    DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
    relative-error guarantees", VLDB 2019): bucket i > 0 holds the values in (s g^(i-1), s g^i] with
    g = (1 + a) / (1 - a), s = ``SMALLEST``, a = 2 %, and stands for s 2 g^i / (g + 1), which is
    within 2 % of every one of them. Bucket 0 holds values up to s and stands for 0. The histograms of
    days add up, so the oldest day can be dropped.
    """

    days: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """Day since the epoch (UTC) -> bucket -> number of means."""

    def with_means(self, means: Iterable[tuple[int, float]]) -> "Sketch":
        """This sketch with ``means`` (epoch seconds, vCPU or GiB) added, reduced to seven days."""
        days = {day: Counter(histogram) for day, histogram in self.days.items()}
        for time_s, value in means:
            days.setdefault(time_s // _DAY_S, Counter())[_bucket(value)] += 1
        return Sketch({day: days[day] for day in sorted(days) if day > max(days) - DAYS_KEPT})

    def p95(self, at_s: int) -> float | None:
        """95th percentile of the seven days up to ``at_s``, None if they have no mean.

        Of n means in ascending order it is number floor(0.95 (n - 1)), counted from 0 (the paper's
        lower quantile), within 2 %.
        """
        histogram = self._recent(at_s)
        rank = math.floor(0.95 * (histogram.total() - 1))
        passed = 0
        for bucket in sorted(histogram):
            passed += histogram[bucket]
            if passed > rank:
                return _value(bucket)
        return None

    def count(self, at_s: int) -> int:
        """Number of means that ``p95`` is computed from."""
        return self._recent(at_s).total()

    def _recent(self, at_s: int) -> Counter[int]:
        today = at_s // _DAY_S
        recent: Counter[int] = Counter()
        for day, histogram in self.days.items():
            if today - DAYS_KEPT < day <= today:
                recent.update(histogram)
        return recent

    def to_json(self) -> list[list[int]]:
        """Per day: the day, then pairs of bucket and number, the lowest bucket first."""
        return [
            [day, *(number for pair in sorted(histogram.items()) for number in pair)]
            for day, histogram in sorted(self.days.items())
        ]

    @classmethod
    def from_json(cls, rows: list[list[Any]]) -> "Sketch":
        """The inverse of ``to_json``. Raises ValueError, TypeError or IndexError on another shape."""
        return cls(
            {row[0]: dict(zip(row[1::2], row[2::2], strict=True)) for row in rows},
        )


def _bucket(value: float) -> int:
    if value <= SMALLEST:
        return 0
    return math.ceil(math.log(value / SMALLEST) / _LOG_GAMMA)


def _value(bucket: int) -> float:
    if bucket == 0:
        return 0.0
    return SMALLEST * 2 * math.exp(bucket * _LOG_GAMMA) / (_GAMMA + 1)
