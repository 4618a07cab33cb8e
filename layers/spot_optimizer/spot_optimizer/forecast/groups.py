"""Groups of pools whose prices move together: a type in all zones, a family in one zone."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.market.prices import Floats
from spot_optimizer.vocabulary import Pool


@dataclass(frozen=True)
class Group:
    """A partition of P pools; aggregates are over each pool's own part, by moment."""

    order: NDArray[np.int64]
    """Shape (P,): pools, sorted by part."""
    start: NDArray[np.int64]
    """Start of each part in ``order``."""
    part: NDArray[np.int64]
    """Shape (P,): the part of each pool."""

    @classmethod
    def by(cls, keys: Iterable[Hashable]) -> "Group":
        number: dict[Hashable, int] = {}
        part = np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
        order = np.argsort(part, kind="stable")
        start = np.searchsorted(part[order], np.arange(len(number)))
        return cls(order, start.astype(np.int64), part)

    @classmethod
    def whole(cls, pools: int) -> "Group":
        """All pools in one part."""
        return cls.by([0] * pools)

    def mean(self, value: Floats) -> Floats:
        """Shape (P, T): mean of the known values of each pool's part; NaN if there are none."""
        total, count = self._sums(value)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (total / count)[self.part]

    def mean_of_others(self, value: Floats) -> Floats:
        """Shape (P, T): the same without the pool itself; NaN if there is no other."""
        total, count = self._sums(value)
        is_known = np.isfinite(value)
        others = count[self.part] - is_known
        total_of_others = total[self.part] - np.where(is_known, value, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(others > 0, total_of_others / others, np.nan)

    def highest(self, value: Floats) -> Floats:
        """Shape (P, T): the highest known value of each pool's part; NaN if there are none."""
        if not len(self.order):
            return value
        return np.fmax.reduceat(value[self.order], self.start, axis=0)[self.part]

    def _sums(self, value: Floats) -> tuple[Floats, NDArray[np.int64]]:
        if not len(self.order):
            return value, np.zeros(value.shape, np.int64)
        is_known = np.isfinite(value)[self.order]
        known = np.where(is_known, value[self.order], 0.0)
        total = np.add.reduceat(known, self.start, axis=0)
        return total, np.add.reduceat(is_known.astype(np.int64), self.start, axis=0)


@dataclass(frozen=True)
class PoolGroups:
    """The groups of the pools of one region."""

    type: Group
    """One instance type over all zones."""
    family: Group
    """All sizes of a family in one zone."""
    size: Floats
    """Shape (P,): size by name in units of ``large``; NaN for sizes such as ``metal``."""

    @classmethod
    def of(cls, pools: Sequence[Pool]) -> "PoolGroups":
        return cls(
            type=Group.by(pool.instance_type for pool in pools),
            family=Group.by((family_of(pool), pool.availability_zone) for pool in pools),
            size=np.array([size_of(pool) for pool in pools], dtype=np.float64),
        )


_SIZES = {"nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1, "xlarge": 2}


def size_of(pool: Pool) -> float:
    """Size in units of ``large``: 4 for ``m5.2xlarge``. Sizes double from name to name, and n-xlarge
    is n times xlarge (EC2 User Guide, "Instance type naming conventions"). NaN for others such as
    ``metal``."""
    name = pool.instance_type.partition(".")[2]
    number = name.removesuffix("xlarge")
    if name != number and number.isdecimal():
        return 2.0 * int(number)
    return _SIZES.get(name, np.nan)


def family_of(pool: Pool) -> str:
    """Instance family: ``m5`` for ``m5.large``."""
    return pool.instance_type.partition(".")[0]
