"""Compares the account with the ledger: the leftovers of switches that the sweep clears.

A switch normally ends in its own execution. A leftover is what that execution could not do::

    record          its execution has ended, and ...                      finding
    before commit   ... its replacement runs beside the original          RESUME (rolled back)
                    ... EC2 has interrupted the original                  FAIL_OVER (with its replacement)
                    ... its replacement has ended after its hand-over     RESUME (rolled back)
                        may have begun, and the original runs
                    ... nothing of it runs                                END (the claim is released)
    COMMITTED       ... the original still runs beside the replacement    RESUME (finished)
                    ... the original is gone, or the workload's last one  CLOSE
    FAILED          ... its replacement runs beside the original          RESUME (rolled back)
    DONE            ... a failover took over, and the original still runs RESUME (finished)
    none            an instance of ours whose switch is not on the ledger REMOVE
                    a workload without a claim whose instance EC2 took    FAIL_OVER
    debt            the workload runs, and no switch replaces it          PAY (debts.py)
                    the workload is gone                                  FORGET

Two rules hold above all. An instance that we did not launch is never named. Neither is the instance that
a workload runs on, nor its last one: if an original has died, its replacement is left for the next cycle
to adopt.
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
"""A step may still run after its execution has ended: a function of a switch lasts up to 60 s."""
RESUME_WAIT_MAX = timedelta(hours=1)
"""The wait doubles with every resumption, so that a switch that only a person can repair does not send
an alert every ten minutes."""
YOUNG = timedelta(minutes=10)
"""A younger instance is not judged: its record may have been read before it was written."""

_HANDS_OVER = frozenset({Phase.HEALTHY, Phase.HANDED_OVER})
_BEFORE_COMMIT = frozenset({Phase.CLAIMED, Phase.LAUNCHED, Phase.HEALTHY, Phase.HANDED_OVER})


class Action(StrEnum):
    """What the sweep does about a leftover."""

    END = "end"
    """Record the failure and release the claim."""
    CLOSE = "close"
    """Record the success and release the claim."""
    RESUME = "resume"
    """Run SwitchInstance from AbandonSwitch: finish the switch if committed, otherwise roll it back."""
    REMOVE = "remove"
    """Terminate an instance that we launched and that no record names."""
    FAIL_OVER = "fail-over"
    """Start FailOver for an interrupted workload: no event reported the interruption, or its failover
    failed or was interrupted."""
    PAY = "pay"
    """Start the execution that hands over what the workload's instance still lacks."""
    FORGET = "forget"
    """Delete a debt that nobody can be paid any more."""
    REPORT = "report"
    """Record an interrupted workload for which no failover is possible, and send an alert."""


@dataclass(frozen=True, slots=True)
class TaggedInstance:
    """An instance that has our tag and is not ending."""

    instance_id: str
    workload_id: str
    switch_id: str
    """Empty if a user launched it."""
    client_token: str
    launched_at: datetime


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload on the ledger."""

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
    """EC2 shows that it has ended. One that EC2 does not show may run without our tag."""
    taken_over: bool = False
    """A failover has ended its record. If it was committed, its own execution must still end its
    original."""


@dataclass(frozen=True, slots=True)
class Run:
    """The newest execution of a switch; ``ended_at`` is None if Step Functions knows none."""

    running: bool
    status: str
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One leftover: what to do about it, and why in words."""

    action: Action
    workload_id: str
    reason: str
    switch_id: str = ""
    original_id: str = ""
    """On RESUME: if committed, the instance that the workload left; otherwise the one that it runs on."""
    instance_id: str = ""
    """On RESUME the replacement; on REMOVE, FAIL_OVER and REPORT the instance concerned."""


def tagged_instance(instance: Record, fleet_tokens: Mapping[str, str]) -> TaggedInstance:
    """What a sweep needs of a DescribeInstances row.

    ``fleet_tokens``: client tokens by fleet id. EC2 launches a fleet's instances with tokens of its own,
    so the token that we gave to CreateFleet identifies them.
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


def in_question(instances: Iterable[TaggedInstance], workloads: Sequence[Workload]) -> set[str]:
    """Ids of the workloads that are claimed or have an instance besides their own. The records of all
    others need not be read."""
    own = {workload.workload_id: workload.instance_id for workload in workloads}
    beside = {
        instance.workload_id
        for instance in instances
        if own.get(instance.workload_id, instance.instance_id) != instance.instance_id
    }
    return beside | {w.workload_id for w in workloads if w.claim_switch_id}


def may_be_left(switch: Switch, instances: Iterable[TaggedInstance]) -> bool:
    """Whether the switch's execution must be read: the switch has not ended, or it left an instance."""
    if switch.phase is Phase.FAILED:
        return any(_launched_by(switch, instance) for instance in instances)
    if switch.phase is Phase.DONE:
        return switch.taken_over and switch.original_id in {m.instance_id for m in instances}
    return True


