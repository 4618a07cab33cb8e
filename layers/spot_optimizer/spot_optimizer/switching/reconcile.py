"""What is, against what is recorded: the left-overs that the sweep clears.

A switch normally ends in its own execution. What remains is what that execution could not do::

    record          its execution has ended, and ...                      finding
    before commit   ... its replacement runs beside the original          RESUME (undone)
                    ... EC2 has interrupted the original                  RESCUE (goes on with what runs)
                    ... its replacement has ended after its hand-over     RESUME (undone: the address)
                        may have begun, and the original runs
                    ... nothing of it runs                                END (the claim is released)
    COMMITTED       ... the original still runs beside the replacement    RESUME (goes forward)
                    ... the original is gone, or the workload's last      CLOSE
    FAILED          ... its replacement runs beside the original          RESUME (undone)
    DONE            ... a rescue took over, and the original still runs   RESUME (goes forward)
    none            an instance of ours whose switch is not on the ledger REMOVE
                    a workload without a claim whose instance EC2 took    RESCUE

Two rules stand above all: what we did not launch is never named, and neither is the instance that
a workload runs on, nor its last one: a replacement whose original has died is left for the next
cycle to adopt.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from spot_optimizer.switching.instance_record import (
    FLEET_TAG,
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    tags_of,
)
from spot_optimizer.switching.launch_request import is_token_of
from spot_optimizer.vocabulary import Phase

SETTLED = timedelta(minutes=2)
"""After its execution's end a step may still be under way; a function of a switch lasts 60 s."""
RESUME_WAIT_MAX = timedelta(hours=1)
"""The wait doubles with every resumption: what a person must cure is not told every ten minutes."""
YOUNG = timedelta(minutes=10)
"""An instance younger than this is left alone: its record may be read a moment too early."""

_INTERRUPTED = frozenset({"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"})
"""EC2 API reference, StateReason: terminated or stopped by EC2 as the owner of spot capacity."""
_HANDS_OVER = frozenset({Phase.HEALTHY, Phase.HANDED_OVER})
_BEFORE_COMMIT = frozenset({Phase.CLAIMED, Phase.LAUNCHED, Phase.HEALTHY, Phase.HANDED_OVER})


class Action(StrEnum):
    """What is to be done about a left-over."""

    END = "end"
    """Record the failure, release the claim."""
    CLOSE = "close"
    """Record the success, release the claim."""
    RESUME = "resume"
    """Run SwitchInstance from AbandonSwitch on: forward when committed, else undone."""
    REMOVE = "remove"
    """Terminate an instance that we launched and no record knows."""
    FAIL_OVER = "rescue"
    """Start FailOver for an interrupted workload: no event told of it, or its rescue failed or broke
    off."""
    TELL = "tell"
    """Record and tell an interrupted workload that cannot be rescued."""


@dataclass(frozen=True, slots=True)
class TaggedInstance:
    """An instance that bears our tag and does not end."""

    instance_id: str
    workload_id: str
    switch_id: str
    """Empty on what a user launched."""
    client_token: str
    launched_at: datetime


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload as the ledger has it."""

    workload_id: str
    instance_id: str
    claim_switch_id: str | None


@dataclass(frozen=True, slots=True)
class Switch:
    """The record of a switch."""

    workload_id: str
    switch_id: str
    phase: Phase
    original_id: str
    replacement_id: str | None
    claimed_at: datetime
    resumes: int = 0
    replacement_ended: bool = False
    """EC2 shows it, with our tag, as ended: one that is not shown may run without our tag."""
    taken_over: bool = False
    """A rescue has ended its record; its own run still has its original to end, when committed."""


@dataclass(frozen=True, slots=True)
class Run:
    """The newest execution of a switch; without ``ended_at`` when Step Functions knows none."""

    running: bool
    status: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One left-over, what to do about it, and why in words."""

    action: Action
    workload_id: str
    reason: str
    switch_id: str = ""
    original_id: str = ""
    """On RESUME: the instance that is left when committed, else the one the workload runs on."""
    instance_id: str = ""
    """On RESUME the replacement, on REMOVE, RESCUE and TELL the instance concerned."""


def tagged_instance(instance: Record, fleet_tokens: Mapping[str, str]) -> TaggedInstance:
    """The facts that count here, from DescribeInstances.

    ``fleet_tokens``: client tokens by fleet id. EC2 launches a fleet's instances with tokens of its
    own, so what we gave to CreateFleet speaks for them.
    """
    tags = tags_of(instance)
    instance_id = str(instance["InstanceId"])
    return TaggedInstance(
        instance_id=instance_id,
        workload_id=tags.get(WORKLOAD_TAG, instance_id),
        switch_id=tags.get(SWITCH_TAG, ""),
        client_token=fleet_tokens.get(tags.get(FLEET_TAG, ""), instance.get("ClientToken") or ""),
        launched_at=instance["LaunchTime"],
    )


