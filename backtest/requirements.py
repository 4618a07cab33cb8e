"""What a workload needs, and the places of a period in which it could run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backtest.period import Period
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.rightsizing import want_at_least_home
from spot_optimizer.decision.situation import CannotJudge, situation_of
from spot_optimizer.decision.stages import Reason, screen
from spot_optimizer.decision.world import WorkloadView
from spot_optimizer.market.prices import Floats
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    Lifecycle,
    Mode,
    Pool,
)

_USED_FRACTION = 0.8
"""Of the home type's size: with the headroom of 1.2 nothing smaller will do, and every larger type
may be left again. Network and disks are idle, so that urgent switches choose among the same pools."""
_SIZE_DOES_NOT_SPEAK_AGAINST = (
    Reason.CANDIDATE,
    Reason.NO_PRICE,
    Reason.NOT_CHEAPER_THAN_ON_DEMAND,
    Reason.CURRENT,
)


@dataclass(frozen=True)
class Requirement:
    """A future workload: the smallest type that it needs, and what it allows."""

    name: str
    home_type: str
    type_globs: tuple[str, ...]
    settings: Settings


@dataclass(frozen=True, eq=False)
class Case:
    """A requirement in a period: K pools and, as the last place, the home type on-demand."""

    requirement: Requirement
    period: Period
    columns: NDArray[np.int64]
    """Shape (K,): of the period's pools."""
    price: Floats
    """Shape (T, K + 1), as all below: in force when an hour begins; NaN where unknown."""
    billed: Floats
    rate_per_hour: Floats
    """Shape (K + 1,): interruptions per hour; none on-demand."""
    on_demand_usd_per_hour: float
    view: WorkloadView
    """The workload as a cycle sees it, in one of its pools."""

    @cached_property
    def drawn_columns(self) -> NDArray[np.int64]:
        """Shape (K + 1,): of the places among the draws of interruptions, where on-demand is last."""
        return np.append(self.columns, -1)

    @property
    def on_demand(self) -> int:
        """The place that is on-demand."""
        return len(self.columns)

    def pool(self, place: int) -> Pool:
        """The pool of a place that is one."""
        return self.period.pools[int(self.columns[place])]


def case_of(period: Period, requirement: Requirement, rate_per_hour: Floats) -> Case:
    """The places of a requirement, by the product's own rules of compatibility.

    ``rate_per_hour`` (P,) is of the period's pools. Raises ValueError where no pool is left, or the
    home type is unknown or has no on-demand price.
    """
    view = _view(period, requirement)
    columns = _fitting(period, view)
    if not len(columns):
        globs = ", ".join(requirement.type_globs)
        raise ValueError(
            f"{requirement.home_type}: {period.region} has prices of no type that fits it and is"
            f" among {globs}; allowed are types in the file, such as {_some_types(period)}"
        )
    on_demand = period.catalog.on_demand_usd_per_hour[requirement.home_type]
    constant = np.full((period.hours, 1), on_demand)
    return Case(
        requirement=requirement,
        period=period,
        columns=columns,
        price=np.hstack((period.price[:, columns], constant)),
        billed=np.hstack((period.billed[:, columns], constant)),
        rate_per_hour=np.append(rate_per_hour[columns], 0.0),
        on_demand_usd_per_hour=on_demand,
        view=view,
    )


def _some_types(period: Period) -> str:
    return ", ".join(sorted({pool.instance_type for pool in period.pools})[:8])


def _view(period: Period, requirement: Requirement) -> WorkloadView:
    home = period.catalog.types.get(requirement.home_type)
    if home is None:
        raise ValueError(
            f"--instance-type {requirement.home_type}: there is no such type in the catalog"
        )
    start = datetime.fromtimestamp(period.start_s, UTC)
    zones = {pool.availability_zone for pool in period.pools}
    return WorkloadView(
        workload_id=requirement.name,
        instance_id="i-0123456789abcdef0",
        instance_type=home.name,
        availability_zone=min(zones),
        lifecycle=Lifecycle.ON_DEMAND,
        launched_at=start,
        home_type=home.name,
        settings=requirement.settings,
        mode=Mode.AUTO,
        type_globs=requirement.type_globs,
        subnets={zone: (f"subnet-{zone}",) for zone in sorted(zones)},
        usage=Usage(
            start,
            _USED_FRACTION * home.vcpu,
            _USED_FRACTION * home.memory_gib,
            hours=168.0,
            network_used_gbps=0.0,
            ebs_used_mbps=0.0,
        ),
    )


def _fitting(period: Period, view: WorkloadView) -> NDArray[np.int64]:
    """The columns that the product's own screening leaves for this workload."""
    now = datetime.fromtimestamp(period.start_s, UTC)
    table = MarketTable(_blank(period, now), period.catalog, quiet_hour=False)
    try:
        want = want_at_least_home(situation_of(view, table, now), None)
    except CannotJudge as refusal:
        raise ValueError(f"--instance-type {view.home_type}: {refusal}") from refusal
    codes = screen(table, want)
    ever = np.isfinite(period.billed).any(axis=0)
    fits = np.isin(codes, [int(r) for r in _SIZE_DOES_NOT_SPEAK_AGAINST]) & ever
    return np.flatnonzero(fits).astype(np.int64)


def _blank(period: Period, now: datetime) -> MarketSnapshot:
    """A market in which only its type and zone can exclude a pool."""
    nothing = np.zeros(len(period.pools))
    low = nothing + 1e-6
    bucket = nothing.astype(np.int8)
    return MarketSnapshot(
        as_of=now, forecaster="", degraded="", pools=period.pools, price=low, forecast_p05=low,
        forecast_p50=low, forecast_p95=low, forecast_mean=low,
        rise_volatility_24h=nothing, volatility_7d=nothing, instability=nothing,
        advisor_bucket=bucket, rise_volatility_worst_recent=nothing,
        instability_worst_recent=nothing, advisor_bucket_worst_recent=bucket,
        history_s=nothing + 1e9,
    )  # fmt: skip


def fitting_types(cases: Sequence[Case]) -> int:
    """How many types the cases may use in all."""
    return len({case.period.pools[c].instance_type for case in cases for c in case.columns})
