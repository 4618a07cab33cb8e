"""The sweep's findings: what they may name, what ends them, and what they wait for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.switching.interruptions import (
    interruption_mark,
    interruptions,
    is_spot_interruption,
    not_failed_over,
)
from spot_optimizer.switching.launch_request import client_token, switch_hash
from spot_optimizer.switching.reconcile import (
    RESUME_WAIT_MAX,
    SETTLED,
    YOUNG,
    Action,
    Finding,
    Run,
    Switch,
    TaggedInstance,
    Workload,
    findings,
    in_question,
    may_be_left,
    tagged_instance,
)
from spot_optimizer.vocabulary import Lifecycle, Phase

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=5)
ENDED = Run(running=False, status="FAILED", ended_at=LONG_AGO)
ALL_ENDED = st.just(ENDED)
WORKLOAD_IDS = ("web", "etl")
SWITCH_IDS = ("s1", "s2", "s3")
WEB = Workload("web", "i-0", None)
INSTANCE_IDS = tuple(f"i-{number}" for number in range(8))


@dataclass(frozen=True)
class Account:
    """What the sweep sees."""

    instances: tuple[TaggedInstance, ...]
    workloads: tuple[Workload, ...]
    switches: tuple[Switch, ...]
    runs: dict[str, Run]
    pointed: frozenset[str] = frozenset()
    interrupted: Mapping[str, str] = field(default_factory=dict)

    def findings(self) -> list[Finding]:
        asked = {s.switch_id for s in self.switches if may_be_left(s, self.instances)}
        concerned = in_question(self.instances, self.workloads)
        return findings(
            self.instances,
            [w for w in self.workloads if w.workload_id in concerned],
            [s for s in self.switches if s.workload_id in concerned],
            {k: run for k, run in self.runs.items() if k in asked},
            self.pointed,
            self.interrupted,
            NOW,
        )


def launched(instance_id: str, workload_id: str, switch_id: str, **over: Any) -> TaggedInstance:
    """An instance that a switch of ours launched long ago."""
    token = client_token(switch_hash(switch_id), 1) if switch_id else ""
    return replace(TaggedInstance(instance_id, workload_id, switch_id, token, LONG_AGO), **over)


@st.composite
def accounts(draw: st.DrawFn, runs: st.SearchStrategy[Run] = ALL_ENDED) -> Account:
    """Any mixture of instances, claims, records and executions, likely or not."""
    workload_of = {name: draw(st.sampled_from(WORKLOAD_IDS)) for name in SWITCH_IDS}
    instances = []
    for instance_id in draw(st.lists(st.sampled_from(INSTANCE_IDS), unique=True)):
        switch_id = draw(st.sampled_from(("", "lost", *SWITCH_IDS)))
        workload_id = workload_of.get(switch_id) or draw(st.sampled_from(WORKLOAD_IDS))
        instance = launched(instance_id, workload_id, switch_id)
        copied = draw(st.booleans())
        instances.append(replace(instance, client_token="a-users") if copied else instance)
    workloads = tuple(
        Workload(
            workload_id,
            draw(st.sampled_from(INSTANCE_IDS)),
            draw(
                st.sampled_from([None, *(s for s in SWITCH_IDS if workload_of[s] == workload_id)])
            ),
        )
        for workload_id in WORKLOAD_IDS
    )
    switches = []
    for switch_id in draw(st.lists(st.sampled_from(SWITCH_IDS), unique=True)):
        own = [m.instance_id for m in instances if m.switch_id == switch_id and m.client_token]
        phase = draw(st.sampled_from(Phase))
        replacement = draw(st.sampled_from([None, "i-ended", *own]))
        if phase in (Phase.COMMITTED, Phase.DONE):
            replacement = replacement or "i-ended"
        switches.append(
            Switch(
                workload_of[switch_id],
                switch_id,
                phase,
                draw(st.sampled_from(INSTANCE_IDS)),
                replacement,
                LONG_AGO,
                replacement_ended=replacement == "i-ended" and draw(st.booleans()),
            )
        )
    return Account(
        tuple(instances), workloads, tuple(switches), {s: draw(runs) for s in SWITCH_IDS}
    )


def cleared(account: Account, found: Iterable[Finding]) -> Account:
    """The account after all findings were carried out."""
    gone: set[str] = set()
    phases: dict[str, Phase] = {}
    for each in found:
        switch = next((s for s in account.switches if s.switch_id == each.switch_id), None)
        forward = switch is not None and switch.phase is Phase.COMMITTED
        match each.action:
            case Action.REMOVE:
                gone.add(each.instance_id)
                continue
            case Action.RESUME:
                gone.add(each.original_id if forward else each.instance_id)
        phases[each.switch_id] = Phase.DONE if forward else Phase.FAILED
    return replace(
        account,
        instances=tuple(m for m in account.instances if m.instance_id not in gone),
        workloads=tuple(
            replace(w, claim_switch_id=None) if w.claim_switch_id in phases else w
            for w in account.workloads
        ),
        switches=tuple(
            replace(s, phase=phases.get(s.switch_id, s.phase)) for s in account.switches
        ),
    )


def ended_by(finding: Finding, account: Account) -> str | None:
    """The instance that is terminated when a finding is carried out."""
    if finding.action is Action.REMOVE:
        return finding.instance_id
    if finding.action is not Action.RESUME:
        return None
    (switch,) = (s for s in account.switches if s.switch_id == finding.switch_id)
    return finding.original_id if switch.phase is Phase.COMMITTED else finding.instance_id


@given(accounts())
def test_the_instance_of_a_workload_is_never_ended(account: Account) -> None:
    """While that instance does not run, no other is ended: it may be the workload's last one."""
    own = {w.workload_id: w.instance_id for w in account.workloads}
    alive = {instance.instance_id for instance in account.instances}
    for finding in account.findings():
        if ended_by(finding, account) is not None:
            assert ended_by(finding, account) != own[finding.workload_id]
            assert own[finding.workload_id] in alive


