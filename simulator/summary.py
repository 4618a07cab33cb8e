"""The result of a simulation, read from the ledger, the data bucket and the bill of the account."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import boto3
import numpy as np

from simulator.account import EmbeddedAccount
from simulator.account.executions import Execution
from simulator.faults.aftermath import FaultSummary
from simulator.ledger_items import DecisionKind, Phase, SwitchItem, WorkloadItem
from simulator.ledger_view import LedgerView
from simulator.scene import Scene


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
    failovers: int
    downtime_seconds: float
    """While no instance served it because EC2 had taken the one that did."""
    original: str
    """State of the instance that it began on."""
    served: bool | None
    """Whether target group and elastic address are with the instance that it runs on; None if it has
    neither."""
    cost_usd: float
    cost_on_demand_usd: float
    """Of the type that it began with, on-demand all the time."""
    cost_standing_still_usd: float
    """Had it stayed on its first instance, at the prices of the same market."""
    forgone_usd: float
    """What the switches that manual mode only recorded were forecast to save until the next decision."""


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
    hand_over_seconds: float | None
    """From the claim until traffic reached the replacement; None if it never did."""
    downtime_seconds: float | None
    """From the end of the original, by EC2's own record, to the hand-over: the product may see that end
    late. None if nothing was handed over."""
    taken_over: bool
    """Ended by a failover, which continued with its replacement."""
    refused_launches: int
    states: tuple[str, ...]

    @property
    def is_failover(self) -> bool:
        """Whether EC2 took the original back."""
        return self.kind == DecisionKind.EVACUATE


@dataclass(frozen=True)
class SignalSummary:
    """What EC2 reported of an instance, and its effect."""

    workload_id: str
    instance_id: str
    at: datetime
    received_at: datetime
    kind: str
    """``interruption``, ``rebalance``, ``health`` or ``state``: a change of state that was no
    interruption."""
    action: str
    """What the interruption does, the new state, or the type of AWS Health's event."""
    effect: str
    """``EVACUATE``, ``DRAIN`` or ``RECORDED``."""
    reason: str

    @property
    def what(self) -> str:
        """The signal in words."""
        if self.kind == "rebalance":
            return "rebalance recommendation"
        if self.kind == "health":
            return f"AWS Health event ({self.action})"
        if self.action in ("terminate", "stop", "hibernate"):
            return f"interruption warning ({self.action})"
        by_ec2 = self.kind == "interruption" or self.effect == "EVACUATE"
        by = "by EC2" if by_ec2 else "by its user"
        return f"{self.action} {by}"


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
    signals: tuple[SignalSummary, ...]
    """Without duplicates and without those of other instances."""
    faults: tuple[FaultSummary, ...]
    """Those that happened in their order, then those that never met a call."""
    decisions: Mapping[str, int]
    stack_breaker_open: bool
    aws_calls: Mapping[str, int]
    """Service -> calls that the functions and state machines made."""
    invariant_checks: int

    def document(self) -> dict[str, Any]:
        """The summary as objects, lists and values, which may be times."""
        plain = asdict(self)
        for workload in plain["workloads"]:
            workload["rescues"] = workload["failovers"]  # its name in version 0.1.0
        return plain


def summarize(simulation: Scene) -> Summary:
    """Read the ledger, the decisions of each cycle and the bill."""
    account, market = simulation.account, simulation.market
    ledger = LedgerView(account)
    switches = ledger.switches()
    executions = {execution.name: execution for execution in account.executions()}
    decisions = list(archived_decisions(data_bucket(account)))
    decided = _decided(decisions)
    calls = Counter(
        {c: n for c, n in account.calls.items() if c.caller_kind in ("lambda", "states")}
    )
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
            _workload(simulation, ledger, spec.name, spec.shows, switches, decisions)
            for spec in simulation.scenario.workloads
        ),
        switches=tuple(
            _switch(simulation, switch, executions[switch.switch_id]) for switch in switches
        ),
        signals=tuple(signal_summary(row) for row in ledger.signals()),
        faults=simulation.aftermath.summaries(),
        decisions=dict(sum(decided.values(), Counter())),
        stack_breaker_open=ledger.stack().breaker_open_since is not None,
        aws_calls=dict(sorted(per_service.items())),
        invariant_checks=simulation.auditor.checks,
    )


def data_bucket(account: EmbeddedAccount) -> str:
    """The name of the stack's bucket."""
    return account.stack.physical_ids["DataBucket"]


def archived_decisions(bucket: str) -> Iterator[dict[str, Any]]:
    """Every decision of every cycle, oldest first, from the data bucket."""
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="decisions/")
    for page in pages:
        for found in page.get("Contents", ()):
            body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            for line in gzip.decompress(body).decode().splitlines():
                yield json.loads(line)


