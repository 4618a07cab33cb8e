"""``decide``: one cycle - read, decide, record what changed, start switches."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws import data_bucket as archive_keys
from spot_optimizer.aws.announcements import (
    DECISION,
    alert,
    announce,
)
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.executions import start_switch
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.decisions import Change, record_changes
from spot_optimizer.aws.ledger.items import PlanItem, WorkloadItem, pool_from_text
from spot_optimizer.aws.ledger.models import ModelLedger
from spot_optimizer.aws.ledger.pool_events import PoolEventKind, pool_events
from spot_optimizer.aws.ledger.schema import upgrade
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.announcements import DecisionMade
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.contracts.decide import (
    ForcedDecision,
    ScheduledCycle,
    SignalledDecision,
)
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.decision_record import plain_record
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.kept_inputs import (
    SettingLayers,
    TrialMarket,
    inputs_to_bytes,
    parameters_of,
)
from spot_optimizer.decision.pool_history import (
    INTERRUPTION_MEMORY,
    REFUSAL_MEMORY,
    PoolEvent,
)
from spot_optimizer.decision.world import (
    Force,
    StackState,
    Trial,
    World,
)
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.catalog_file import catalog_from_bytes
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.services.decide.inventory import (
    Inventory,
    Member,
    read_inventory,
    write_plans,
)
from spot_optimizer.services.decide.load_balancing import (
    changed_load_balancing,
    is_due,
    missed_in_words,
    must_be_known,
)
from spot_optimizer.services.decide.switch_order import (
    failover_terms,
    switch_order,
    target,
)
from spot_optimizer.services.decide.template_renewal import is_look_due
from spot_optimizer.services.decide.throughput import ThroughputBook
from spot_optimizer.services.decide.usage import read_usage
from spot_optimizer.settings import tagged
from spot_optimizer.switching.instance_record import Record, tags_of
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DecisionKind, Pool
from spot_optimizer.workflow.engines import load_engines

Request = ScheduledCycle | ForcedDecision | SignalledDecision

LEASE = "decide"
LEASE_S = 300
"""The function's own timeout: a run that died holds up the next one no longer than this."""


LEASE_WAITS_S = (5,) * 24
"""Who asks for one workload waits so long for a running cycle: with its own work well within LEASE_S."""


class CycleRunning(Exception):
    """Another cycle holds the lease; ask again when it has ended."""


def run_cycle(request: Request, env: Environment, now: datetime, run_id: str) -> dict[str, Any]:
    """Carry out one cycle, for all workloads or for the one asked for; the answer sums it up.

    A scheduled cycle that meets a running one gives way; another waits for it, two minutes at most. A
    user's request that cannot be met is answered as ``not_decided``: an error would look as if a new
    version of this function failed, and an update of the stack would be taken back for it. A signal's
    raises CycleRunning, and Lambda tries it again.
    """
    ledger = Ledger(env.ledger_table)
    waits_s = () if isinstance(request, ScheduledCycle) else LEASE_WAITS_S
    waited = _acquire_lease(ledger, run_id, now, waits_s)
    if waited is None:
        if isinstance(request, ScheduledCycle):
            logger.warning("another cycle is running, this one gives way")
            return {"skipped": "another cycle is running"}
        busy = "a decision cycle is running; ask again in a minute"
        if isinstance(request, ForcedDecision):
            return {"not_decided": busy}
        raise CycleRunning(busy)
    try:
        # Another request of the same second must not take the place of what a cycle kept.
        name = "" if isinstance(request, ScheduledCycle) else f"-{run_id}"
        return _Cycle(env, ledger, now + waited, name).run(request)
    except InvalidRequest as error:
        if not isinstance(request, ForcedDecision):
            raise  # nobody asked for anything: it is a fault, and has to look like one
        return {"not_decided": str(error)}
    finally:
        ledger.release_lease(LEASE, run_id)


def _acquire_lease(
    ledger: Ledger, run_id: str, now: datetime, waits_s: Sequence[float]
) -> timedelta | None:
    """How long it took to get the lease; None where another run keeps it."""
    waited = timedelta()
    for wait_s in (0.0, *waits_s):
        if wait_s:
            time.sleep(wait_s)
            waited += timedelta(seconds=wait_s)
        if ledger.acquire_lease(LEASE, run_id, now + waited, LEASE_S):
            return waited
    return None


