"""``decide``: one cycle.

1. observe: what EC2 and the ledger show (observe.py)
2. refresh templates: read new and changed instances into their launch templates (refresh_templates.py)
3. enroll: adopted instances become workloads (enroll.py), and scheduled stops are noted
4. judge: one decision for each workload (judge.py)
5. record: decisions, their inputs, announcements (record.py)
6. act: start the switches, and bring the standing plans up to date
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from spot_optimizer.aws import data_bucket as bucket_keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.executions import start_switch
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import StackItem
from spot_optimizer.aws.ledger.schema import upgrade
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.contracts.decide import ForcedDecision, ScheduledCycle, SignalledDecision
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE
from spot_optimizer.decision.world import Force, StackState
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.catalog_file import catalog_from_bytes
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.services.decide.enroll import Enrollment
from spot_optimizer.services.decide.inventory import Inventory, ManagedWorkload
from spot_optimizer.services.decide.judge import Judged, judge
from spot_optimizer.services.decide.launch_problems import alert_new_problems
from spot_optimizer.services.decide.load_balancing import LoadBalancingWatch, is_due
from spot_optimizer.services.decide.observe import Observed, observe_all, observe_one
from spot_optimizer.services.decide.record import DecisionRecorder, acts
from spot_optimizer.services.decide.refresh_templates import is_look_due, refresh_templates
from spot_optimizer.services.decide.scheduled_stops import (
    is_read_due,
    note_scheduled_stops,
    report_stops_without_a_switch,
)
from spot_optimizer.services.decide.standing_plans import StandingPlans
from spot_optimizer.services.decide.switch_order import failover_terms, switch_order
from spot_optimizer.services.decide.template_versions import live_versions
from spot_optimizer.services.decide.untagged import report_untagged
from spot_optimizer.setting_precedence import overridden_for_stack
from spot_optimizer.switching.adoption import Adoption, judge_adoption
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DecisionKind, Pool
from spot_optimizer.workflow.known_workloads import known_workload, require_managed

Request = ScheduledCycle | ForcedDecision | SignalledDecision

LEASE = "decide"
LEASE_S = 300
"""The function's own timeout: a run that died holds up the next one no longer than this."""

LEASE_WAITS_S = (5,) * 24
"""How long a request for one workload waits for a running cycle: with its own work within LEASE_S."""


class CycleRunning(Exception):
    """Another cycle holds the lease; try again when it has ended."""


