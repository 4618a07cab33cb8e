"""Small worlds to decide upon, built from what a test wants to say."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import Lifecycle, Pool

NOW = datetime(2025, 6, 3, 15, 0, tzinfo=UTC)
REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ACTING = Settings(engine="forecast", dry_run=False)
"""The truth table decides, whose rows are fixed by thresholds that a test can sit on."""
HOME_ON_DEMAND = 0.100
"""The home type's list price is round, so that a point of discount is 0.001 USD per hour."""


def instance_type(name: str, vcpu: int, memory_gib: float, **facts: object) -> InstanceType:
    """An x86_64 Nitro type unless ``facts`` say otherwise."""
    usual: dict[str, object] = {
        "architecture": "x86_64",
        "burstable": False,
        "bare_metal": False,
        "hypervisor": "nitro",
        "gpus": 0,
        "instance_store": False,
        "spot": True,
        "current_generation": True,
    }
    return InstanceType(name, vcpu, memory_gib, **(usual | facts))  # type: ignore[arg-type]


TYPES = {
    t.name: t
    for t in (
        instance_type("m5.large", 2, 8.0),
        instance_type("m5.xlarge", 4, 16.0),
        instance_type("m5.2xlarge", 8, 32.0),
        instance_type("m5a.large", 2, 8.0),
        instance_type("m5a.xlarge", 4, 16.0),
        instance_type("c5.large", 2, 4.0),
        instance_type("r5.large", 2, 16.0),
        instance_type("c5.xlarge", 4, 8.0),
        instance_type("m6g.xlarge", 4, 16.0, architecture="arm64"),
        instance_type("t3.xlarge", 4, 16.0, burstable=True),
    )
}
ON_DEMAND = {
    "m5.large": 0.050,
    "m5.xlarge": 0.100,
    "m5.2xlarge": 0.200,
    "m5a.large": 0.045,
    "m5a.xlarge": 0.090,
    "c5.large": 0.0425,
    "r5.large": 0.063,
    "c5.xlarge": 0.085,
    "m6g.xlarge": 0.080,
    "t3.xlarge": 0.083,
}
CATALOG = Catalog(TYPES, ON_DEMAND, {name: frozenset(ZONES) for name in TYPES})
HOME = "m5.xlarge"
HERE = Pool(HOME, ZONES[0])

QUIET: Mapping[str, float] = {
    "forecast_p95": float("nan"),
    "rise_volatility_24h": 0.0,
    "volatility_7d": 0.0,
    "instability": 0.1,
    "advisor_bucket": 0,
    "rise_volatility_worst_recent": 0.0,
    "instability_worst_recent": 0.1,
    "advisor_bucket_worst_recent": 0,
    "history_s": 90 * 86400.0,
}
"""Facts of a safe, confirmed pool."""


Facts = Mapping[Pool, Mapping[str, float] | float]
"""Each pool's price alone (a safe pool), or its facts by column name with ``price``."""


def market(pools: Facts, *, age: timedelta = timedelta()) -> MarketSnapshot:
    """A market from price alone (a safe pool) or from facts by column name with ``price``.

    ``forecast_mean`` follows the price, the 95 % price is 2 % above it, unless given.
    """
    facts = [
        {**QUIET, **({"price": given} if isinstance(given, float) else given)}
        for given in pools.values()
    ]

    def column(name: str, default: str = "price", factor: float = 1.0) -> np.ndarray:
        values = [f.get(name, f[default] * factor) for f in facts]
        return np.array(values, dtype=np.float64)

    p95 = np.array(
        [f["price"] * 1.02 if np.isnan(f["forecast_p95"]) else f["forecast_p95"] for f in facts]
    )
    buckets = {
        name: column(name).astype(np.int8)
        for name in ("advisor_bucket", "advisor_bucket_worst_recent")
    }
    return MarketSnapshot(
        as_of=NOW - age,
        forecaster="last-price 1",
        degraded="",
        pools=tuple(pools),
        price=column("price"),
        forecast_p05=column("forecast_mean", factor=0.98),
        forecast_p50=column("forecast_mean"),
        forecast_p95=p95.reshape(len(facts)),
        forecast_mean=column("forecast_mean"),
        rise_volatility_24h=column("rise_volatility_24h"),
        volatility_7d=column("volatility_7d"),
        instability=column("instability"),
        rise_volatility_worst_recent=column("rise_volatility_worst_recent"),
        instability_worst_recent=column("instability_worst_recent"),
        history_s=column("history_s"),
        **buckets,
    )


def workload(**changes: object) -> WorkloadView:
    """A workload on spot m5.xlarge in zone a, with a subnet in every zone."""
    usual = WorkloadView(
        workload_id="web-1",
        instance_id="i-0123456789abcdef0",
        instance_type=HOME,
        availability_zone=ZONES[0],
        lifecycle=Lifecycle.SPOT,
        launched_at=NOW - timedelta(days=3),
        home_type=HOME,
        settings=ACTING,
        subnets={zone: (f"subnet-{zone[-1]}",) for zone in ZONES},
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def over_provisioned(*, memory_p95_gib: float | None = 2.0, hours: float = 168.0) -> Usage:
    """Uses 0.5 of 4 vCPU and 2 of 16 GiB."""
    return Usage(NOW, 0.5, memory_p95_gib, hours)


def under_provisioned(*, cpu: bool = True, memory: bool = False) -> Usage:
    """Above 80 % of m5.xlarge in the last half hour."""
    return Usage(
        NOW,
        2.0,
        6.0,
        168.0,
        recent_cpu_vcpu=(1.0,) * 6 + ((3.9 if cpu else 1.0),) * 6,
        recent_memory_gib=(4.0,) * 6 + ((15.0 if memory else 4.0),) * 6,
    )


def decide_one(view: WorkloadView, pools: Facts) -> Decision:
    """The decision on one workload in a market."""
    return decide(World((view,), market(pools), CATALOG), NOW, region=REGION)[0]


def target_of(decision: Decision) -> Pool:
    """Where the best candidate is."""
    best = decision.candidates[0]
    return Pool(best.instance_type, best.availability_zone)
