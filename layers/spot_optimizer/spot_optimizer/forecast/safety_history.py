"""Safety history: instability and advisor bucket of each pool over the last two hours.

A workload leaves on-demand only for a pool that has been safe for the time of the setting
``confirm_safe_minutes``. Prices can be looked up for any past moment; a model's instability and the
Spot Advisor's bucket cannot.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.codec import (
    POOL_COLUMNS,
    DamagedState,
    pack_columns,
    pools_from_columns,
    pools_to_columns,
    unpack_columns,
)
from spot_optimizer.market.prices import Floats, Times
from spot_optimizer.vocabulary import Pool

KEPT_S = 120 * 60
NO_BUCKET = -1
_KIND, _VERSION = "safety-history", 1

Buckets = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class SafetyHistory:
    """T observations of P pools. An observation holds until the next one."""

    pools: tuple[Pool, ...] = ()
    time_s: Times = field(default_factory=lambda: np.empty(0, np.int64))
    """Shape (T,): epoch seconds, ascending."""
    instability: Floats = field(default_factory=lambda: np.empty((0, 0)))
    """Shape (T, P): probability; NaN if the pool was not known then."""
    advisor_bucket: Buckets = field(default_factory=lambda: np.empty((0, 0), np.int8))
    """Shape (T, P): 0 to 4, -1 without an entry."""

    def with_observation(
        self, pools: tuple[Pool, ...], time_s: int, instability: Floats, advisor_bucket: Buckets
    ) -> "SafetyHistory":
        """Add or replace the observation at ``time_s``, for ``pools``; drop those older than two
        hours."""
        keep = (self.time_s > time_s - KEPT_S) & (self.time_s != time_s)
        row = {pool: column for column, pool in enumerate(self.pools)}
        source = np.array([row.get(pool, -1) for pool in pools], dtype=np.int64)
        is_known = source >= 0
        past_instability = np.full((int(keep.sum()), len(pools)), np.nan)
        past_bucket = np.full(past_instability.shape, NO_BUCKET, dtype=np.int8)
        past_instability[:, is_known] = self.instability[keep][:, source[is_known]]
        past_bucket[:, is_known] = self.advisor_bucket[keep][:, source[is_known]]
        times = np.append(self.time_s[keep], np.int64(time_s))
        order = np.argsort(times)
        return SafetyHistory(
            pools,
            times[order],
            np.vstack((past_instability, instability))[order],
            np.vstack((past_bucket, advisor_bucket))[order],
        )

    def worst(self, at_s: int, recent_minutes: float) -> tuple[Floats, Buckets]:
        """Highest instability and bucket of each pool, both (P,), in force at any moment of the
        last ``recent_minutes`` up to ``at_s``. Unknown values do not count."""
        in_force = int(np.searchsorted(self.time_s, at_s - recent_minutes * 60, side="right")) - 1
        recent = slice(max(in_force, 0), int(np.searchsorted(self.time_s, at_s, side="right")))
        return (
            np.fmax.reduce(self.instability[recent], axis=0, initial=np.nan),
            np.max(self.advisor_bucket[recent], axis=0, initial=NO_BUCKET),
        )

    def to_bytes(self) -> bytes:
        """A compressed npz archive; equal histories give equal bytes."""
        return pack_columns(
            _KIND,
            _VERSION,
            {
                **pools_to_columns(self.pools),
                "time_s": self.time_s,
                "instability": self.instability,
                "advisor_bucket": self.advisor_bucket,
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "SafetyHistory":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        names = (*POOL_COLUMNS, "time_s", "instability", "advisor_bucket")
        stored = unpack_columns(data, _KIND, _VERSION, names)
        pools = pools_from_columns(stored)
        shape = (len(stored["time_s"]), len(pools))
        for name in ("instability", "advisor_bucket"):
            if stored[name].shape != shape:
                raise DamagedState(f"{_KIND}: {name} has shape {stored[name].shape}, not {shape}")
        return cls(pools, stored["time_s"], stored["instability"], stored["advisor_bucket"])
