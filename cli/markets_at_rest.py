"""A market at one moment, from a file or generated, without an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import typer

from cli.simulate import market_of
from simulator.limits import LIMITS
from simulator.market.history import PriceHistory
from simulator.markets import Market
from simulator.world import World
from simulator.world.catalog import instance_types
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.quiet_hours import is_quiet_hour
from spot_optimizer.forecast.forecaster import unknown_instability
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.safety_history import SafetyHistory
from spot_optimizer.forecast.snapshot_builder import build_snapshot
from spot_optimizer.market.advisor import AdvisorFileChanged, parse_advisor
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.instance_types import parse_instance_types
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool

_LOOK_BACK = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class MarketAtRest:
    """A market at ``now``, with its source in words."""

    table: MarketTable
    now: datetime
    source: str
    dropped: Mapping[str, int]
    """Reason -> rows, or pools, of the file that are left out."""


def market_at_rest(
    prices: Path | None,
    on_demand: Path | None,
    advisor: Path | None,
    at: datetime | None,
    seed: int,
) -> MarketAtRest:
    """The market of a file at ``at`` (default: its end), or the built-in one. The last price is the
    forecast. Raises typer.BadParameter for options that cannot be used."""
    if at is not None and prices is None:
        raise typer.BadParameter("--at requires --prices; the built-in market has one time")
    market = market_of(prices, on_demand, None, 0.5, seed, None)
    now = _moment(market, at) if prices is not None else market.start
    changes = changes_until(market.prices, now)
    snapshot, _ = build_snapshot(
        changes,
        as_of=now,
        now=now,
        advisor_buckets=_advisor(advisor, market, seed, is_built_in=prices is None),
        forecaster=LastPrice(),
        instability=unknown_instability(changes),
        degraded="the last price is the forecast",
        previous=SafetyHistory(),
        confirm_safe_minutes=0,
    )
    types, _ = parse_instance_types(instance_types().values())
    zones: dict[str, frozenset[str]] = {}
    for pool in changes.pools:
        held = zones.get(pool.instance_type, frozenset())
        zones[pool.instance_type] = held | {pool.availability_zone}
    listed = {n: usd for n, usd in market.on_demand_usd_per_hour.items() if n in types}
    catalog = Catalog(types, listed, zones)
    table = MarketTable(snapshot, catalog, is_quiet_hour(now, market.region))
    return MarketAtRest(table, now, f"{market.source}, {now:%Y-%m-%d %H:%M} UTC", market.dropped)


def changes_until(history: PriceHistory, now: datetime) -> PriceChanges:
    """The pools that had a price at ``now``, with the changes of the last eight days."""
    order = sorted(range(len(history.pools)), key=lambda i: history.pools[i])
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    index = place[np.repeat(np.arange(len(order)), np.diff(history.offsets))]
    rows = np.argsort(index, kind="stable")
    whole = PriceChanges(
        tuple(Pool(*history.pools[i]) for i in order),
        index[rows],
        history.time_s[rows],
        history.spot_usd_per_hour[rows],
    )
    now_s = int(now.timestamp())
    return whole.until(now_s + 1).trim(now_s - int(_LOOK_BACK.total_seconds()))


def _moment(market: Market, at: datetime | None) -> datetime:
    last = market.prices.end
    if at is None:
        return last
    now = at.replace(tzinfo=UTC)
    if not market.prices.start <= now <= last:
        raise typer.BadParameter(
            f"--at {now:%Y-%m-%dT%H:%M} is outside the file, {market.prices.start:%Y-%m-%dT%H:%M} to "
            f"{last:%Y-%m-%dT%H:%M}"
        )
    return now


def _advisor(path: Path | None, market: Market, seed: int, *, is_built_in: bool) -> dict[str, int]:
    """Buckets by type: from the file; drawn for the built-in market; none for a recorded market without a
    file, because they would be from another time."""
    if path is not None:
        try:
            return dict(parse_advisor(path.read_bytes(), market.region).buckets)
        except AdvisorFileChanged as error:
            raise typer.BadParameter(f"--advisor {path}: {error}") from error
    if not is_built_in:
        return {}
    world = World(
        lambda: market.start,
        seed=seed,
        region=market.region,
        prices=market.prices,
        on_demand_usd_per_hour=market.on_demand_usd_per_hour,
        limits=LIMITS,
    )
    names = {pool.instance_type for pool in market.prices.pools}
    return {name: world.advisor.bucket(name) for name in names}