@given(accounts())
def test_an_instance_that_no_switch_launched_is_ended_by_a_commit_only(account: Account) -> None:
    """An instance without tag and client token of a switch, or its record, is a user's: it ends only
    as the original of a committed switch, by the state machine."""
    instances = {instance.instance_id: instance for instance in account.instances}
    for finding in account.findings():
        ends = ended_by(finding, account)
        switch = next((s for s in account.switches if s.switch_id == finding.switch_id), None)
        if ends is None or (
            switch and (ends, switch.phase) == (switch.original_id, Phase.COMMITTED)
        ):
            continue
        if switch is None or switch.replacement_id != ends:
            assert instances[ends].switch_id == finding.switch_id
            assert instances[ends].client_token.startswith(switch_hash(finding.switch_id))


@settings(max_examples=300)
@given(accounts())
def test_the_token_of_a_workloads_own_instance_does_not_matter(account: Account) -> None:
    """So its EC2 Fleet, which EC2 deletes some day, need not be read."""
    own = {workload.instance_id: workload.workload_id for workload in account.workloads}
    unasked = tuple(
        replace(m, client_token="fleet-1-0") if m.instance_id in own else m
        for m in account.instances
    )
    # An instance that was given another workload's tag is judged as that one's leftover.
    confused = {
        m.workload_id
        for m in account.instances
        if own.get(m.instance_id, m.workload_id) != m.workload_id
    }
    known, unknown = account.findings(), replace(account, instances=unasked).findings()
    assert [f for f in unknown if f.workload_id not in confused] == [
        f for f in known if f.workload_id not in confused
    ]


@given(accounts())
def test_a_cleared_leftover_is_not_found_again(account: Account) -> None:
    """A workload's leftovers, however many, are cleared one after the other and stay cleared."""
    seen: set[tuple[str, str]] = set()
    for _ in range(len(SWITCH_IDS) * len(INSTANCE_IDS)):
        found = account.findings()
        if not found:
            break
        names = {(f.switch_id, f.instance_id) for f in found}
        assert not names & seen
        seen |= names
        account = cleared(account, found)
    assert account.findings() == []