class _Cycle:
    """What one cycle reads once and uses in every step."""

    def __init__(self, env: Environment, ledger: Ledger, now: datetime, name: str) -> None:
        self.env, self.ledger, self.now, self.name = env, ledger, now, name
        self.inputs_key = f"{archive_keys.by_time(archive_keys.CYCLES, now, name)}.json.gz"
        self.store = DataBucket(env.data_bucket)
        self.stack = ledger.stack()
        self.settings = env.settings.merged(
            self.stack.overrides, source="command for the stack", per_workload=False
        )
        self.items = ledger.workloads()
        self.trial_market_id = ""

    def run(self, request: Request) -> dict[str, Any]:
        catalog = self._catalog()
        if catalog is None:
            return {"skipped": "there is no catalogue yet; refresh_market writes it"}
        upgrade(self.ledger, self.stack, self.now)
        self._note_settings()
        scheduled = isinstance(request, ScheduledCycle)
        look = scheduled and is_look_due(self.stack.instances_looked_at, self.now)
        fleet = read_inventory(
            self.env, self.settings, self.ledger, catalog, self.items, self.now, look=look
        )
        if fleet.looked:
            self.ledger.update(keys.stack_key(), {"machines_looked_at": self.now})
        load_balancing = self._traffic_first(request, fleet)
        fleet = fleet.knowing(load_balancing)
        members = self._members_asked_for(request, fleet)
        market, market_id = self._market()
        usage = read_usage(self.store, fleet.members, catalog, self.now)
        throughput = ThroughputBook(self.store, self.now)
        world = World(
            workloads=tuple(
                throughput.known(m.view(usage.usage_of(m.item.workload_id, self.now), self.now))
                for m in members
            ),
            market=market,
            catalog=catalog,
            stack=self._stack_state(),
            force=_force(request),
            refusals=self._pool_events("REFUSED", REFUSAL_MEMORY),
            interruptions=self._pool_events("INTERRUPTED", INTERRUPTION_MEMORY),
            trial=self._trial(market),
        )
        engines = load_engines(m.settings.engine for m in members)
        decisions = decide(world, self.now, region=self.env.region, engines=engines)
        if throughput.read_where_it_matters(world.workloads, decisions):
            world = replace(world, workloads=tuple(map(throughput.known, world.workloads)))
            decisions = decide(world, self.now, region=self.env.region, engines=engines)
        by_id = {m.item.workload_id: m for m in members}
        # Moves first, rescues before all: recording ten thousand others must not keep them waiting.
        moves = sorted((d for d in decisions if _acts(d)), key=lambda d: not d.urgent)
        changed = self._record_changes(moves, by_id)
        started = self._start(moves, by_id, fleet.plans, market, catalog)
        changed += self._record_changes((d for d in decisions if not _acts(d)), by_id)
        self._publish(decisions, changed)
        self._keep_inputs(world, members, market_id)
        if scheduled:
            load_balancing |= self._traffic(fleet, load_balancing.keys())
            self._tell_of_lost_traffic(fleet, load_balancing)
        self._record_plans(decisions, fleet.plans, by_id, market, load_balancing)
        return self._summary(decisions, fleet, started)

    # --- reading ---------------------------------------------------------------------------------

    def _note_settings(self) -> None:
        """Leave on the ledger what the end of a switch needs of the stack's settings."""
        workloads = int(self.settings.stack_breaker_workloads)
        if workloads != self.stack.breaker_workloads:
            self.ledger.update(keys.stack_key(), {"breaker_workloads": workloads})

    def _catalog(self) -> Catalog | None:
        return self.store.load(archive_keys.MARKET_CATALOG, catalog_from_bytes)

    def _market(self) -> tuple[MarketSnapshot | None, str]:
        body, name = self.store.read_named(archive_keys.MARKET_SNAPSHOT)
        return snapshot_from_bytes(body) if body else None, name

    def _trial(self, market: MarketSnapshot | None) -> Trial | None:
        """The second model that decides for some workloads; None where its forecast is not of the
        same prices, as when it cannot forecast any more."""
        registry = ModelLedger(self.ledger).registry()
        if market is None or registry.pending is None or not registry.trial_share:
            return None
        body, self.trial_market_id = self.store.read_named(archive_keys.MARKET_TRIAL)
        tried = snapshot_from_bytes(body) if body else None
        if tried is None or tried.as_of != market.as_of:
            logger.warning("the trial's model has no forecast", model=registry.pending.version)
            return None
        return Trial(registry.pending.version, registry.trial_share, tried)

    def _stack_state(self) -> StackState:
        live = [
            item
            for item in self.items.values()
            if item.claim_switch_id and item.claim_expires_at and item.claim_expires_at > self.now
        ]
        return StackState(
            global_stop=self.stack.global_stop,
            breaker_open=self.stack.breaker_open_since is not None,
            switches_in_flight=len(live),
        )

    def _pool_events(self, kind: PoolEventKind, memory: timedelta) -> tuple[PoolEvent, ...]:
        found = pool_events(self.ledger, kind, self.now, memory)
        return tuple(PoolEvent(pool_from_text(each.pool), each.at) for each in found)

    def _members_asked_for(self, request: Request, fleet: Inventory) -> tuple[Member, ...]:
        if isinstance(request, ScheduledCycle):
            return fleet.members
        asked = tuple(m for m in fleet.members if m.item.workload_id == request.workload)
        if not asked and isinstance(request, ForcedDecision):
            raise InvalidRequest(_why_not_managed(request.workload, fleet, self.ledger))
        return asked

    # --- recording -------------------------------------------------------------------------------

    def _record_changes(
        self, decisions: Iterable[Decision], members: Mapping[str, Member]
    ) -> list[Decision]:
        """Write down the decisions that say something new; they are returned."""
        made = list(decisions)
        changes = [self._change(d, members[d.workload_id].item) for d in made]
        recorded = record_changes(
            self.ledger, [c for c in changes if c is not None], self.now, self.env.retention_days
        )
        return [d for d in made if d.workload_id in recorded]

    def _publish(self, decisions: Sequence[Decision], changed: Sequence[Decision]) -> None:
        """All decisions into the archive, the changed ones onto the bus, counts into metrics."""
        if decisions:
            rows = map(plain_record, decisions)
            self.store.write_json_lines(archive_keys.DECISIONS, self.now, rows, self.name)
        announce(self.env.bus_name, DECISION, [_announcement(d) for d in changed])
        self._alert_broken_engines(changed)
        if failures := sum(bool(d.alarm) for d in decisions):
            metrics.add_metric("EngineFailures", "Count", failures)
        for kind, count in Counter(d.kind for d in decisions).items():
            metrics.add_metric(f"Decisions{kind.capitalize()}", "Count", count)

    def _keep_inputs(self, world: World, members: Sequence[Member], market_id: str) -> None:
        """What was decided upon: with it the same can be decided again, and asked what if. A cycle
        can do without."""
        if not members:
            return
        layers = SettingLayers(
            parameters=parameters_of(self.env.settings),
            stack=self.stack.overrides,
            tags={m.item.workload_id: tagged(tags_of(m.instance)) for m in members},
            workloads={m.item.workload_id: m.item.overrides for m in members},
        )
        trial = world.trial
        body = inputs_to_bytes(
            world,
            self.now,
            self.env.region,
            market_id=market_id,
            catalog_id=self.store.loaded_name(archive_keys.MARKET_CATALOG),
            layers=layers,
            trial=TrialMarket(trial.version, trial.share, self.trial_market_id) if trial else None,
        )
        try:
            self.store.write(self.inputs_key, body)
        except (BotoCoreError, ClientError):
            logger.exception("inputs not kept")
            metrics.add_metric("InputsNotKept", "Count", 1)

    def _alert_broken_engines(self, changed: Sequence[Decision]) -> None:
        """Tell of engines that are unknown or fail, once for each problem that is new."""
        problems: dict[str, list[str]] = {}
        for decision in changed:
            if decision.alarm:
                problems.setdefault(decision.alarm, []).append(decision.workload_id)
        for problem, workloads in problems.items():
            shown = ", ".join(workloads[:20]) + (" ..." if len(workloads) > 20 else "")
            alert(
                self.env.alert_topic_arn,
                f"Spot Optimizer {self.env.stack_name}: workloads are not judged",
                f"{problem[:1000]}. Until this is cured they stay where they are: {shown}.",
            )

    def _record_plans(
        self,
        decisions: Iterable[Decision],
        plans: Mapping[str, PlanItem],
        members: Mapping[str, Member],
        market: MarketSnapshot | None,
        load_balancing: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Write the standing plans that changed."""
        changed = []
        for decision in decisions:
            plan = plans.get(decision.workload_id)
            if plan is None:
                continue
            changes: dict[str, Any] = dict(load_balancing.get(decision.workload_id, {}))
            pools = tuple(
                f"{c.instance_type}/{c.availability_zone}/{c.subnet_id}"
                for c in decision.failover_plan
            )
            # A rescue tries them all in one call: another order of the same pools is not worth a write.
            if decision.failover_plan_current and set(pools) != set(plan.pools):
                changes["pools"] = pools
            terms = failover_terms(members[decision.workload_id], market, self.settings)
            if terms != plan.terms:
                changes["terms"] = terms
            if changes:
                changed.append(plan.model_copy(update=changes))
        write_plans(self.ledger, changed)

    def _traffic_first(self, request: Request, fleet: Inventory) -> dict[str, dict[str, Any]]:
        """What must be known of the traffic before a decision: for the workloads whose traffic was
        read, what changed in their plans."""
        doubted = self._failed_since_all_were_read()
        if isinstance(request, ForcedDecision):
            # Who asks may have changed the load balancer a moment ago.
            doubted |= {request.workload}
        machines = {
            m.item.workload_id: m.instance
            for m in _at_rest(self._members_asked_for(request, fleet), fleet.plans)
            if m.item.workload_id in doubted or must_be_known(fleet.plans[m.item.workload_id])
        }
        changes = self._changed_traffic(machines, fleet, machines)
        if changes is None:
            return {}
        if not isinstance(request, ScheduledCycle):
            # What two looks miss is forgotten, and this one may come seconds after a cycle's.
            changes = {w: {"served_zones": each["served_zones"]} for w, each in changes.items()}
        return {workload_id: changes.get(workload_id, {}) for workload_id in machines}

    def _failed_since_all_were_read(self) -> set[str]:
        """Workloads whose switch may have failed for a zone that is served no more."""
        since = self.stack.load_balancing_read_at
        return {
            row["workload_id"]
            for row in self.stack.failures
            if since is not None and datetime.fromisoformat(row["at"]) > since
        }

    def _traffic(self, fleet: Inventory, looked: Set[str]) -> dict[str, dict[str, Any]]:
        """What changed in the traffic of the workloads that have not been ``looked`` at already."""
        machines = {
            m.item.workload_id: m.instance
            for m in _at_rest(fleet.members, fleet.plans)
            if m.item.workload_id not in looked
        }
        everybody = is_due(self.stack.load_balancing_read_at, self.now)
        changes = self._changed_traffic(machines, fleet, machines if everybody else fleet.read)
        if everybody and changes is not None:
            self.ledger.update(keys.stack_key(), {"traffic_read_at": self.now})
        return changes or {}

    def _changed_traffic(
        self, machines: Mapping[str, Record], fleet: Inventory, anew: Iterable[str]
    ) -> dict[str, dict[str, Any]] | None:
        """None where it could not be read: it is remembered as it was, a cycle does not need it."""
        try:
            return changed_load_balancing(machines, fleet.plans, anew)
        except (BotoCoreError, ClientError):
            logger.exception("load balancing not read")
            metrics.add_metric("LoadBalancingNotRead", "Count", 1)
            return None

    def _tell_of_lost_traffic(
        self, fleet: Inventory, load_balancing: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """A switch that broke off had launched a machine, and may have handed nothing over to it."""
        machines = {m.item.workload_id: m.instance["InstanceId"] for m in fleet.members}
        for workload_id, change in sorted(load_balancing.items()):
            if not change or workload_id not in fleet.inherited:
                continue
            lost = "; ".join(
                missed_in_words(change["load_balancing"], change["load_balancing_missed"])
            )
            if lost:
                self._alert_lost_traffic(machines[workload_id], lost)

    def _alert_lost_traffic(self, instance_id: str, lost: str) -> None:
        try:
            alert(
                self.env.alert_topic_arn,
                f"Spot Optimizer {self.env.stack_name}: a workload without its traffic",
                f"{instance_id}, launched by a switch that broke off, has taken the place of an instance"
                f" that has ended. It is not reached by what reached that one: {lost}. Hand these over by"
                " hand.",
            )
        except (BotoCoreError, ClientError):
            logger.exception("not told of lost traffic", instance_id=instance_id, lost=lost)

    def _change(self, decision: Decision, item: WorkloadItem) -> Change | None:
        """What the decision leaves on the ledger; None where it says nothing new."""
        digest = _digest(decision)
        record = None
        if digest != item.decision_digest or decision.forced_by:
            record = {**plain_record(decision), "inputs": self.inputs_key}
        new_digest = {"decision_digest": digest} if digest != item.decision_digest else {}
        pending: dict[str, Any] = {}
        if decision.fallback_pending != (item.fallback_pending_since is not None):
            pending["fallback_pending_since"] = self.now if decision.fallback_pending else None
        if record is None and not pending:
            return None
        return Change(decision.workload_id, record, new_digest, pending)

    # --- acting ----------------------------------------------------------------------------------

    def _start(
        self,
        decisions: Iterable[Decision],
        members: Mapping[str, Member],
        plans: Mapping[str, PlanItem],
        market: MarketSnapshot | None,
        catalog: Catalog,
    ) -> dict[str, str]:
        """Start the switches of these decisions; workload id -> execution. One that cannot be
        started is logged and stops no other: the next cycle decides anew."""
        started = {}
        for decision in decisions:
            workload_id = decision.workload_id
            try:
                order = switch_order(
                    decision, members[workload_id], plans[workload_id], market, catalog, self.now
                )
                arn = start_switch(self.env.switch_instance_arn, order)
            except Exception:
                logger.exception("switch not started", decision_id=decision.decision_id)
                metrics.add_metric("SwitchesNotStarted", "Count", 1)
                continue
            if arn is not None:
                started[workload_id] = arn
        if started:
            metrics.add_metric("SwitchesStarted", "Count", len(started))
        return started

    def _summary(
        self, decisions: list[Decision], fleet: Inventory, started: Mapping[str, str]
    ) -> dict[str, Any]:
        kinds = Counter(d.kind.value for d in decisions)
        return {
            "workloads": len(fleet.members),
            "refused": fleet.refused,
            "waiting": fleet.waiting,
            "decisions": dict(kinds),
            "held": sum(bool(d.held_by) for d in decisions),
            "started": dict(started),
            "made": [
                {
                    "workload_id": d.workload_id,
                    "decision_id": d.decision_id,
                    "kind": d.kind.value,
                    "reason": d.reason,
                    "held_by": d.held_by,
                }
                for d in decisions
                if d.kind is not DecisionKind.STAY or d.forced_by
            ],
        }


def _at_rest(members: Iterable[Member], plans: Mapping[str, PlanItem]) -> list[Member]:
    """Those with a plan, whose machine runs and that no switch moves just now."""
    return [
        m
        for m in members
        if m.item.claim_switch_id is None
        and m.instance["State"]["Name"] == "running"
        and m.item.workload_id in plans
    ]


def _acts(decision: Decision) -> bool:
    """Whether a switch is to be started for it."""
    return decision.kind is not DecisionKind.STAY and not decision.held_by


def _force(request: Request) -> dict[str, Force]:
    if not isinstance(request, ForcedDecision):
        return {}
    pool = None
    if request.instance_type is not None and request.availability_zone is not None:
        pool = Pool(request.instance_type, request.availability_zone)
    return {request.workload: Force(request.asked_by, pool, request.lifecycle)}


def _why_not_managed(workload_id: str, fleet: Inventory, ledger: Ledger) -> str:
    item = ledger.workload(workload_id)
    if item is not None and item.status != "managed":
        return f"workload = '{workload_id}' is {item.status}: {item.status_reason}"
    known = sorted(m.item.workload_id for m in fleet.members)
    shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
    return f"workload = '{workload_id}' is unknown; managed are {shown or 'none'}"


def _digest(decision: Decision) -> str:
    """What a decision says, without the figures that change every five minutes."""
    first = decision.candidates[0] if decision.candidates else None
    place = f"{first.instance_type}/{first.availability_zone}/{first.lifecycle}" if first else ""
    parts = [decision.kind, decision.row, place, decision.held_by, decision.fallback_pending]
    if decision.alarm:
        parts.append(decision.alarm)
    return "|".join(map(str, parts))


def _announcement(decision: Decision) -> DecisionMade:
    return DecisionMade(
        workload_id=decision.workload_id,
        instance_id=decision.instance_id,
        decision_id=decision.decision_id,
        at=decision.at,
        kind=decision.kind,
        reason=decision.reason,
        held_by=decision.held_by,
        target=target(decision.candidates[0]) if decision.candidates else None,
    )
