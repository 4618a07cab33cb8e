"""A simulation over time, for reports: read from the ledger, the data bucket and the account's bill."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import boto3
import numpy as np
from botocore.exceptions import ClientError

from simulator.account import EmbeddedAccount
from simulator.ledger_items import SwitchItem
from simulator.ledger_view import LedgerView
from simulator.market.history import Pool
from simulator.markets import Market
from simulator.scenario import Scenario
from simulator.simulation import Observer, Simulation
from simulator.summary import (
    Summary,
    archived_decisions,
    cost_on_demand_usd,
    cost_standing_still_usd,
    data_bucket,
    instances_of,
)

_SNAPSHOT = "market/snapshot.npz"
"""Key of the market snapshot in the data bucket: one row per pool."""
_LOOKS_MAX = 600
"""Reads of the market snapshot in one simulation: enough for a chart, at some MB of memory."""
_MOMENTS = 240
"""Points of the cost curves."""
_AHEAD = timedelta(hours=1)
"""The forecast columns of a snapshot are for one hour ahead."""


@dataclass(frozen=True)
class ForecastBand:
    """What was forecast an hour before for this moment, in USD per hour."""

    at: datetime
    p05_usd_per_hour: float
    p95_usd_per_hour: float


@dataclass(frozen=True)
class PriceChange:
    """From this moment on an instance costs so much: the spot price of a pool, or the on-demand price."""

    at: datetime
    usd_per_hour: float


@dataclass(frozen=True)
class InstanceRecord:
    """One instance of a workload."""

    instance_id: str
    instance_type: str
    availability_zone: str
    lifecycle: str
    start: datetime
    end: datetime
    """It was running from start to end, or until the end of the simulation."""
    cost_usd: float
    on_demand_usd_per_hour: float
    prices: tuple[PriceChange, ...]
    """What it paid: from its start, one for each change of the pool's price."""
    bands: tuple[ForecastBand, ...]
    """Of its pool while it ran; empty for on-demand."""

    @property
    def place(self) -> str:
        """As the summary writes it."""
        return f"{self.instance_type}/{self.availability_zone} {self.lifecycle}"


@dataclass(frozen=True)
class CycleSpan:
    """Consecutive cycles with the same decision."""

    start: datetime
    end: datetime
    """When a cycle decided differently; for the last span, its last cycle."""
    kind: str
    held: bool
    cycles: int


@dataclass(frozen=True)
class DecisionRecord:
    """A decision that differed from the previous one: what the ledger keeps."""

    at: datetime
    workload_id: str
    kind: str
    row: int
    reason: str
    held_by: str
    rejected_counts: Mapping[str, int]


@dataclass(frozen=True)
class RefusedLaunch:
    """A launch that EC2 refused, and the reaction to it."""

    at: datetime
    """When its switch was claimed."""
    workload_id: str
    place: str
    code: str
    message: str
    cure: str


@dataclass(frozen=True)
class CostMoment:
    """All workloads' cost in USD from the start until this moment."""

    at: datetime
    cost_usd: float
    on_demand_usd: float
    standing_still_usd: float


@dataclass(frozen=True)
class WorkloadRecord:
    """One workload over time."""

    workload_id: str
    instances: tuple[InstanceRecord, ...]
    """Oldest first."""
    cycles: tuple[CycleSpan, ...]
    pool_prices: Mapping[str, tuple[PriceChange, ...]]
    """Pool -> its price over the whole time, for the pools that it ran in on spot."""


@dataclass(frozen=True)
class ScriptedMoment:
    """What was scripted on top of the market."""

    at: datetime
    text: str


@dataclass(frozen=True)
class Record:
    """A simulation over time; the totals are in its summary."""

    summary: Summary
    workloads: tuple[WorkloadRecord, ...]
    decisions: tuple[DecisionRecord, ...]
    refused_launches: tuple[RefusedLaunch, ...]
    costs: tuple[CostMoment, ...]
    scripted: tuple[ScriptedMoment, ...]


