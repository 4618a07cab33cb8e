"""One cycle of the pure core: `.venv/bin/python benchmarks/decide_many.py [ENGINE ...]`.

Sizes are workloads x pools; every workload has a use of its own, which no other shares.
"""

import os
import platform
import resource
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time

import numpy as np

from simulator.market.on_demand import on_demand_prices
from simulator.world.catalog import instance_types
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.instance_types import parse_instance_types
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import Lifecycle, Pool

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONES = tuple(f"us-east-1{letter}" for letter in "abcdef")
HOMES = ("m5.large", "c5.xlarge", "r5.2xlarge", "m6i.large", "c6a.xlarge")


def world(workloads: int, pools: int, engine: str, rng: np.random.Generator) -> World:
    """A market with drawn prices and as many workloads."""
    types, _ = parse_instance_types(instance_types().values())
    prices = on_demand_prices(types)
    names = [Pool(name, zone) for name in sorted(prices) for zone in ZONES][:pools]
    list_price = np.array([prices[pool.instance_type] for pool in names])
    price = list_price * rng.uniform(0.2, 0.5, len(names))
    calm = np.zeros(len(names))
    bucket = rng.integers(0, 5, len(names)).astype(np.int8)
    market = MarketSnapshot(
        as_of=NOW, forecaster="last-price", degraded="", pools=tuple(names), price=price,
        forecast_p05=price, forecast_p50=price, forecast_p95=price, forecast_mean=price,
        volatility_24h=calm, rise_volatility_24h=calm, volatility_7d=calm,
        instability=calm + 0.5, advisor_bucket=bucket, rise_volatility_worst_recent=calm,
        instability_worst_recent=calm + 0.5, advisor_bucket_worst_recent=bucket,
        history_s=calm + 1e6,
    )  # fmt: skip
    subnets = {zone: f"subnet-{zone[-1]}" for zone in ZONES}
    first = WorkloadView(
        workload_id="w", instance_id="i-0123456789abcdef0", instance_type="m5.large",
        availability_zone=ZONES[0], lifecycle=Lifecycle.SPOT, launched_at=NOW - timedelta(days=9),
        home_type="m5.large", settings=Settings(dry_run=False, engine=engine), subnets=subnets,
    )  # fmt: skip
    views = tuple(
        replace(
            first,
            workload_id=f"w-{number}",
            instance_type=HOMES[number % len(HOMES)],
            home_type=HOMES[number % len(HOMES)],
            availability_zone=ZONES[number % len(ZONES)],
            usage=Usage(NOW, float(vcpu), float(memory_gib), 168.0),
        )
        for number, (vcpu, memory_gib) in enumerate(rng.uniform((0.2, 1), (3, 9), (workloads, 2)))
    )
    offered = {name: frozenset(ZONES) for name in types}
    return World(views, market, Catalog(types, prices, offered))


def main() -> None:
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    for engine in sys.argv[1:] or BUILT_IN:
        for workloads, pools in ((1_000, 1_500), (10_000, 3_000)):
            made = world(workloads, pools, engine, np.random.default_rng(1))
            began, began_cpu = perf_counter(), process_time()
            decide(made, NOW, region="us-east-1")
            seconds, cpu = perf_counter() - began, process_time() - began_cpu
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{engine:<14}{workloads:>6} x {pools}: {seconds:6.2f} s, of these {cpu:6.2f} s on the"
                f" core, peak memory {peak_mib:.0f} MiB"
            )


if __name__ == "__main__":
    main()