def run_cycle(request: Request, env: Environment, now: datetime, run_id: str) -> dict[str, Any]:
    """Carry out one cycle, for all workloads or for the one that is asked for, and sum it up.

    A scheduled cycle that meets a running one gives way; a request for one workload waits for it, two
    minutes at most. A user's request that cannot be met is answered as ``not_decided``: an error would
    look as if a new version of this function failed, and CloudFormation would roll the update back. A
    signal's request raises CycleRunning, and Lambda tries it again.
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
        # What another request of the same second keeps must not overwrite what a cycle kept.
        name = "" if isinstance(request, ScheduledCycle) else f"-{run_id}"
        return _Cycle(env, ledger, request, now + waited, name).run()
    except InvalidRequest as error:
        if not isinstance(request, ForcedDecision):
            raise  # nobody asked for anything: it is a fault, and has to look like one
        return {"not_decided": str(error)}
    finally:
        ledger.release_lease(LEASE, run_id)


def _acquire_lease(
    ledger: Ledger, run_id: str, now: datetime, waits_s: Sequence[float]
) -> timedelta | None:
    """How long it took to get the lease; None if another run keeps it."""
    waited = timedelta()
    for wait_s in (0.0, *waits_s):
        if wait_s:
            time.sleep(wait_s)
            waited += timedelta(seconds=wait_s)
        if ledger.acquire_lease(LEASE, run_id, now + waited, LEASE_S):
            return waited
    return None


class _Cycle:
    """What all steps of one cycle share."""

    def __init__(
        self, env: Environment, ledger: Ledger, request: Request, now: datetime, name: str
    ) -> None:
        self.env, self.ledger, self.request, self.now = env, ledger, request, now
        self.store = DataBucket(env.data_bucket)
        self.recorder = DecisionRecorder(env, ledger, self.store, now, name)
        self.stack = ledger.stack()
        self.settings = overridden_for_stack(env.settings, self.stack.overrides)

    @property
    def _is_scheduled(self) -> bool:
        return isinstance(self.request, ScheduledCycle)

    def run(self) -> dict[str, Any]:
        catalog = self.store.load(bucket_keys.MARKET_CATALOG, catalog_from_bytes)
        if catalog is None:
            return {"skipped": "there is no catalog yet; refresh_market writes it"}
        upgrade(self.ledger, self.stack, self.now)
        self._note_settings()
        observed = self._observe()
        plans = StandingPlans(observed.plans)
        try:
            return self._decide(observed, plans, catalog)
        finally:
            # Also after a failure: EC2 has the new launch templates already.
            plans.write(self.ledger)

    def _decide(self, observed: Observed, plans: StandingPlans, catalog: Catalog) -> dict[str, Any]:
        watch = LoadBalancingWatch(plans)
        inventory = self._note_scheduled_stops(self._enroll(observed, plans, catalog, watch))
        judged = self._judge(observed, inventory, catalog)
        decisions, by_id = judged.decisions, {w.workload_id: w for w in inventory.workloads}
        # Switches first, urgent ones before all: recording thousands of others must not delay them.
        switches = sorted((d for d in decisions if acts(d)), key=lambda d: not d.urgent)
        changed = self.recorder.record_changes(switches, by_id)
        started = self._start(switches, by_id, plans, judged.world.market, catalog)
        changed += self.recorder.record_changes((d for d in decisions if not acts(d)), by_id)
        self.recorder.publish(decisions, changed)
        self.recorder.keep_inputs(judged, inventory.workloads, self.stack)
        if self._is_scheduled:
            report_stops_without_a_switch(
                inventory, decisions, judged.world, self.env, self.ledger, self.now
            )
            self._watch_load_balancing(inventory, plans, watch)
            report_untagged(
                self.env,
                self.ledger,
                self.stack,
                inventory,
                self.now,
                dry_run=self.settings.dry_run,
            )
        self._update_plans(judged, plans, by_id)
        return self._summary(decisions, inventory, started)

    # --- observe, refresh templates, enroll ------------------------------------------------------

    def _note_settings(self) -> None:
        """Leave on the ledger what the end of a switch needs of the stack's settings, and since when the
        tag ``state`` is demanded."""
        workloads = int(self.settings.stack_breaker_workloads)
        if workloads != self.stack.breaker_workloads:
            self.ledger.update(keys.stack_key(), {"breaker_workloads": workloads})
        if self.stack.state_demanded_since is None:
            since = {"state_demanded_since": self.now}
            self.ledger.update(keys.stack_key(), since)
            self.stack = self.stack.model_copy(update=since)

    def _observe(self) -> Observed:
        if isinstance(self.request, ScheduledCycle):
            return observe_all(self.env.stack_name, self.ledger, self.now)
        return observe_one(self.env.stack_name, self.ledger, self.request.workload, self.now)

    def _enroll(
        self, observed: Observed, plans: StandingPlans, catalog: Catalog, watch: LoadBalancingWatch
    ) -> Inventory:
        """The workloads to decide about. Raises InvalidRequest if the one that is forced is not
        managed."""
        refreshed = refresh_templates(
            observed,
            self._judge_adoption(observed, catalog),
            plans,
            self.now,
            managed_as=self.env.stack_name,
            look=self._is_scheduled and is_look_due(self.stack.instances_looked_at, self.now),
            live=live_versions(self.ledger),
            dry_run=self.settings.dry_run,
        )
        alert_new_problems(self.env, observed.plans, plans)
        if refreshed.looked:
            self.ledger.update(
                keys.stack_key(), StackItem.stored({"instances_looked_at": self.now})
            )
        enrollment = Enrollment(
            self.env, self.settings, self.ledger, self.now, self.stack.state_demanded_since
        )
        inventory = enrollment.enroll(observed, refreshed)
        if isinstance(self.request, ForcedDecision) and not inventory.workloads:
            require_managed(known_workload(self.ledger, self.request.workload))
            raise InvalidRequest(
                f"workload = '{self.request.workload}': its instance is starting or ending; ask again in"
                " five minutes"
            )
        if isinstance(self.request, ForcedDecision) and inventory.workloads[0].is_held:
            raise InvalidRequest(f"workload = '{self.request.workload}' is {WITHOUT_STATE}")
        watch.look_before_deciding(
            inventory.at_rest(plans), self._doubted(), keep_misses=self._is_scheduled
        )
        return watch.confined(inventory)

    def _note_scheduled_stops(self, inventory: Inventory) -> Inventory:
        if not (self._is_scheduled and is_read_due(self.stack.scheduled_events_read_at, self.now)):
            return inventory
        noted = note_scheduled_stops(inventory, self.ledger, self.now)
        if noted is None:
            return inventory
        self.ledger.update(
            keys.stack_key(), StackItem.stored({"scheduled_events_read_at": self.now})
        )
        return noted

    def _judge_adoption(self, observed: Observed, catalog: Catalog) -> Adoption:
        return judge_adoption(
            observed.instances.values(),
            stack=self.env.stack_name,
            settings=self.settings,
            catalog=catalog,
            owned_by_switches=observed.ownership.in_switch,
            owned_by_another_stack=observed.ownership.of_another_stack,
            own_fleet_ids=observed.ownership.own_fleets,
        )

    def _doubted(self) -> set[str]:
        """Workloads whose load balancing may have changed since it was last read."""
        if isinstance(self.request, ForcedDecision):
            # The user who asks may have changed the load balancer a moment ago.
            return {self.request.workload}
        # A switch may have failed because its load balancer no longer serves the zone.
        since = self.stack.load_balancing_read_at
        return {
            row["workload_id"]
            for row in self.stack.failures
            if since is not None and datetime.fromisoformat(row["at"]) > since
        }

    # --- judge -----------------------------------------------------------------------------------

    def _judge(self, observed: Observed, inventory: Inventory, catalog: Catalog) -> Judged:
        if self._is_scheduled:
            in_flight = sum(item.claim_is_live(self.now) for item in observed.items.values())
        else:
            in_flight = self.ledger.switches_in_flight(self.now)
        return judge(
            inventory.workloads,
            all_workloads=self._is_scheduled,
            catalog=catalog,
            stack=StackState(
                global_stop=self.stack.global_stop,
                breaker_open=self.stack.breaker_open_since is not None,
                switches_in_flight=in_flight,
            ),
            force=_force(self.request),
            store=self.store,
            ledger=self.ledger,
            region=self.env.region,
            now=self.now,
        )

    # --- act -------------------------------------------------------------------------------------

    def _start(
        self,
        decisions: Iterable[Decision],
        workloads: Mapping[str, ManagedWorkload],
        plans: StandingPlans,
        market: MarketSnapshot | None,
        catalog: Catalog,
    ) -> dict[str, str]:
        """Start the switches of these decisions; workload id -> execution. A switch that cannot be
        started is logged and stops no other: the next cycle decides again."""
        started = {}
        for decision in decisions:
            workload_id = decision.workload_id
            try:
                order = switch_order(
                    decision, workloads[workload_id], plans[workload_id], market, catalog, self.now
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

    def _watch_load_balancing(
        self, inventory: Inventory, plans: StandingPlans, watch: LoadBalancingWatch
    ) -> None:
        """Bring the load balancing in the standing plans up to date."""
        everybody = is_due(self.stack.load_balancing_read_at, self.now)
        looked = watch.look_at_the_others(
            inventory.at_rest(plans), inventory.read, everybody=everybody
        )
        if everybody and looked:
            self.ledger.update(
                keys.stack_key(), StackItem.stored({"load_balancing_read_at": self.now})
            )

    def _update_plans(
        self, judged: Judged, plans: StandingPlans, workloads: Mapping[str, ManagedWorkload]
    ) -> None:
        """Put the pools and terms of failovers into the standing plans."""
        for decision in judged.decisions:
            plan = plans.get(decision.workload_id)
            if plan is None:
                continue
            changes: dict[str, Any] = {}
            placements = tuple(c.placement for c in decision.failover_plan)
            # A failover tries all pools in one call: another order of the same is not worth a write.
            if decision.failover_plan_current and set(placements) != set(plan.placements):
                changes["placements"] = placements
            workload = workloads[decision.workload_id]
            if workload.is_held:
                # Without terms no failover is possible, by older code neither.
                plans.change({decision.workload_id: {"placements": (), "terms": None}})
                continue
            terms = failover_terms(workload, judged.world.market, self.settings)
            if terms != plan.terms:
                changes["terms"] = terms
            plans.change({decision.workload_id: changes})

    def _summary(
        self, decisions: Sequence[Decision], inventory: Inventory, started: Mapping[str, str]
    ) -> dict[str, Any]:
        kinds = Counter(d.kind.value for d in decisions)
        return {
            "workloads": len(inventory.workloads),
            "refused": inventory.refused,
            "waiting": inventory.waiting,
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


def _force(request: Request) -> dict[str, Force]:
    if not isinstance(request, ForcedDecision):
        return {}
    pool = None
    if request.instance_type is not None and request.availability_zone is not None:
        pool = Pool(request.instance_type, request.availability_zone)
    return {request.workload: Force(request.asked_by, pool, request.lifecycle)}