def in_question(machines: Iterable[TaggedInstance], workloads: Sequence[Workload]) -> set[str]:
    """Ids of the workloads that are claimed or have an instance beside their own: only their
    records need reading."""
    own = {workload.workload_id: workload.instance_id for workload in workloads}
    beside = {
        machine.workload_id
        for machine in machines
        if own.get(machine.workload_id, machine.instance_id) != machine.instance_id
    }
    return beside | {w.workload_id for w in workloads if w.claim_switch_id}


def may_be_left(switch: Switch, machines: Iterable[TaggedInstance]) -> bool:
    """Whether its execution needs looking at: it has not ended, or has and left an instance."""
    if switch.phase is Phase.FAILED:
        return any(_launched_by(switch, machine) for machine in machines)
    if switch.phase is Phase.DONE:
        return switch.taken_over and switch.original_id in {m.instance_id for m in machines}
    return True


def without_record(
    workload: Workload, machines: Iterable[TaggedInstance], switches: Iterable[Switch]
) -> list[TaggedInstance]:
    """Instances of ours beside the workload's own whose switch has no record among all of its."""
    known = {switch.switch_id for switch in switches}
    return [
        machine
        for machine in machines
        if machine.workload_id == workload.workload_id
        and machine.instance_id != workload.instance_id
        and machine.switch_id not in known
        and _bears_token_of(machine.switch_id, machine)
    ]


def findings(
    machines: Sequence[TaggedInstance],
    workloads: Iterable[Workload],
    switches: Sequence[Switch],
    runs: Mapping[str, Run],
    pointed: Container[str],
    interrupted: Mapping[str, str],
    now: datetime,
) -> list[Finding]:
    """The left-overs of these workloads.

    ``switches`` are all records of each of them, ``runs`` the newest executions by switch id of
    those that ``may_be_left``, ``pointed`` those of the instances ``without_record`` that a pointer
    knows: a user may have given them another workload's tag. ``interrupted`` is what
    :func:`interruptions` says.
    """
    found: list[Finding] = []
    for workload in workloads:
        own = [s for s in switches if s.workload_id == workload.workload_id]
        view = _View(workload, machines, interrupted.get(workload.workload_id, ""), now)
        judged = (view.of_switch(s, runs[s.switch_id]) for s in own if s.switch_id in runs)
        found += [finding for finding in judged if finding is not None]
        unknown = without_record(workload, machines, own)
        found += view.of_unknown(m for m in unknown if m.instance_id not in pointed)
    return found


class _View:
    """One workload and the instances around it."""

    def __init__(
        self,
        workload: Workload,
        machines: Sequence[TaggedInstance],
        interrupted: str,
        now: datetime,
    ) -> None:
        self.workload, self.interrupted, self.now = workload, interrupted, now
        self.alive = {machine.instance_id for machine in machines}
        self.beside = [
            machine
            for machine in machines
            if machine.workload_id == workload.workload_id
            and machine.instance_id != workload.instance_id
        ]
        self.own_runs = workload.instance_id in self.alive and not interrupted

    def of_switch(self, switch: Switch, run: Run) -> Finding | None:
        if not _is_settled(switch, run, self.now):
            return None
        if self.workload.claim_switch_id not in (None, switch.switch_id):
            return None  # another switch is under way; what it leaves is looked at afterwards
        why = f"switch {switch.switch_id} is {switch.phase} and its execution {_told(run)}"
        if switch.phase in (Phase.COMMITTED, Phase.DONE):
            return self._of_committed(switch, why)
        if switch.phase in _BEFORE_COMMIT and self.interrupted:
            return Finding(
                Action.FAIL_OVER,
                switch.workload_id,
                f"{why}; {self.interrupted}",
                switch_id=switch.switch_id,
                instance_id=self.workload.instance_id,
            )
        left = next((m for m in self.beside if _launched_by(switch, m)), None)
        if left is not None and self.own_runs:
            return Finding(
                Action.RESUME,
                switch.workload_id,
                f"{why}; its replacement {left.instance_id} runs beside {self.workload.instance_id}",
                switch_id=switch.switch_id,
                original_id=self.workload.instance_id,
                instance_id=left.instance_id,
            )
        if (
            switch.phase in _HANDS_OVER
            and self.own_runs
            and switch.replacement_id is not None
            and switch.replacement_ended
        ):
            return Finding(
                Action.RESUME,
                switch.workload_id,
                f"{why}; its replacement {switch.replacement_id} has ended and may have had the address"
                f" of {self.workload.instance_id}",
                switch_id=switch.switch_id,
                original_id=self.workload.instance_id,
                instance_id=switch.replacement_id,
            )
        if switch.phase in _BEFORE_COMMIT:
            return Finding(
                Action.END, switch.workload_id, f"{why}; nothing is left to undo", switch.switch_id
            )
        return None

    def _of_committed(self, switch: Switch, why: str) -> Finding | None:
        original = switch.original_id
        still_its = original in {machine.instance_id for machine in self.beside}
        if not (still_its and self.own_runs) or switch.replacement_id is None:
            if switch.phase is Phase.DONE:
                return None
            return Finding(
                Action.CLOSE,
                switch.workload_id,
                f"{why}; the original {original} is gone, another workload's, or this one's last",
                switch_id=switch.switch_id,
            )
        return Finding(
            Action.RESUME,
            switch.workload_id,
            f"{why}; the original {original} still runs",
            switch_id=switch.switch_id,
            original_id=original,
            instance_id=switch.replacement_id,
        )

    def of_unknown(self, unknown: Iterable[TaggedInstance]) -> list[Finding]:
        if not self.own_runs:
            return []
        return [
            Finding(
                Action.REMOVE,
                machine.workload_id,
                f"{machine.instance_id} was launched for switch {machine.switch_id}, which is not"
                f" on the ledger; the workload runs on {self.workload.instance_id}",
                switch_id=machine.switch_id,
                instance_id=machine.instance_id,
            )
            for machine in unknown
            if self.now - machine.launched_at >= YOUNG
        ]


