"""What a simulation brought, read from the ledger, the archive and the bill of the account."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np

from simulator.account import EmbeddedAccount
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
    decided = _decided(data_bucket(account))
    calls = Counter({c: n for c, n in account.calls.items() if c.caller_kind in ("lambda", "states")})
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


def data_bucket(account: EmbeddedAccount) -> str:
    """The name of the stack's bucket."""
    return account.stack.physical_ids["DataBucket"]


def archived_decisions(bucket: str) -> Iterator[dict[str, Any]]:
    """Every decision of every cycle, oldest first, as the archive has it."""
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="decisions/")
    for page in pages:
        for found in page.get("Contents", ()):
            body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            for line in gzip.decompress(body).decode().splitlines():
                yield json.loads(line)


def _decided(bucket: str) -> dict[str, Counter[str]]:
    """Workload id -> kind -> cycles."""
    decided: dict[str, Counter[str]] = {}
    for row in archived_decisions(bucket):
        decided.setdefault(row["workload_id"], Counter())[row["kind"]] += 1
    return decided


def machines_of(simulation: "Simulation", name: str, switches: Iterable[SwitchItem]) -> list[str]:
    """The instances that a workload has had, in the order of their launches."""
    replacements = (s.replacement_id for s in switches if s.workload_id == name)
    return list(dict.fromkeys([simulation.first_instances[name], *filter(None, replacements)]))


def _workload(
    simulation: "Simulation",
    ledger: LedgerView,
    name: str,
    shows: str,
    switches: list[SwitchItem],
    decided: Mapping[str, Counter[str]],
) -> WorkloadSummary:
    world, start, end = simulation.world, simulation.market.start, simulation.account.clock.now()
    first = simulation.first_instances[name]
    never_seen = WorkloadItem(
        workload_id=name, instance_id=first, status="gone", status_reason="it was never taken in"
    )
    item = ledger.workloads().get(name, never_seen)
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
        switches=sum(switch.workload_id == name for switch in switches),
        cost_usd=sum(
            world.bill(machine, start, end) for machine in machines_of(simulation, name, switches)
        ),
        cost_on_demand_usd=cost_on_demand_usd(simulation, name, end),
        cost_standing_still_usd=cost_standing_still_usd(simulation, name, end),
    )


def cost_on_demand_usd(simulation: "Simulation", name: str, until: datetime) -> float:
    """Of the type that a workload began with, on-demand all the time until then."""
    began = simulation.world.instances[simulation.first_instances[name]]
    hours = (until - simulation.market.start).total_seconds() / 3600
    return simulation.market.on_demand_usd_per_hour[began.instance_type] * hours


def cost_standing_still_usd(simulation: "Simulation", name: str, until: datetime) -> float:
    """Of the place that a workload began in: the integral of its price until then."""
    instance = simulation.world.instances[simulation.first_instances[name]]
    if instance.lifecycle == "on-demand":
        return cost_on_demand_usd(simulation, name, until)
    market = simulation.market
    pool = next(
        p
        for p in market.prices.pools
        if tuple(p) == (instance.instance_type, instance.availability_zone)
    )
    times_s, prices = market.prices.changes(pool)
    start_s, end_s = market.start.timestamp(), until.timestamp()
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
