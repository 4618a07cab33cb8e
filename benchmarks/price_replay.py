"""What an engine costs over a span of prices, beside the clairvoyant optimum:
`.venv/bin/python benchmarks/price_replay.py [ENGINE] [PRICES ON_DEMAND] [HOME ...]`.

Every hour the engine judges, as in a cycle, by the last price; nothing is ever interrupted. The
optimum knows all prices and pays for its switches what the engine's do. Without files the built-in
market is replayed. All prices of the built-in market are simulated.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from price_files.on_demand import read_on_demand
from simulator.market.builtin import generate_market
from simulator.market.history import PriceHistory
from simulator.market.on_demand import on_demand_prices
from simulator.market.recorded import read_prices
from simulator.world.catalogue import instance_types
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.expected_cost import switch_usd
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.model import WorkloadView, World
from spot_optimizer.decision.situation import situation_of
from spot_optimizer.market.catalog import Catalog, fits_machine
from spot_optimizer.market.instance_types import parse_instance_types
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from spot_optimizer.words import Lifecycle, Pool

HOUR_S = 3_600
HOMES = ("m5.large", "c5.xlarge", "r5.2xlarge", "m5.4xlarge")


@dataclass(frozen=True)
class Replay:
    """USD with switches, and the number of switches, of an engine and of the optimum."""

    home: str
    pools: int
    engine_usd: float
    engine_switches: int
    optimum_usd: float
    optimum_switches: int

    @property
    def above_fraction(self) -> float:
        return self.engine_usd / self.optimum_usd - 1

    @property
    def switches_allowed(self) -> float:
        return 1.5 * self.optimum_switches + 1


def replay(
    history: PriceHistory,
    on_demand_usd_per_hour: dict[str, float],
    home: str,
    start: datetime,
    hours: int,
    settings: Settings,
) -> Replay:
    """One workload that begins in the cheapest of the pools that it fits."""
    types, _ = parse_instance_types(instance_types().values())
    prices = {name: usd for name, usd in on_demand_usd_per_hour.items() if name in types}
    fitting = [
        pool
        for pool in history.pools
        if pool.instance_type in prices and _fits(types, pool.instance_type, home)
    ]
    grid = int(start.timestamp()) + HOUR_S * np.arange(hours)
    fitted = history.restrict(fitting)
    by_hour = fitted.prices_on(grid).T
    known = ~np.isnan(by_hour).any(axis=0)
    by_hour = by_hour[:, known]
    pools = [Pool(*pool) for pool, there in zip(fitted.pools, known, strict=True) if there]
    catalog = Catalog(types, prices, {n: frozenset(p.availability_zone for p in pools) for n in types})
    # It uses what the home type has: no smaller type will do, and every larger one may be left again.
    used = Usage(start, 0.8 * types[home].vcpu, 0.8 * types[home].memory_gib, 168.0, (), (), 0.0, 0.0)
    first = int(np.argmin(by_hour[0]))
    view = replace(_workload(home, pools[first], pools, settings, start), usage=used)
    usd, switches = 0.0, 0
    for hour in range(hours):
        now = start + timedelta(hours=hour)
        market = _snapshot(now, pools, by_hour[hour])
        decision = decide(World((view,), market, catalog), now, region="us-east-1")[0]
        if decision.candidates and not decision.held_by:
            target = decision.candidates[0]
            usd += switch_usd(situation_of(view, MarketTable(market, catalog, False), now))
            switches += 1
            view = replace(
                view,
                instance_type=target.instance_type,
                availability_zone=target.availability_zone,
                lifecycle=target.lifecycle,
                launched_at=now,
            )
        usd += _price(view, pools, by_hour[hour], prices)
    return Replay(home, len(pools), usd, switches, *optimum(by_hour, prices[home], first, settings))


def optimum(
    by_hour: NDArray[np.float64], home_on_demand: float, first: int, settings: Settings
) -> tuple[float, int]:
    """The least that hours and switches can cost, beginning in pool ``first``, by going through the
    (hours, pools) prices from the end; and its switches."""
    overlap_hours = settings.switch_overlap_minutes / 60
    lost_usd = settings.switch_lost_minutes / 60 * home_on_demand
    rest = np.zeros(by_hour.shape[1])
    best, moves = [], []
    for prices in by_hour[::-1]:
        staying = prices + rest
        best.append(int(np.argmin(staying)))
        moving = overlap_hours * prices + lost_usd + staying[best[-1]]
        moves.append(moving < staying)
        rest = np.minimum(staying, moving)
    here, switches = first, 0
    for target, moves_now in zip(best[::-1], moves[::-1], strict=True):
        if moves_now[here]:
            here, switches = target, switches + 1
    return float(rest[first]), switches


def builtin_replays(seed: int, days: int, homes: Sequence[str], settings: Settings) -> list[Replay]:
    """Replays on the built-in market."""
    start = datetime(2026, 3, 2, tzinfo=UTC)
    names = [f"{f}.{s}" for f in ("m5", "m5a", "c5", "r5", "m6i") for s in ("large", "xlarge", "2xlarge")]
    on_demand = on_demand_prices(names)
    history = generate_market(
        seed=seed,
        start=start,
        end=start + timedelta(days=days),
        zones=[f"us-east-1{letter}" for letter in "abcd"],
        on_demand_usd_per_hour=on_demand,
        instance_types=names,
    )
    return [replay(history, on_demand, home, start, 24 * days, settings) for home in homes]


def _fits(types: dict[str, object], name: str, home: str) -> bool:
    kind, own = types.get(name), types[home]
    if kind is None:
        return False
    large_enough = kind.vcpu >= own.vcpu and kind.memory_gib >= own.memory_gib  # type: ignore[attr-defined]
    return bool(large_enough and fits_machine(kind, own))  # type: ignore[arg-type]


def _workload(
    home: str, pool: Pool, pools: Sequence[Pool], settings: Settings, start: datetime
) -> WorkloadView:
    return WorkloadView(
        workload_id="replayed",
        instance_id="i-0123456789abcdef0",
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        lifecycle=Lifecycle.SPOT,
        launched_at=start,
        home_type=home,
        settings=settings,
        subnets={p.availability_zone: f"subnet-{p.availability_zone}" for p in pools},
    )


def _price(
    view: WorkloadView,
    pools: Sequence[Pool],
    prices: NDArray[np.float64],
    on_demand: dict[str, float],
) -> float:
    if view.lifecycle is Lifecycle.ON_DEMAND:
        return on_demand[view.instance_type]
    return float(prices[pools.index(view.pool)])


def _snapshot(
    now: datetime, pools: Sequence[Pool], price: NDArray[np.float64]
) -> MarketSnapshot:
    calm = np.zeros(len(pools))
    unknown = np.full(len(pools), -1, dtype=np.int8)
    return MarketSnapshot(
        as_of=now, forecaster="last price", degraded="", pools=tuple(pools), price=price,
        forecast_p05=price, forecast_p50=price, forecast_p95=price, forecast_mean=price,
        volatility_24h=calm, rise_volatility_24h=calm, volatility_7d=calm,
        instability=calm + 0.5, advisor_bucket=unknown, rise_volatility_worst_recent=calm,
        instability_worst_recent=calm + 0.5, advisor_bucket_worst_recent=unknown,
        history_s=calm + 1e6,
    )  # fmt: skip


def main() -> None:
    engine, *rest = [*sys.argv[1:], "expected_cost"][: max(1, len(sys.argv) - 1)]
    settings = Settings(
        dry_run=False, engine=engine, interruption_cost_minutes=0, switches_per_day_max=100
    )
    if len(rest) >= 2:
        recorded = read_prices(Path(rest[0]))
        on_demand = read_on_demand(Path(rest[1]), recorded.region)
        start = recorded.history.start.replace(minute=0, second=0) + timedelta(days=2)
        hours = int((recorded.history.end - start).total_seconds()) // HOUR_S
        replays = [
            replay(recorded.history, on_demand, home, start, hours, settings)
            for home in rest[2:] or HOMES
        ]
    else:
        replays = [r for seed in (1, 2, 3) for r in builtin_replays(seed, 14, HOMES[:3], settings)]
    for each in replays:
        print(
            f"{engine} {each.home:<12}{each.pools:>4} pools: {each.engine_usd:10.4f} USD,"
            f" {100 * each.above_fraction:6.3f} % above the optimum, {each.engine_switches} switches,"
            f" the optimum {each.optimum_switches}"
        )
    mean = sum(each.above_fraction for each in replays) / len(replays)
    within = sum(each.engine_switches <= each.switches_allowed for each in replays)
    print(f"mean {100 * mean:.3f} % above; switches within 1.5 x + 1 in {within} of {len(replays)}")


if __name__ == "__main__":
    main()
