"""The product's invariants, asserted while it runs.

Numbers are those of docs/invariants.md. Each violation raises at once, with the moment and the
instance or switch, so that the run can be repeated.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from simulator.account import EmbeddedAccount
from simulator.account.callers import Caller
from simulator.account.lambdas import Invocation
from simulator.ledger_items import Phase, SwitchItem
from simulator.ledger_view import LedgerView
from simulator.tags import MANAGED_TAG, SWITCH_TAG, WORKLOAD_TAG
from simulator.world import World
from simulator.world.events import (
    AddressMoved,
    InstanceEvent,
    InstanceLaunched,
    InstanceTerminating,
    TargetDeregistered,
    TargetRegistered,
    WorldEvent,
)
from simulator.world.instances import USER_INITIATED
from simulator.world.model import Instance

SWITCH_DURATION_MAX = timedelta(minutes=20)
_LIVE = (Phase.CLAIMED, Phase.LAUNCHED, Phase.HEALTHY, Phase.HANDED_OVER, Phase.COMMITTED)
_ORDER = {phase: number for number, phase in enumerate([*_LIVE, Phase.DONE, Phase.FAILED])}


class InvariantViolated(AssertionError):
    """The product did what it must never do."""


EXPECTED_ERRORS = frozenset(
    {
        "CapacityUnavailable",
        "ClaimLost",
        "ClaimRefused",
        "CycleRunning",
        "InvalidRequest",
        "LaunchRejected",
        "LedgerBusy",
        "TargetsNotHealthy",
        "LoadBalancerNotSupported",
        "TryAgain",
    }
)
"""Errors that a function's caller handles; any other is a defect."""


