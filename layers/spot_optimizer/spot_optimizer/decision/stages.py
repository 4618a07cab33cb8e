"""The ordered stages that remove pools, each with its reason.

A stage is a reason and a pure function that marks the pools to remove; the first stage that removes a
pool gives the reason on record. Pools that cannot host the workload are removed first, then unsafe
ones, then those that cost too much.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.market_table import Bools, Codes, MarketTable
from spot_optimizer.decision.risk import ADVISOR_BUCKET_WORST
from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.settings import Settings


class Reason(IntEnum):
    """Why a pool is no candidate, in the order of the stages; CANDIDATE if no stage removed it."""

    CANDIDATE = 0
    NO_PRICE = 1
    NO_ON_DEMAND_PRICE = 2
    INCOMPATIBLE = 3
    NOT_IN_TYPES = 4
    NO_SUBNET = 5
    TOO_SMALL = 6
    TOO_LARGE = 7
    TOO_SLOW = 8
    CANNOT_BOOT = 9
    REFUSED_LATELY = 10
    NO_HISTORY = 11
    VOLATILE = 12
    UNSTABLE = 13
    OFTEN_INTERRUPTED = 14
    SIGNALLED = 15
    UNCONFIRMED = 16
    NOT_CHEAPER_THAN_ON_DEMAND = 17
    GAIN_TOO_SMALL = 18
    CURRENT = 19

    @property
    def label(self) -> str:
        """The reason in words, the same for all pools; rejected pools are counted by it."""
        return _LABELS[self]


_LABELS = {
    Reason.CANDIDATE: "candidate",
    Reason.NO_PRICE: "no price",
    Reason.NO_ON_DEMAND_PRICE: "no on-demand price",
    Reason.INCOMPATIBLE: "does not fit the home type",
    Reason.NOT_IN_TYPES: "not in the allowed types",
    Reason.NO_SUBNET: "no subnet to use in the zone",
    Reason.TOO_SMALL: "too small",
    Reason.TOO_LARGE: "too large",
    Reason.TOO_SLOW: "slower network or disks than used",
    Reason.CANNOT_BOOT: "cannot boot the image",
    Reason.REFUSED_LATELY: "refused a launch lately",
    Reason.NO_HISTORY: "no price history",
    Reason.VOLATILE: "volatile",
    Reason.UNSTABLE: "instability",
    Reason.OFTEN_INTERRUPTED: "advisor > 20 %",
    Reason.SIGNALLED: "signalled in the last 2 h",
    Reason.UNCONFIRMED: "not safe for long enough yet",
    Reason.NOT_CHEAPER_THAN_ON_DEMAND: "not below on-demand",
    Reason.GAIN_TOO_SMALL: "gain too small",
    Reason.CURRENT: "the current pool",
}


class Safety(NamedTuple):
    """The limits of a safe pool."""

    rise_volatility_max: float
    """Inclusive; standard deviation / mean of the rises in 24 h."""
    instability_max: float
    """Exclusive; probability."""

    @classmethod
    def of(cls, settings: Settings) -> "Safety":
        """The limits that a workload's settings set."""
        return cls(
            settings.volatility_baseline * settings.volatility_factor, settings.instability_max
        )


@dataclass(frozen=True, slots=True)
class Want:
    """What a row of the decision table selects pools by. Hashable: equal wants share their result."""

    home: InstanceType
    home_on_demand_usd_per_hour: float
    globs: tuple[str, ...]
    zones: frozenset[str]
    """Zones in which the workload has a subnet."""
    safety: Safety | None
    """None if the engine weighs risk instead of excluding unsafe pools."""
    vcpu_min: float
    memory_min_gib: float
    image: Image = field(default_factory=Image)
    may_burst: bool = False
    """The workload allows burstable types in place of others."""
    network_gbps_min: float = 0.0
    ebs_mbps_min: float = 0.0
    avoid_refused: bool = True
    """Exclude pools that refused a launch lately; a failover tries them last instead."""
    confirm_s: float | None = None
    """Seconds for which a pool must have been safe; None if it is enough to be safe now."""
    smaller_than_home: bool = False
    """Not more vCPU nor memory than the home type, and less of one."""
    type_on_demand_max_usd_per_hour: float | None = None
    """Highest list price of the type. If it is set, the forecast must be below the list price of the
    type itself, else below that of the home type."""


def safety_codes(table: MarketTable, safety: Safety) -> Codes:
    """CANDIDATE for a pool that is safe now, else the first reason why it is not. (P,), shared.

    An unknown advisor bucket does not count as > 20 %; unknown volatility or instability is not safe.
    """
    market = table.market
    return _safety_codes(
        table,
        ("now", safety),
        (market.rise_volatility_24h, market.instability, market.advisor_bucket),
        safety,
    )


def confirmed_codes(table: MarketTable, safety: Safety | None, confirm_s: float) -> Codes:
    """UNCONFIRMED for a pool that was not safe during the whole confirmation time; without limits, one
    whose history is shorter. (P,), shared."""
    key = ("confirmed", safety, confirm_s)
    if key not in table.shared_codes:
        market = table.market
        if safety is None:
            young = market.history_s < confirm_s
            table.shared_codes[key] = np.where(young, Reason.UNCONFIRMED, Reason.CANDIDATE).astype(
                np.int8
            )
            return table.shared_codes[key]
        worst = _safety_codes(
            table,
            ("worst", safety),
            (
                market.rise_volatility_worst_recent,
                market.instability_worst_recent,
                market.advisor_bucket_worst_recent,
            ),
            safety,
        )
        confirmed = (worst == Reason.CANDIDATE) & (market.history_s >= confirm_s)
        table.shared_codes[key] = np.where(confirmed, Reason.CANDIDATE, Reason.UNCONFIRMED).astype(
            np.int8
        )
    return table.shared_codes[key]


