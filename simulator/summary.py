"""What a simulation brought, read from the ledger, the archive and the bill of the account."""

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import numpy as np

from simulator.account.executions import Execution
from simulator.ledger_view import LedgerView
from spot_optimizer.aws.ledger.items import SwitchItem, WorkloadItem

if TYPE_CHECKING:
    from simulator.simulation import Simulation


@dataclass(frozen=True)
class WorkloadSummary:
    """Where a workload was and is, what was decided, and what it cost in USD."""

    workload_id: str
    shows: str
    status: str
    status_reason: str
    began_on: str
    is_on: str
    home_type: str
    decisions: Mapping[str, int]
    """Kind -> cycles that decided so."""
    breaker_open: bool
    switches: int
    cost_usd: float
    cost_on_demand_usd: float
    """Of the type that it began with, on-demand all the time."""
    cost_standing_still_usd: float
    """Had it stayed on its first instance, at the prices of the same market."""


@dataclass(frozen=True)
class SwitchSummary:
    """One switch, from the ledger and its execution."""

    workload_id: str
    switch_id: str
    phase: str
    at: datetime
    kind: str
    came_from: str
    went_to: str
    why: str
    outcome: str
    saving_usd_per_hour: float | None
    seconds: float
    downtime_seconds: float | None
    refused_launches: int
    states: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """The whole run; all money is simulated."""

    market: str
    start: datetime
    end: datetime
    dropped: Mapping[str, int]
    scripted: tuple[str, ...]
    workloads: tuple[WorkloadSummary, ...]
    switches: tuple[SwitchSummary, ...]
    decisions: Mapping[str, int]
    stack_breaker_open: bool
    aws_calls: Mapping[str, int]
    """Service -> calls that the functions and state machines made."""
    invariant_checks: int

    def to_json(self) -> str:
        """The summary as JSON text."""
        return json.dumps(asdict(self), default=str, indent=2)


def summarise(simulation: "Simulation") -> Summary:
    """Read the ledger, the decisions of each cycle and the bill."""
    account, market = simulation.account, simulation.market
    ledger = LedgerView(account)
    switches = ledger.switches()
    executions = {execution.name: execution for execution in account.executions()}
    decided = _decided(account.stack.physical_ids["DataBucket"])
    calls = Counter({c: n for c, n in account.calls.items() if c.caller_kind != "driver"})
    per_service: Counter[str] = Counter()
    for call, count in calls.items():
        per_service[call.service] += count
    return Summary(
        market=market.source,
        start=market.start,
        end=account.clock.now(),
        dropped=dict(market.dropped),
        scripted=tuple(
            f"hour {event.hour:g}: {event}"
            for event in sorted(simulation.scenario.scripted, key=lambda event: event.hour)
            if timedelta(hours=event.hour) < market.end - market.start
        ),
        workloads=tuple(
            _workload(simulation, ledger, spec.name, spec.shows, switches, decided)
            for spec in simulation.scenario.workloads
        ),
        switches=tuple(_switch(switch, executions[switch.switch_id]) for switch in switches),
        decisions=dict(sum(decided.values(), Counter())),
        stack_breaker_open=ledger.stack().breaker_open_since is not None,
        aws_calls=dict(sorted(per_service.items())),
        invariant_checks=simulation.auditor.checks,
    )


def _decided(bucket: str) -> dict[str, Counter[str]]:
    """Workload id -> kind -> cycles, from the archive of every cycle's decisions."""
    s3 = boto3.client("s3")
    decided: dict[str, Counter[str]] = {}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="decisions/")
    for page in pages:
        for found in page.get("Contents", ()):
            body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            for line in gzip.decompress(body).decode().splitlines():
                row = json.loads(line)
                decided.setdefault(row["workload_id"], Counter())[row["kind"]] += 1
    return decided


def _workload(
    simulation: "Simulation",
    ledger: LedgerView,
    name: str,
    shows: str,
    switches: list[SwitchItem],
    decided: Mapping[str, Counter[str]],
) -> WorkloadSummary:
    world, market = simulation.world, simulation.market
    start, end = market.start, simulation.account.clock.now()
    first = simulation.first_instances[name]
    never_seen = WorkloadItem(
        workload_id=name, instance_id=first, status="gone", status_reason="it was never taken in"
    )
    item = ledger.workloads().get(name, never_seen)
    own = [switch for switch in switches if switch.workload_id == name]
    machines = {first, *(s.replacement_id for s in own if s.replacement_id)}
    began = world.instances[first]
    hours = (end - start).total_seconds() / 3600
    on_demand = market.on_demand_usd_per_hour[began.instance_type] * hours
    return WorkloadSummary(
        workload_id=name,
        shows=shows,
        status=item.status,
        status_reason=item.status_reason,
        began_on=_place(simulation, first),
        is_on=_place(simulation, item.instance_id),
        home_type=item.home_type,
        decisions=dict(decided.get(name, {})),
        breaker_open=item.breaker_open_since is not None,
        switches=len(own),
        cost_usd=sum(world.bill(machine, start, end) for machine in machines),
        cost_on_demand_usd=on_demand,
        cost_standing_still_usd=(
            on_demand if began.lifecycle == "on-demand" else _stayed(simulation, first)
        ),
    )


def _stayed(simulation: "Simulation", instance_id: str) -> float:
    """The integral of the first pool's price over the whole time."""
    instance, market = simulation.world.instances[instance_id], simulation.market
    pool = next(
        p
        for p in market.prices.pools
        if tuple(p) == (instance.instance_type, instance.availability_zone)
    )
    times_s, prices = market.prices.changes(pool)
    start_s = market.start.timestamp()
    end_s = simulation.account.clock.now().timestamp()
    inside = times_s[(times_s > start_s) & (times_s < end_s)]
    edges_s = np.concatenate(([start_s], inside, [end_s]))
    rows = np.maximum(np.searchsorted(times_s, edges_s[:-1], side="right") - 1, 0)
    return float(np.dot(np.diff(edges_s), prices[rows]) / 3600)


def _place(simulation: "Simulation", instance_id: str) -> str:
    instance = simulation.world.instances[instance_id]
    return f"{instance.instance_type}/{instance.availability_zone} {instance.lifecycle}"


def _switch(switch: SwitchItem, execution: Execution) -> SwitchSummary:
    order = switch.order
    target = order.candidates[switch.candidate]
    original = order.original
    assert switch.ended_at is not None
    return SwitchSummary(
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        phase=switch.phase.value,
        at=switch.claimed_at,
        kind=order.kind.value,
        came_from=f"{original.instance_type}/{original.availability_zone} {original.lifecycle}",
        went_to=f"{target.instance_type}/{target.availability_zone} {target.lifecycle}",
        why=order.reason,
        outcome=str(switch.outcome["summary"]),
        saving_usd_per_hour=switch.outcome.get("saving_usd_per_hour"),
        seconds=(switch.ended_at - switch.claimed_at).total_seconds(),
        downtime_seconds=switch.outcome.get("downtime_s"),
        refused_launches=len(switch.refusals),
        states=execution.states,
    )