class Auditor:
    """Watches one stack in one account and world.

    ``excuses`` says which invocations may fail in any way, because a fault was injected into them.
    """

    def __init__(
        self,
        account: EmbeddedAccount,
        world: World,
        stack_name: str,
        *,
        excuses: Callable[[Invocation], bool] = lambda _: False,
    ) -> None:
        self._excuses = excuses
        self._first: InvariantViolated | None = None
        self._account, self._world, self._stack_name = account, world, stack_name
        self._ledger = LedgerView(account)
        self._before: dict[str, SwitchItem] = {}
        self._advanced: dict[str, Phase] = {}
        self._fences: dict[str, int] = {}
        self._claims: dict[str, datetime] = {}
        self._invocations_seen = 0
        self.checks = 0
        """How many times the whole ledger was checked."""
        world.subscribe(self._on_event)

    # --- at every event of the world -------------------------------------------------------------

    def _on_event(self, event: WorldEvent) -> None:
        caller = event.caller
        if not isinstance(caller, Caller) or caller.kind == "driver":
            return
        if isinstance(event, InstanceTerminating):
            self._termination_is_permitted(event)
        if isinstance(event, InstanceLaunched):
            self._launch_is_tagged(event)
        self._only_ours_is_touched(event)
        self.check()

    def _termination_is_permitted(self, event: InstanceTerminating) -> None:
        """1: an original ends only after the commit of a planned switch, a replacement only when its
        switch is abandoned. A failover ends no original."""
        for switch in self._ledger.switches():
            original = switch.order.original.instance_id == event.instance_id
            # Its phase may be DONE: a failover of the replacement ended it after its commit.
            if original and not switch.is_failover and switch.committed_at is not None:
                return
            replacement = switch.replacement_id == event.instance_id
            replacement |= self._switch_tag(event.instance_id) == switch.switch_id
            if replacement and switch.abandoned_at is not None and switch.committed_at is None:
                return
        if self._is_unknown(event):
            return
        self._violated(1, f"{event.instance_id} was terminated without a permission on the ledger")

    def _is_unknown(self, event: InstanceTerminating) -> bool:
        """The sweep ends an instance that was launched for a switch without a record."""
        switch_id = self._switch_tag(event.instance_id)
        workloads = self._ledger.workloads().values()
        return (
            isinstance(event.caller, Caller)
            and event.caller.name == "Sweep"
            and switch_id != ""
            and switch_id not in {switch.switch_id for switch in self._ledger.switches()}
            and event.instance_id not in {workload.instance_id for workload in workloads}
        )

    def _launch_is_tagged(self, event: InstanceLaunched) -> None:
        """3, 9: a replacement has our tag and its switch's from the first moment."""
        tags = self._world.tags_of(event.instance_id)
        if tags.get(MANAGED_TAG) != self._stack_name or SWITCH_TAG not in tags:
            self._violated(3, f"{event.instance_id} was launched without our tags")

    def _only_ours_is_touched(self, event: WorldEvent) -> None:
        """9: the product changes no instance without its tag."""
        if isinstance(event, InstanceEvent | TargetRegistered | TargetDeregistered):
            touched = [event.instance_id]
        elif isinstance(event, AddressMoved):
            touched = [i for i in (event.from_instance_id, event.to_instance_id) if i]
        else:
            return
        for instance_id in touched:
            if self._world.tags_of(instance_id).get(MANAGED_TAG) != self._stack_name:
                self._violated(9, f"{instance_id} does not have our tag: {event}")

    def _switch_tag(self, instance_id: str) -> str:
        return self._world.tags_of(instance_id).get(SWITCH_TAG, "")

    # --- on the ledger as a whole ----------------------------------------------------------------

    def check(self) -> None:
        """What must hold at every moment. Raises InvariantViolated."""
        self.checks += 1
        if self._first is not None:
            raise self._first
        self._functions_fail_as_expected()
        switches = self._ledger.switches()
        self._one_claim_each(switches)
        self._one_instance_per_attempt()
        self._one_execution_per_decision()
        self._decisions_have_one_outcome(switches)
        self._phases_advance(switches)
        self._fences_hold(switches)
        self._breakers_hold(switches)
        self._failovers_commit_on_running(switches)
        self._switches_commit_on_health(switches)
        self._capacity_is_bounded(switches)

    def _functions_fail_as_expected(self) -> None:
        trace = self._account.trace
        for invocation in trace[self._invocations_seen :]:
            unexpected = invocation.error is not None and invocation.error not in EXPECTED_ERRORS
            if unexpected and not self._excuses(invocation):
                raise InvariantViolated(
                    f"{invocation.function} at {invocation.time.isoformat()}:"
                    f" {invocation.error}: {invocation.error_message}\n{invocation.logs[-2000:]}"
                )
        self._invocations_seen = len(trace)

    def _one_claim_each(self, switches: list[SwitchItem]) -> None:
        """2: at most one live claim per workload; an expired claim does not count."""
        for workload in self._ledger.workloads().values():
            if workload.claim_switch_id and workload.claim_expires_at:
                self._claims[workload.claim_switch_id] = workload.claim_expires_at
        newest: dict[str, SwitchItem] = {}
        live = (s for s in switches if s.phase in _LIVE)
        for switch in sorted(live, key=lambda each: each.fence):
            before = newest.get(switch.workload_id)
            newest[switch.workload_id] = switch
            if before is None:
                continue
            expired = self._claims.get(before.switch_id, switch.claimed_at)
            if before.fence >= switch.fence or expired >= switch.claimed_at:
                self._violated(
                    2, f"{switch.workload_id}: {before.switch_id} and {switch.switch_id} are live"
                )

    def _one_instance_per_attempt(self) -> None:
        """4: the client token consists of switch and attempt."""
        tokens = Counter(
            i.spec.client_token for i in self._world.instances.values() if i.spec.client_token
        )
        for token, count in tokens.items():
            if count > 1:
                self._violated(4, f"{count} instances were launched with token {token}")

    def _decisions_have_one_outcome(self, switches: list[SwitchItem]) -> None:
        """5: a decision leads to at most one switch. 11: never without a rule of the decision table."""
        for decision_id, count in Counter(s.order.decision_id for s in switches).items():
            if count > 1:
                self._violated(5, f"decision {decision_id} has {count} switches")
        for switch in switches:
            # A failover needs no price; one that continues a forced switch has that switch's row.
            unpriced = switch.is_failover or switch.order.asked_by
            if switch.order.row == 0 and not unpriced:
                self._violated(11, f"{switch.switch_id} was started without trusted prices")

    def _one_execution_per_decision(self) -> None:
        """5: a second execution of a decision's switch is refused because its name is taken."""
        started = Counter(
            each["switch_id"]
            for each in self._account.execution_inputs()
            if isinstance(each, dict)
            and "switch_id" in each
            and "resume" not in each
            and "pays_debt" not in each
        )
        for switch_id, count in started.items():
            if count > 1:
                self._violated(5, f"{count} executions have started switch {switch_id}")

    def _phases_advance(self, switches: list[SwitchItem]) -> None:
        """6: phases only advance, except that a failover forgets a replacement that never ran; FAILED is
        never reached from COMMITTED or DONE."""
        for switch in switches:
            known = self._before.get(switch.switch_id)
            before = known.phase if known else Phase.CLAIMED
            failed_late = switch.phase is Phase.FAILED and before in (Phase.COMMITTED, Phase.DONE)
            goes_back = _ORDER[switch.phase] < _ORDER[before]
            if failed_late or (goes_back and not (known and self._is_forgotten(known, switch))):
                self._violated(6, f"{switch.switch_id} went from {before} to {switch.phase}")
            self._before[switch.switch_id] = switch

    def _is_forgotten(self, before: SwitchItem, switch: SwitchItem) -> bool:
        """Whether a failover records that its replacement has ended before it ran, as a refusal."""
        return (
            switch.is_failover
            and (before.phase, switch.phase) == (Phase.LAUNCHED, Phase.CLAIMED)
            and len(switch.refusals) == len(before.refusals) + 1
            and before.replacement_id is not None
            and self._never_ran(before.replacement_id)
        )

    def _never_ran(self, instance_id: str) -> bool:
        ended = self._world.state_of(instance_id) in ("shutting-down", "terminated")
        been = {state for _, state in self._world.instances[instance_id].transitions}
        return ended and "running" not in been

    def _fences_hold(self, switches: list[SwitchItem]) -> None:
        """7: no token is above its workload's fence, no fence falls, no stale token commits."""
        workloads = self._ledger.workloads()
        for switch in switches:
            fence = workloads[switch.workload_id].fence
            if switch.fence > fence:
                self._violated(7, f"{switch.switch_id}: token {switch.fence} above fence {fence}")
            advances = self._advanced.get(switch.switch_id) != switch.phase
            self._advanced[switch.switch_id] = switch.phase
            if switch.fence < fence and advances and switch.phase is Phase.COMMITTED:
                self._violated(
                    7, f"{switch.switch_id} committed with the stale token {switch.fence}"
                )
        for workload in workloads.values():
            before = self._fences.get(workload.workload_id, 0)
            if workload.fence < before:
                self._violated(7, f"the fence of {workload.workload_id} fell from {before}")
            self._fences[workload.workload_id] = workload.fence

    def _breakers_hold(self, switches: list[SwitchItem]) -> None:
        """8: while a breaker is open, only failovers are claimed."""
        stack_open = self._ledger.stack().breaker_open_since
        workloads = self._ledger.workloads()
        for switch in switches:
            if switch.is_failover:
                continue
            own_open = workloads[switch.workload_id].breaker_open_since
            for opened in (stack_open, own_open):
                if opened is not None and switch.claimed_at > opened:
                    self._violated(8, f"{switch.switch_id} was claimed with a breaker open")

    def _failovers_commit_on_running(self, switches: list[SwitchItem]) -> None:
        """1: a failover commits on a running replacement. Between the last look at its targets and the
        commit only a person may have ended it: no look can exclude that."""
        for switch in switches:
            if not switch.is_failover or switch.committed_at is None:
                continue
            instance = self._world.instances.get(switch.replacement_id or "")
            if instance is None or switch.healthy_at is None:
                self._violated(1, f"{switch.switch_id} was committed without a running replacement")
                continue
            states = [instance.state_at(at) for at in (switch.healthy_at, switch.committed_at)]
            if states == ["running", "running"]:
                continue
            if states[0] != "running" or not _ended_by_user(instance):
                self._violated(1, f"{switch.switch_id} was committed on {states[-1]}")

    def _switches_commit_on_health(self, switches: list[SwitchItem]) -> None:
        """1: a planned switch commits on a replacement that has passed its status checks."""
        for switch in switches:
            if switch.is_failover or switch.committed_at is None:
                continue
            instance = self._world.instances.get(switch.replacement_id or "")
            passed = instance is not None and not instance.impaired
            if instance is None or not passed or instance.checks_pass_at > switch.committed_at:
                self._violated(1, f"{switch.switch_id} was committed on an unhealthy instance")

    def _capacity_is_bounded(self, switches: list[SwitchItem]) -> None:
        """12: no more instances than workloads and switches in flight. Originals that a user keeps do
        not count: they have lost our tag. A failed switch is in flight until the sweep has ended its
        replacement, a switch that a failover ended after its commit until its original is gone. No
        switch ever has two instances."""
        ours = [
            instance_id
            for instance_id in self._world.instances
            if self._world.state_of(instance_id) in ("pending", "running")
            and self._world.tags_of(instance_id).get(MANAGED_TAG) == self._stack_name
        ]
        tagged_by_user = [i for i in ours if not self._switch_tag(i)]
        workloads = self._ledger.workloads()
        # A cycle adopts a hundred instances; the others wait with their tags.
        waiting = [
            i
            for i in tagged_by_user
            if self._world.tags_of(i).get(WORKLOAD_TAG, i) not in workloads
        ]
        managed = len(workloads) + len(waiting)
        per_switch = Counter(tag for tag in map(self._switch_tag, ours) if tag)
        for switch_id, count in per_switch.items():
            if count > 1:
                self._violated(12, f"switch {switch_id} has {count} instances")
        leftovers = [
            s
            for s in switches
            if (s.phase is Phase.FAILED and s.switch_id in per_switch)
            or (s.phase is Phase.DONE and s.order.original.instance_id in ours)
        ]
        in_flight = sum(s.phase in _LIVE for s in switches) + len(leftovers)
        if len(ours) > max(managed, len(tagged_by_user)) + in_flight:
            self._violated(
                12, f"{len(ours)} instances for {managed} workloads, {in_flight} in flight"
            )

    # --- once everything is quiet ----------------------------------------------------------------

    def check_quiet(self, last_fault: datetime | None = None) -> None:
        """What must hold when no switch is under way: 3 and 10. Raises InvariantViolated.

        ``last_fault``: when AWS last refused something; the time of a switch counts from then.
        """
        self.check()
        switches = self._ledger.switches()
        workloads = self._ledger.workloads()
        known = set(self._ledger.pointers()) | {w.instance_id for w in workloads.values()}
        for instance_id in self._world.instances:
            running = self._world.state_of(instance_id) in ("pending", "running")
            if running and self._switch_tag(instance_id) and instance_id not in known:
                tags = self._world.tags_of(instance_id)
                if tags.get(MANAGED_TAG) == self._stack_name:
                    self._violated(3, f"{instance_id} runs without a record")
        for switch in switches:
            if switch.phase in _LIVE:
                self._violated(10, f"{switch.switch_id} is {switch.phase} and no execution runs")
            self._duration_is_bounded(switch, last_fault)
        for workload in workloads.values():
            if workload.claim_switch_id is not None:
                self._violated(10, f"{workload.workload_id} is claimed and no execution runs")

    def _duration_is_bounded(self, switch: SwitchItem, last_fault: datetime | None) -> None:
        assert switch.ended_at is not None
        duration = switch.ended_at - max(switch.claimed_at, last_fault or switch.claimed_at)
        if duration > SWITCH_DURATION_MAX:
            self._violated(10, f"{switch.switch_id} took {duration}")

    def _violated(self, number: int, what: str) -> None:
        """Raise, and keep the first violation: the product may catch and retry it."""
        moment = self._account.clock.now().isoformat()
        violation = InvariantViolated(f"invariant {number} at {moment}: {what}")
        self._first = self._first or violation
        raise violation


def _ended_by_user(instance: Instance) -> bool:
    """Neither by the product nor by EC2."""
    return instance.terminated_by is None and instance.state_reason == USER_INITIATED