@given(accounts())
def test_every_dead_claim_is_released(account: Account) -> None:
    """When all leftovers are cleared, no switch whose record has not ended holds a claim."""
    for _ in range(len(SWITCH_IDS) * len(INSTANCE_IDS)):
        account = cleared(account, account.findings())
    live = {s.switch_id for s in account.switches if s.phase not in (Phase.DONE, Phase.FAILED)}
    assert not live & {workload.claim_switch_id for workload in account.workloads}


@given(
    accounts(st.sampled_from([Run(True, "RUNNING", None), Run(False, "FAILED", NOW - SETTLED / 2)]))
)
def test_switches_that_run_or_have_just_ended_are_not_touched(account: Account) -> None:
    """Only instances without a record can be found then."""
    assert {finding.action for finding in account.findings()} <= {Action.REMOVE}


@given(accounts())
def test_one_workload_is_judged_without_the_others(account: Account) -> None:
    """Leftovers of other workloads do not change its findings."""
    for kept in account.workloads:
        alone = replace(account, workloads=(kept,))
        mine = [f for f in account.findings() if f.workload_id == kept.workload_id]
        assert alone.findings() == mine


# --- single cases --------------------------------------------------------------------------------


def committed(**over: Any) -> Account:
    """A committed switch from i-0 to i-1 whose execution has ended."""
    switch = Switch("web", "s1", Phase.COMMITTED, "i-0", "i-1", LONG_AGO)
    return Account(
        (launched("i-0", "web", ""), launched("i-1", "web", "s1")),
        (Workload("web", "i-1", "s1"),),
        (replace(switch, **over),),
        {"s1": ENDED},
    )


def actions(account: Account) -> list[Action]:
    return [finding.action for finding in account.findings()]


def test_a_committed_switch_is_finished() -> None:
    """Its original is the instance to end, its replacement the one to keep."""
    (finding,) = committed().findings()
    assert (finding.action, finding.original_id, finding.instance_id) == (
        Action.RESUME, "i-0", "i-1",
    )  # fmt: skip
    assert "execution has ended as FAILED" in finding.reason


@pytest.mark.parametrize("left", ["i-0", "i-1"])
def test_a_committed_switch_with_one_machine_left_is_closed(left: str) -> None:
    """Either the original is gone, or it is the last instance and is kept."""
    account = committed()
    kept = tuple(m for m in account.instances if m.instance_id == left)
    assert actions(replace(account, instances=kept)) == [Action.CLOSE]


def test_an_original_that_was_adopted_again_is_kept() -> None:
    """The replacement exists, but the workload runs on the original again."""
    account = replace(committed(), workloads=(Workload("web", "i-0", "s1"),))
    assert actions(account) == [Action.CLOSE]


@pytest.mark.parametrize(("phase", "expected"), [(Phase.HEALTHY, [Action.END]), (Phase.FAILED, [])])
def test_a_replacement_that_is_the_last_instance_is_kept(
    phase: Phase, expected: list[Action]
) -> None:
    """The original has ended: the claim is released, and the next cycle can adopt the replacement."""
    account = committed(phase=phase)
    held = Workload("web", "i-0", None if phase is Phase.FAILED else "s1")
    account = replace(account, instances=account.instances[1:], workloads=(held,))
    assert actions(account) == expected


def test_an_original_that_was_given_another_workload_is_kept() -> None:
    """Its user has changed the tag: it no longer belongs to this workload."""
    account = committed()
    retagged = replace(account.instances[0], workload_id="shop")
    assert actions(replace(account, instances=(retagged, account.instances[1]))) == [Action.CLOSE]


def test_an_instance_that_a_pointer_knows_is_kept() -> None:
    """Another workload runs on it, and its user has changed the tag."""
    account = Account(
        (launched("i-0", "web", ""), launched("i-5", "web", "of-another")),
        (Workload("web", "i-0", None),),
        (),
        {},
    )
    assert actions(account) == [Action.REMOVE]
    assert replace(account, pointed=frozenset({"i-5"})).findings() == []


def test_another_running_switch_is_waited_for() -> None:
    """Two executions for one workload would move its address back and forth."""
    account = replace(committed(), workloads=(Workload("web", "i-1", "s2"),))
    assert account.findings() == []


