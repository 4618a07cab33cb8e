"""Which market a simulation runs on: the built-in one, or a recorded one from a file."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from price_files.on_demand import OnDemandFile, of_region, read_on_demand_of
from simulator.market.builtin import generate_market
from simulator.market.history import Pool, PriceHistory
from simulator.market.on_demand import on_demand_prices
from simulator.market.recorded import read_prices
from simulator.world.catalog import instance_types, zones_of

BUILTIN_START = datetime(2026, 3, 2, tzinfo=UTC)
BUILTIN_REGION = "us-east-1"
_BUILTIN_ZONES = 4
_WARM_UP = timedelta(days=8)
"""Seven-day figures need as much history before the start."""
_NAMED = 5


class NoMarket(ValueError):
    """The simulation cannot run on this market; the text says what is allowed."""


@dataclass(frozen=True)
class Market:
    """Prices with their on-demand list, and the time to simulate."""

    region: str
    prices: PriceHistory
    on_demand_usd_per_hour: Mapping[str, float]
    start: datetime
    end: datetime
    source: str
    """Where the prices come from, for display."""
    dropped: Mapping[str, int]
    """Rows and pools of the file that could not be used, counted by reason."""

    def hour(self, hour: float) -> datetime:
        """The time ``hour`` hours after the start, at most the end of the prices."""
        hours_max = (self.prices.end - self.start).total_seconds() / 3600
        return self.start + timedelta(hours=min(hour, hours_max))


def builtin_zones(region: str) -> list[str]:
    """Zones of the built-in market: the region's first four; none for an unknown region."""
    try:
        return [name for name, _ in zones_of(region)][:_BUILTIN_ZONES]
    except FileNotFoundError:  # moto carries one file for each region
        return []


def builtin_market(
    seed: int,
    start: datetime | None,
    hours: float,
    region: str = BUILTIN_REGION,
    history_days: float = 9.0,
) -> Market:
    """The seeded market in the region's first four zones, with the on-demand prices of us-east-1."""
    begin = start or BUILTIN_START
    end = begin + timedelta(hours=hours)
    on_demand = on_demand_prices(instance_types())
    prices = generate_market(
        seed=seed,
        start=begin,
        end=end,
        zones=builtin_zones(region),
        on_demand_usd_per_hour=on_demand,
        instance_types=list(on_demand),
        history_days=history_days,
    )
    return Market(region, prices, on_demand, begin, end, f"built-in market, seed {seed}", {})


def recorded_market(
    path: Path, on_demand_path: Path | None, start: datetime | None, hours: float
) -> Market:
    """A recorded market. Types without an on-demand price or catalog entry are dropped and counted.

    Without ``start`` the simulation begins eight days into the file, or as late as it can. Raises
    NoMarket and UnreadableFile.
    """
    listed = read_on_demand_of(on_demand_path) if on_demand_path else None

    def on_demand_of(region: str) -> dict[str, float]:
        if listed is None or on_demand_path is None:
            return on_demand_prices(instance_types())
        return of_region(listed, region, on_demand_path)

    recorded = read_prices(path, on_demand_of=on_demand_of)
    history, region = recorded.history, recorded.region
    on_demand = on_demand_of(region)
    try:
        zones = dict(zones_of(region))
    except FileNotFoundError as error:  # moto carries one file for each region
        raise NoMarket(f"{path}: the embedded account has no region {region}") from error
    if recorded.zones_are_ids:
        history = _with_zone_names(history, {zone_id: name for name, zone_id in zones.items()})
    dropped, usable = _usable_pools(history, on_demand, zones)
    if not usable:
        counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise NoMarket(f"{path}: no pool is left; dropped were {counts}")
    begin, end = _span(history, start, hours)
    left_out = ", ".join(recorded.other_regions)
    return Market(
        region,
        history.restrict(usable),
        {name: price for name, price in on_demand.items() if name in instance_types()},
        begin,
        end,
        f"{path.name}, {region}" + (f" (left out: {left_out})" if left_out else ""),
        {**recorded.dropped_rows, **dropped, **_unpriced(listed)},
    )


def _usable_pools(
    history: PriceHistory, on_demand: Mapping[str, float], zones: Collection[str]
) -> tuple[dict[str, int], list[Pool]]:
    """Reason -> pools that cannot be simulated, and the others."""
    dropped: Counter[str] = Counter()
    unpriced: Counter[str] = Counter()
    usable = []
    for pool in history.pools:
        if pool.instance_type not in instance_types():
            dropped["pools of a type that the catalog does not know"] += 1
        elif pool.instance_type not in on_demand:
            unpriced[pool.instance_type] += 1
        elif pool.availability_zone not in zones:
            dropped["pools of a zone that the region does not have"] += 1
        else:
            usable.append(pool)
    if unpriced:
        named = ", ".join(sorted(unpriced)[:_NAMED]) + (", ..." if len(unpriced) > _NAMED else "")
        dropped[f"pools of a type without an on-demand price: {named}"] = unpriced.total()
    return dict(dropped), usable


def _unpriced(listed: OnDemandFile | None) -> dict[str, int]:
    """What the file of on-demand prices has without a price, named."""
    named = listed.unpriced if listed is not None else ()
    return {f"on-demand prices: {text}, which is no price": 1 for text in named}


def _span(history: PriceHistory, start: datetime | None, hours: float) -> tuple[datetime, datetime]:
    duration = timedelta(hours=hours)
    latest = history.end - duration
    if latest < history.start:
        whole = (history.end - history.start).total_seconds() / 3600
        raise NoMarket(f"hours = {hours:g}: the file covers {whole:.1f} hours")
    begin = start or min(history.start + _WARM_UP, latest)
    if not history.start <= begin <= latest:
        raise NoMarket(
            f"start = {begin.isoformat()}: for {hours:g} hours it must lie between"
            f" {history.start.isoformat()} and {latest.isoformat()}"
        )
    # Whole minutes: schedules and reports read better.
    begin = begin.replace(second=0, microsecond=0)
    return begin, begin + duration


def _with_zone_names(history: PriceHistory, names: Mapping[str, str]) -> PriceHistory:
    pools = [
        Pool(pool.instance_type, names.get(pool.availability_zone, pool.availability_zone))
        for pool in history.pools
    ]
    index = np.repeat(np.arange(len(pools)), np.diff(history.offsets))
    return PriceHistory.from_rows(
        pools, index, history.time_s, history.spot_usd_per_hour, end=history.end
    )