def without_record(
    workload: Workload, instances: Iterable[TaggedInstance], switches: Iterable[Switch]
) -> list[TaggedInstance]:
    """Instances that we launched for a switch of which the workload has no record."""
    known = {switch.switch_id for switch in switches}
    return [
        instance
        for instance in instances
        if instance.workload_id == workload.workload_id
        and instance.instance_id != workload.instance_id
        and instance.switch_id not in known
        and _has_token_of(instance.switch_id, instance)
    ]


def findings(
    instances: Sequence[TaggedInstance],
    workloads: Iterable[Workload],
    switches: Sequence[Switch],
    runs: Mapping[str, Run],
    pointed: Container[str],
    interrupted: Mapping[str, str],
    now: datetime,
) -> list[Finding]:
    """The leftovers of these workloads.

    ``switches``: all records of each workload. ``runs``: the newest execution by switch id, for the
    switches that ``may_be_left``. ``pointed``: ids of the instances ``without_record`` that have a
    pointer; they are, or were, a workload's instance, and a user has given them another workload's tag.
    ``interrupted``: the result of ``interruptions.interruptions``.
    """
    found: list[Finding] = []
    for workload in workloads:
        own = [s for s in switches if s.workload_id == workload.workload_id]
        view = _View(workload, instances, interrupted.get(workload.workload_id, ""), now)
        judged = (view.of_switch(s, runs[s.switch_id]) for s in own if s.switch_id in runs)
        found += [finding for finding in judged if finding is not None]
        unknown = without_record(workload, instances, own)
        found += view.of_unknown(m for m in unknown if m.instance_id not in pointed)
    return found


class _View:
    """One workload, its own instance and the instances besides it."""

    def __init__(
        self,
        workload: Workload,
        instances: Sequence[TaggedInstance],
        interrupted: str,
        now: datetime,
    ) -> None:
        self.workload, self.interrupted, self.now = workload, interrupted, now
        self.alive = {instance.instance_id for instance in instances}
        self.beside = [
            instance
            for instance in instances
            if instance.workload_id == workload.workload_id
            and instance.instance_id != workload.instance_id
        ]
        self.own_runs = workload.instance_id in self.alive and not interrupted

    def of_switch(self, switch: Switch, run: Run) -> Finding | None:
        if not _is_settled(switch, run, self.now):
            return None
        if self.workload.claim_switch_id not in (None, switch.switch_id):
            return None  # another switch is running; this one is judged when that has ended
        why = f"switch {switch.switch_id} is {switch.phase} and its execution {_status(run)}"
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
        still_its = original in {instance.instance_id for instance in self.beside}
        if not (still_its and self.own_runs) or switch.replacement_id is None:
            if switch.phase is Phase.DONE:
                return None
            return Finding(
                Action.CLOSE,
                switch.workload_id,
                f"{why}; the original {original} is gone, belongs to another workload, or is the last"
                " instance of this one",
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
                instance.workload_id,
                f"{instance.instance_id} was launched for switch {instance.switch_id}, which is not"
                f" on the ledger; the workload runs on {self.workload.instance_id}",
                switch_id=instance.switch_id,
                instance_id=instance.instance_id,
            )
            for instance in unknown
            if self.now - instance.launched_at >= YOUNG
        ]


def _launched_by(switch: Switch, instance: TaggedInstance) -> bool:
    """Whether this switch launched it: the record names it, or it has the switch's tag and token.

    The tag alone proves nothing: "Launch more like this" in the EC2 console copies tags.
    """
    if instance.instance_id == switch.replacement_id:
        return True
    return instance.switch_id == switch.switch_id and _has_token_of(switch.switch_id, instance)


def _has_token_of(switch_id: str, instance: TaggedInstance) -> bool:
    return is_token_of(switch_id, instance.client_token)


def _is_settled(switch: Switch, run: Run, now: datetime) -> bool:
    """Whether no step of the execution can still run, and the wait before a resumption is over."""
    if run.running:
        return False
    wait = min(SETTLED * (1 << min(switch.resumes, 10)), RESUME_WAIT_MAX)
    return now - (run.ended_at or switch.claimed_at) >= wait


def _status(run: Run) -> str:
    return f"has ended as {run.status}" if run.ended_at else "does not exist"