def test_a_failed_switch_whose_replacement_ended_is_no_finding() -> None:
    """A failed switch normally leaves nothing."""
    account = committed(phase=Phase.FAILED, replacement_id="i-9")
    unclaimed = Workload("web", "i-0", None)
    assert (
        replace(account, instances=account.instances[:1], workloads=(unclaimed,)).findings() == []
    )


def test_a_claim_without_an_execution_is_given_time() -> None:
    """If Step Functions knows no execution, the claim itself must be old enough."""
    account = replace(
        committed(phase=Phase.CLAIMED, replacement_id=None),
        instances=(launched("i-0", "web", ""),),
        workloads=(Workload("web", "i-0", "s1"),),
        runs={"s1": Run(False, "MISSING", None)},
    )
    assert actions(account) == [Action.END]
    young = replace(account.switches[0], claimed_at=NOW - SETTLED / 2)
    assert replace(account, switches=(young,)).findings() == []


def test_each_resumption_waits_twice_as_long_up_to_an_hour() -> None:
    """A resumption that keeps failing sends an alert each time."""
    for resumes, wait in ((0, SETTLED), (1, 2 * SETTLED), (3, 8 * SETTLED), (30, RESUME_WAIT_MAX)):
        account = committed(resumes=resumes)
        for ended_at, expected in ((NOW - wait, 1), (NOW - wait + timedelta(seconds=1), 0)):
            runs = {"s1": Run(False, "FAILED", ended_at)}
            assert len(replace(account, runs=runs).findings()) == expected


@pytest.mark.parametrize(("age", "expected"), [(YOUNG, 1), (YOUNG - timedelta(seconds=1), 0)])
def test_an_unknown_instance_is_removed_when_it_is_old_enough(
    age: timedelta, expected: int
) -> None:
    """Its record may have been read before it was written."""
    unknown = launched("i-5", "web", "lost", launched_at=NOW - age)
    account = Account(
        (launched("i-0", "web", ""), unknown), (Workload("web", "i-0", None),), (), {}
    )
    assert actions(account) == [Action.REMOVE] * expected


def _interrupted(code: str, state: str = "terminated") -> dict[str, Any]:
    return {
        "InstanceId": "i-0",
        "LaunchTime": LONG_AGO,
        "State": {"Name": state},
        "StateReason": {"Code": code, "Message": ""},
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("Server.SpotInstanceTermination", 1),
        ("Server.SpotInstanceShutdown", 1),
        ("Server.ScheduledStop", 1),
        ("Server.InternalError", 1),
        ("Client.UserInitiatedShutdown", 0),
        ("Server.InsufficientInstanceCapacity", 0),
    ],
)
def test_only_an_end_by_ec2_starts_a_failover(code: str, expected: int) -> None:
    """A user ended the instance, or EC2 had no capacity to start it again: nothing is replaced."""
    assert len(interruptions([WEB], {"i-0": _interrupted(code)}, {})) == expected


@pytest.mark.parametrize("lifecycle", Lifecycle)
@pytest.mark.parametrize(
    ("code", "of_spot"),
    [
        ("Server.SpotInstanceTermination", True),
        ("Server.SpotInstanceShutdown", True),
        ("Server.ScheduledStop", False),
        ("Server.InternalError", False),
        ("Server.SomethingNew", False),
        ("", False),
    ],
)
def test_only_lost_spot_capacity_counts_for_the_pool(
    code: str, of_spot: bool, lifecycle: Lifecycle
) -> None:
    """Failed hardware says nothing about a pool, nor does the end of on-demand capacity."""
    expected = of_spot and lifecycle is Lifecycle.SPOT
    assert is_spot_interruption(code, lifecycle) is expected


@pytest.mark.parametrize("state", ["pending", "running"])
def test_an_instance_that_runs_again_starts_no_failover(state: str) -> None:
    """EC2 keeps the reason of the last stop when a stopped instance runs again."""
    row = _interrupted("Server.SpotInstanceShutdown", state)
    assert interruptions([WEB], {"i-0": row}, {}) == {}