def _launched_by(switch: Switch, machine: TaggedInstance) -> bool:
    """Whether this switch launched it: it is on record, or bears tag and client token.

    The tag alone proves nothing: whoever launches "more like this" in the EC2 console copies it.
    """
    if machine.instance_id == switch.replacement_id:
        return True
    return machine.switch_id == switch.switch_id and _bears_token_of(switch.switch_id, machine)


def _bears_token_of(switch_id: str, machine: TaggedInstance) -> bool:
    return is_token_of(switch_id, machine.client_token)


def _is_settled(switch: Switch, run: Run, now: datetime) -> bool:
    """Whether no step of the execution can be under way any more, and a resumption has waited."""
    if run.running:
        return False
    wait = min(SETTLED * (1 << min(switch.resumes, 10)), RESUME_WAIT_MAX)
    return now - (run.ended_at or switch.claimed_at) >= wait


def _told(run: Run) -> str:
    return f"has ended as {run.status}" if run.ended_at else "does not exist"


# --- interrupted workloads that nobody has rescued -------------------------------------------------


def interruption_mark(instance: Record) -> str:
    """What tells one interruption of an instance from the next: EC2 renews the launch time when a
    stopped instance starts again."""
    return f"{instance['InstanceId']} {instance['LaunchTime'].isoformat()}"


def interruptions(
    workloads: Iterable[Workload], instances: Mapping[str, Record], marks: Mapping[str, str]
) -> dict[str, str]:
    """Workload id -> what became of its instance, of those that EC2 has interrupted.

    ``instances`` by id, as far as EC2 still shows them; ``marks`` the last interruption on the ledger
    by workload id: EC2 forgets a terminated instance after about an hour, the workload waits still.
    """
    told = {}
    for workload in workloads:
        instance = instances.get(workload.instance_id)
        told[workload.workload_id] = (
            _interruption(instance)
            if instance is not None
            else _forgotten(workload, marks.get(workload.workload_id, ""))
        )
    return {workload_id: what for workload_id, what in told.items() if what}


def not_failed_over(workloads: Iterable[Workload], interrupted: Mapping[str, str]) -> list[Finding]:
    """The interrupted ones that no switch has claimed."""
    return [
        Finding(
            Action.FAIL_OVER,
            workload.workload_id,
            interrupted[workload.workload_id],
            instance_id=workload.instance_id,
        )
        for workload in workloads
        if workload.workload_id in interrupted and not workload.claim_switch_id
    ]


def _interruption(instance: Record) -> str:
    reason = instance.get("StateReason") or {}
    code, state = reason.get("Code", ""), instance["State"]["Name"]
    if state in ("pending", "running") or code not in _INTERRUPTED:
        return ""
    return f"{instance['InstanceId']} is {state}: EC2 has interrupted it ({code})"


def _forgotten(workload: Workload, mark: str) -> str:
    if mark.partition(" ")[0] != workload.instance_id:
        return ""
    return f"{workload.instance_id} is gone since EC2 interrupted it"