class ForecastHistory:
    """Keeps the forecast bands of all pools: each market snapshot replaces the previous one."""

    def __init__(self, market: Market) -> None:
        self._pause = (market.end - market.start) / _LOOKS_MAX
        self._next_look = market.start
        self._bands: dict[Pool, dict[datetime, tuple[float, float]]] = {}

    def look(self, account: EmbeddedAccount) -> None:
        """Read the current snapshot, unless it was read a moment ago."""
        if account.clock.now() < self._next_look:
            return
        self._next_look = account.clock.now() + self._pause
        try:
            found = boto3.client("s3").get_object(Bucket=data_bucket(account), Key=_SNAPSHOT)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return
            raise
        with np.load(io.BytesIO(found["Body"].read()), allow_pickle=False) as snapshot:
            at = datetime.fromisoformat(str(snapshot["as_of"])) + _AHEAD
            names = ("types", "zones", "forecast_p05", "forecast_p95")
            columns = [snapshot[name].tolist() for name in names]
        for instance_type, zone, low, high in zip(*columns, strict=True):
            self._bands.setdefault(Pool(instance_type, zone), {})[at] = (low, high)

    def bands(self, pool: Pool, start: datetime, end: datetime) -> tuple[ForecastBand, ...]:
        """Those known for this pool in [start, end], oldest first."""
        return tuple(
            ForecastBand(at, low, high)
            for at, (low, high) in self._bands.get(pool, {}).items()
            if start <= at <= end and low == low and high == high
        )


def simulate_and_record(
    scenario: Scenario, market: Market, *, seed: int, observer: Observer
) -> Record:
    """``simulate``, with everything that a report shows."""
    forecasts = ForecastHistory(market)

    def tick(now: datetime) -> None:
        forecasts.look(simulation.account)
        observer.on_tick(now)

    watched = Observer(tick, observer.on_happening)
    with Simulation(scenario, market, seed=seed, observer=watched) as simulation:
        return record_of(simulation, simulation.run(), forecasts)


def record_of(simulation: Simulation, summary: Summary, forecasts: ForecastHistory) -> Record:
    """The record of a finished simulation."""
    ledger = LedgerView(simulation.account)
    switches = ledger.switches()
    spans = _cycle_spans(archived_decisions(data_bucket(simulation.account)))
    names = [spec.name for spec in simulation.scenario.workloads]
    start = simulation.market.start
    return Record(
        summary=summary,
        workloads=tuple(
            _workload(simulation, forecasts, name, switches, spans.get(name, ())) for name in names
        ),
        decisions=tuple(_decision(row) for row in ledger.decisions()),
        refused_launches=tuple(_refused_launches(switches)),
        costs=tuple(_costs(simulation, switches)),
        scripted=tuple(
            ScriptedMoment(start + timedelta(hours=event.hour), str(event))
            for event in sorted(simulation.scenario.scripted, key=lambda event: event.hour)
            if start + timedelta(hours=event.hour) < simulation.market.end
        ),
    )


def _workload(
    simulation: Simulation,
    forecasts: ForecastHistory,
    name: str,
    switches: list[SwitchItem],
    cycles: Iterable[CycleSpan],
) -> WorkloadRecord:
    instances = [
        _instance(simulation, forecasts, each, low, high)
        for each in instances_of(simulation, name, switches)
        for low, high in simulation.world.instances[each].running_between(
            simulation.market.start, simulation.account.clock.now()
        )
    ]
    pools = [
        Pool(instance.instance_type, instance.availability_zone)
        for instance in instances
        if instance.lifecycle == "spot"
    ]
    start, end = simulation.market.start, simulation.account.clock.now()
    return WorkloadRecord(
        workload_id=name,
        instances=tuple(sorted(instances, key=lambda instance: instance.start)),
        cycles=tuple(cycles),
        pool_prices={str(p): _spot_prices(simulation.market, p, start, end) for p in pools},
    )