def screen(table: MarketTable, want: Want) -> Codes:
    """The reason of the first stage that removes each pool, else CANDIDATE. (P,), shared.

    The workload's current pool and signals are not considered here, because they differ between
    workloads that are otherwise equal.
    """
    if want not in table.shared_codes:
        codes = np.zeros(len(table.market.pools), dtype=np.int8)
        for reason, removes in _STAGES:
            codes[(codes == Reason.CANDIDATE) & removes(table, want)] = reason
        table.shared_codes[want] = codes
    return table.shared_codes[want]


def _safety_codes(
    table: MarketTable,
    key: object,
    columns: tuple[Floats, Floats, np.ndarray[tuple[int, ...], np.dtype[np.int8]]],
    safety: Safety,
) -> Codes:
    if key not in table.shared_codes:
        rises, instability, buckets = columns
        table.shared_codes[key] = np.select(
            [
                np.isnan(rises) | np.isnan(instability),
                rises > safety.rise_volatility_max,
                instability >= safety.instability_max,
                buckets == ADVISOR_BUCKET_WORST,
            ],
            [
                Reason.NO_HISTORY,
                Reason.VOLATILE,
                Reason.UNSTABLE,
                Reason.OFTEN_INTERRUPTED,
            ],
            Reason.CANDIDATE,
        ).astype(np.int8)
    return table.shared_codes[key]


def _too_small(table: MarketTable, want: Want) -> Bools:
    small: Bools = (table.vcpu < want.vcpu_min) | (table.memory_gib < want.memory_min_gib)
    return small


def _too_large(table: MarketTable, want: Want) -> Bools:
    too_large = np.zeros(len(table.market.pools), dtype=np.bool_)
    if want.smaller_than_home:
        home = want.home
        too_large |= (table.vcpu > home.vcpu) | (table.memory_gib > home.memory_gib)
        too_large |= (table.vcpu == home.vcpu) & (table.memory_gib == home.memory_gib)
    if want.type_on_demand_max_usd_per_hour is not None:
        too_large |= table.on_demand > want.type_on_demand_max_usd_per_hour
    return too_large


def _too_slow(table: MarketTable, want: Want) -> Bools:
    # NaN (EC2 states no figure) compares as not slower.
    slow: Bools = (table.network_gbps < want.network_gbps_min) | (
        table.ebs_mbps < want.ebs_mbps_min
    )
    return slow


def _unsafe_for(reason: Reason) -> Callable[[MarketTable, Want], Bools]:
    def removes(table: MarketTable, want: Want) -> Bools:
        if want.safety is None:
            return table.nowhere
        unsafe: Bools = safety_codes(table, want.safety) == reason
        return unsafe

    return removes


def _unconfirmed(table: MarketTable, want: Want) -> Bools:
    if want.confirm_s is None:
        return table.nowhere
    codes = confirmed_codes(table, want.safety, want.confirm_s)
    unconfirmed: Bools = codes == Reason.UNCONFIRMED
    return unconfirmed


def _not_cheaper(table: MarketTable, want: Want) -> Bools:
    own = want.type_on_demand_max_usd_per_hour is not None
    limit = table.on_demand if own else want.home_on_demand_usd_per_hour
    expensive: Bools = table.market.forecast_mean >= limit
    return expensive


_STAGES: tuple[tuple[Reason, Callable[[MarketTable, Want], Bools]], ...] = (
    (Reason.NO_PRICE, lambda table, _: ~table.usable_price),
    (Reason.NO_ON_DEMAND_PRICE, lambda table, _: ~(table.on_demand > 0)),
    (
        Reason.INCOMPATIBLE,
        lambda table, want: ~table.compatible(want.home, may_burst=want.may_burst),
    ),
    (Reason.NOT_IN_TYPES, lambda table, want: ~table.in_types(want.globs)),
    (Reason.NO_SUBNET, lambda table, want: ~table.in_zones(want.zones)),
    (Reason.TOO_SMALL, _too_small),
    (Reason.TOO_LARGE, _too_large),
    (Reason.TOO_SLOW, _too_slow),
    (Reason.CANNOT_BOOT, lambda table, want: ~table.boots(want.image)),
    (
        Reason.REFUSED_LATELY,
        lambda table, want: table.refused_lately if want.avoid_refused else table.nowhere,
    ),
    (Reason.NO_HISTORY, _unsafe_for(Reason.NO_HISTORY)),
    (Reason.VOLATILE, _unsafe_for(Reason.VOLATILE)),
    (Reason.UNSTABLE, _unsafe_for(Reason.UNSTABLE)),
    (Reason.OFTEN_INTERRUPTED, _unsafe_for(Reason.OFTEN_INTERRUPTED)),
    (Reason.UNCONFIRMED, _unconfirmed),
    (Reason.NOT_CHEAPER_THAN_ON_DEMAND, _not_cheaper),
)