def test_a_claimed_workload_is_left_to_its_switch() -> None:
    """Its failover is running, or an interrupted switch is found by its record."""
    claimed = replace(WEB, claim_switch_id="s1")
    assert not_failed_over([claimed], {"web": "interrupted"}) == []
    (found,) = not_failed_over([WEB], {"web": "interrupted", "etl": "interrupted"})
    assert (found.action, found.workload_id, found.switch_id) == (Action.FAIL_OVER, "web", "")


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.LAUNCHED, Phase.HANDED_OVER])
def test_a_switch_interrupted_with_its_original_becomes_a_failover(phase: Phase) -> None:
    """Rolling it back would end the only instance that can replace the original."""
    claimed = replace(WEB, claim_switch_id="s1")
    switch = Switch("web", "s1", phase, "i-0", "i-1", LONG_AGO)
    account = Account(
        (launched("i-1", "web", "s1"),), (claimed,), (switch,), {"s1": ENDED},
        interrupted={"web": "i-0 is stopped"},
    )  # fmt: skip
    (found,) = account.findings()
    assert (found.action, found.switch_id) == (Action.FAIL_OVER, "s1")


@pytest.mark.parametrize(
    ("phase", "ended", "action"),
    [
        (Phase.HANDED_OVER, True, Action.RESUME),
        (Phase.HEALTHY, True, Action.RESUME),
        (Phase.LAUNCHED, True, Action.END),
        (Phase.HANDED_OVER, False, Action.END),
    ],
)
def test_a_hand_over_to_an_ended_replacement_is_undone(
    phase: Phase, ended: bool, action: Action
) -> None:
    """From the hand-over on, it may have had the address. A replacement that EC2 does not show may run
    without our tag, and nothing is undone."""
    claimed = replace(WEB, claim_switch_id="s1")
    switch = Switch("web", "s1", phase, "i-0", "i-1", LONG_AGO, replacement_ended=ended)
    account = Account((launched("i-0", "web", ""),), (claimed,), (switch,), {"s1": ENDED})
    (found,) = account.findings()
    assert (found.action, found.switch_id) == (action, "s1")


@pytest.mark.parametrize(("mark_of", "expected"), [("i-0", 1), ("i-1", 0), ("", 0)])
def test_an_interruption_is_known_after_ec2_has_deleted_the_instance(
    mark_of: str, expected: int
) -> None:
    """The ledger's mark counts for the instance that it names only."""
    mark = f"{mark_of} 2026-03-01T19:00:00+00:00" if mark_of else ""
    assert len(interruptions([WEB], {}, {"web": mark})) == expected


def test_the_next_interruption_of_an_instance_is_another_one() -> None:
    """A stopped instance that starts again has another launch time."""
    first = _interrupted("Server.SpotInstanceShutdown", "stopped")
    assert interruption_mark(first) != interruption_mark({**first, "LaunchTime": NOW})
    assert interruption_mark(first).startswith("i-0 ")


def test_a_fleets_token_identifies_its_instances() -> None:
    """EC2 gives the instances other tokens; copied tags alone prove nothing."""
    tags = {"spot-optimizer:switch": "s1", "aws:ec2:fleet-id": "fleet-1"}
    row = {
        "InstanceId": "i-0",
        "LaunchTime": LONG_AGO,
        "ClientToken": "fleet-1-0",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    token = client_token(switch_hash("s1"), 1)
    assert tagged_instance(row, {"fleet-1": token}).client_token == token
    assert tagged_instance(row, {}).client_token == "fleet-1-0"


@pytest.mark.parametrize("phase", [Phase.DONE, Phase.FAILED])
def test_an_ended_switch_without_leftovers_is_no_finding(phase: Phase) -> None:
    """Neither its original nor its replacement runs besides the workload's instance."""
    switch = Switch("web", "s1", phase, "i-1", "i-0", LONG_AGO, taken_over=True)
    own = TaggedInstance("i-0", "web", "", "", LONG_AGO)
    assert findings([own], [WEB], [switch], {"s1": ENDED}, frozenset(), {}, NOW) == []