def _instance(
    simulation: Simulation,
    forecasts: ForecastHistory,
    instance_id: str,
    start: datetime,
    end: datetime,
) -> InstanceRecord:
    instance, market = simulation.world.instances[instance_id], simulation.market
    pool = Pool(instance.instance_type, instance.availability_zone)
    on_demand = market.on_demand_usd_per_hour[instance.instance_type]
    is_spot = instance.lifecycle == "spot"
    return InstanceRecord(
        instance_id=instance_id,
        instance_type=instance.instance_type,
        availability_zone=instance.availability_zone,
        lifecycle=instance.lifecycle,
        start=start,
        end=end,
        cost_usd=simulation.world.bill(instance_id, start, end),
        on_demand_usd_per_hour=on_demand,
        prices=_spot_prices(market, pool, start, end)
        if is_spot
        else (PriceChange(start, on_demand),),
        bands=forecasts.bands(pool, start, end) if is_spot else (),
    )


def _spot_prices(
    market: Market, pool: Pool, start: datetime, end: datetime
) -> tuple[PriceChange, ...]:
    times_s, prices = market.prices.changes(pool)
    inside = (times_s > start.timestamp()) & (times_s < end.timestamp())
    changes = [
        PriceChange(datetime.fromtimestamp(time_s, start.tzinfo), price)
        for time_s, price in zip(times_s[inside].tolist(), prices[inside].tolist(), strict=True)
    ]
    first = market.prices.price_at(pool, start)
    return (*([PriceChange(start, first)] if first is not None else []), *changes)


def _cycle_spans(rows: Iterable[Mapping[str, object]]) -> dict[str, tuple[CycleSpan, ...]]:
    by_workload: dict[str, list[tuple[datetime, str, bool]]] = {}
    for row in rows:
        cycle = (datetime.fromisoformat(str(row["at"])), str(row["kind"]), bool(row["held_by"]))
        by_workload.setdefault(str(row["workload_id"]), []).append(cycle)
    return {name: tuple(_runs(cycles)) for name, cycles in by_workload.items()}


def _runs(cycles: list[tuple[datetime, str, bool]]) -> Iterator[CycleSpan]:
    runs = [list(run) for _, run in groupby(sorted(cycles), key=lambda cycle: cycle[1:])]
    ends = [run[0][0] for run in runs[1:]] + [runs[-1][-1][0]]
    for run, end in zip(runs, ends, strict=True):
        start, kind, held = run[0]
        yield CycleSpan(start, end, kind, held, len(run))


def _decision(row: Mapping[str, object]) -> DecisionRecord:
    counts = row["rejected_counts"]
    assert isinstance(counts, Mapping)
    return DecisionRecord(
        at=datetime.fromisoformat(str(row["at"])),
        workload_id=str(row["workload_id"]),
        kind=str(row["kind"]),
        row=int(str(row["row"])),
        reason=str(row["reason"]),
        held_by=str(row["held_by"]),
        rejected_counts={str(reason): int(count) for reason, count in counts.items()},
    )


def _refused_launches(switches: list[SwitchItem]) -> Iterator[RefusedLaunch]:
    for switch in switches:
        for refusal in switch.refusals:
            yield RefusedLaunch(
                at=switch.claimed_at,
                workload_id=switch.workload_id,
                place=str(switch.order.candidates[refusal.candidate]),
                code=refusal.code,
                message=refusal.message,
                cure=refusal.cure,
            )


def _costs(simulation: Simulation, switches: list[SwitchItem]) -> Iterator[CostMoment]:
    start, end = simulation.market.start, simulation.account.clock.now()
    names = [spec.name for spec in simulation.scenario.workloads]
    instances = [i for name in names for i in instances_of(simulation, name, switches)]
    for step in range(_MOMENTS + 1):
        at = start + (end - start) * step / _MOMENTS
        yield CostMoment(
            at=at,
            cost_usd=sum(simulation.world.bill(each, start, at) for each in instances),
            on_demand_usd=sum(cost_on_demand_usd(simulation, name, at) for name in names),
            standing_still_usd=sum(cost_standing_still_usd(simulation, n, at) for n in names),
        )