def _decided(decisions: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Workload id -> kind -> cycles."""
    decided: dict[str, Counter[str]] = {}
    for row in decisions:
        decided.setdefault(row["workload_id"], Counter())[row["kind"]] += 1
    return decided


def _forgone_usd(own: Sequence[Mapping[str, Any]], end: datetime) -> float:
    """Of one workload's decisions."""
    times = [datetime.fromisoformat(row["at"]) for row in own]
    return sum(
        float(row["saving_forecast_usd_per_hour"]) * (until - at).total_seconds() / 3600
        for row, (at, until) in zip(own, pairwise([*times, end]), strict=True)
        if row["held_by"].startswith("manual mode")
    )


def instances_of(simulation: Scene, name: str, switches: Iterable[SwitchItem]) -> list[str]:
    """The instances that a workload has had, in the order of their launches."""
    replacements = (s.replacement_id for s in switches if s.workload_id == name)
    return list(dict.fromkeys([simulation.first_instances[name], *filter(None, replacements)]))


def _workload(
    simulation: Scene,
    ledger: LedgerView,
    name: str,
    shows: str,
    switches: list[SwitchItem],
    decisions: Iterable[Mapping[str, Any]],
) -> WorkloadSummary:
    world, start, end = simulation.world, simulation.market.start, simulation.account.clock.now()
    first = simulation.first_instances[name]
    never_seen = WorkloadItem(
        workload_id=name, instance_id=first, status="gone", status_reason="it was never adopted"
    )
    item = ledger.workloads().get(name, never_seen)
    own = [switch for switch in switches if switch.workload_id == name]
    decided = [row for row in decisions if row["workload_id"] == name]
    failovers = sum(switch.is_failover for switch in own)
    return WorkloadSummary(
        workload_id=name,
        shows=shows,
        status=item.status,
        status_reason=item.status_reason,
        began_on=_place(simulation, first),
        is_on=_place(simulation, item.instance_id),
        home_type=item.home_type,
        decisions=dict(_decided(decided).get(name, {})),
        breaker_open=item.breaker_open_since is not None,
        switches=len(own) - failovers,
        failovers=failovers,
        downtime_seconds=_downtime_s(simulation, item, own, end),
        original=world.state_of(first),
        served=_served(simulation, name, item.instance_id),
        cost_usd=sum(
            world.bill(each, start, end) for each in instances_of(simulation, name, switches)
        ),
        cost_on_demand_usd=cost_on_demand_usd(simulation, name, end),
        cost_standing_still_usd=cost_standing_still_usd(simulation, name, end),
        forgone_usd=_forgone_usd(decided, end),
    )


def cost_on_demand_usd(simulation: Scene, name: str, until: datetime) -> float:
    """Of the type that a workload began with, on-demand all the time until then."""
    began = simulation.world.instances[simulation.first_instances[name]]
    hours = (until - simulation.market.start).total_seconds() / 3600
    return simulation.market.on_demand_usd_per_hour[began.instance_type] * hours


def cost_standing_still_usd(simulation: Scene, name: str, until: datetime) -> float:
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


def _place(simulation: Scene, instance_id: str) -> str:
    instance = simulation.world.instances[instance_id]
    return f"{instance.instance_type}/{instance.availability_zone} {instance.lifecycle}"


def signal_summary(row: Mapping[str, Any]) -> SignalSummary:
    """A signal as the ledger keeps it."""
    return SignalSummary(
        workload_id=row["workload_id"],
        instance_id=row["instance_id"],
        at=datetime.fromisoformat(row["at"]),
        received_at=datetime.fromisoformat(row["received_at"]),
        kind=row["kind"],
        action=row["action"],
        effect=row["effect"],
        reason=row["reason"],
    )


def _ended_at(simulation: Scene, instance_id: str) -> datetime | None:
    """When an instance began to stop or to end."""
    transitions = simulation.world.instances[instance_id].transitions
    return next((at for at, state in transitions if state in ("stopping", "shutting-down")), None)


def hand_over_downtime_s(simulation: Scene, switch: SwitchItem) -> float | None:
    """For how long nothing served before a switch's hand-over."""
    if switch.handed_over_at is None:
        return None
    ended_at = _ended_at(simulation, switch.order.original.instance_id)
    waited = switch.handed_over_at - ended_at if ended_at else timedelta()
    return max(waited, timedelta()).total_seconds()


def _downtime_s(
    simulation: Scene, item: WorkloadItem, own: Iterable[SwitchItem], end: datetime
) -> float:
    total = sum(hand_over_downtime_s(simulation, s) or 0.0 for s in own if s.phase is Phase.DONE)
    reason = simulation.world.instances[item.instance_id].state_reason
    ended_at = _ended_at(simulation, item.instance_id)
    if ended_at and reason and reason[0].startswith("Server."):
        total += (end - ended_at).total_seconds()
    return total


def _served(simulation: Scene, name: str, instance_id: str) -> bool | None:
    group, allocation_id = simulation.target_groups.get(name), simulation.addresses.get(name)
    answers = []
    if group is not None:
        reply = boto3.client("elbv2").describe_target_health(TargetGroupArn=group)
        states = {
            row["Target"]["Id"]: row["TargetHealth"]["State"]
            for row in reply["TargetHealthDescriptions"]
        }
        answers.append(states.get(instance_id) == "healthy")
    if allocation_id is not None:
        reply_of_ec2 = boto3.client("ec2").describe_addresses(AllocationIds=[allocation_id])
        answers.append(reply_of_ec2["Addresses"][0].get("InstanceId") == instance_id)
    return all(answers) if answers else None


def _switch(simulation: Scene, switch: SwitchItem, execution: Execution) -> SwitchSummary:
    order = switch.order
    assert switch.ended_at is not None
    handed_over_at = switch.handed_over_at
    return SwitchSummary(
        workload_id=switch.workload_id,
        switch_id=switch.switch_id,
        phase=switch.phase.value,
        at=switch.claimed_at,
        kind=order.kind.value,
        came_from=str(order.original),
        went_to=str(switch.target),
        why=order.reason,
        outcome=str(switch.outcome["summary"]),
        saving_usd_per_hour=switch.outcome.get("saving_usd_per_hour"),
        seconds=(switch.ended_at - switch.claimed_at).total_seconds(),
        hand_over_seconds=(
            (handed_over_at - switch.claimed_at).total_seconds() if handed_over_at else None
        ),
        downtime_seconds=hand_over_downtime_s(simulation, switch),
        taken_over=switch.taken_over_by is not None and switch.phase is Phase.FAILED,
        refused_launches=len(switch.refusals),
        states=execution.states,
    )
