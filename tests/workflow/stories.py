"""Scenarios of the switch workflow, each run once; the tests make their claims about the record."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import boto3

from simulator.account.executions import Execution
from simulator.account.lambdas import Invocation
from simulator.world import DataVolume
from tests.workflow.stage import (
    SEED,
    ZONES,
    ApiCall,
    Fault,
    Stage,
    open_stage,
    record_of,
    step,
)

SECRET = "hunter2-the-password-in-the-user-data"  # noqa: S105 - it must be found nowhere
TOUCHING = (
    "RunInstances",
    "TerminateInstances",
    "RegisterTargets",
    "DeregisterTargets",
    "AssociateAddress",
    "CreateTags",
    "DeleteTags",
    "StopInstances",
    "ModifyInstanceAttribute",
    "CancelSpotInstanceRequests",
)
"""Operations by which the product can change a machine or what points at it."""


@dataclass(frozen=True)
class Edge:
    """A step of an execution from one state to the next, by a Catch or not."""

    state: str
    following: str
    caught: bool


@dataclass(frozen=True)
class Story:
    """What was there when a scenario had ended."""

    executions: tuple[Execution, ...]
    edges: frozenset[Edge]
    histories: str
    """The whole execution history of all executions, as text."""
    items: tuple[Mapping[str, Any], ...]
    api: tuple[ApiCall, ...]
    trace: tuple[Invocation, ...]
    objects: Mapping[str, bytes]
    alive: frozenset[str]
    seen: Mapping[str, Any]
    """What the scenario itself wrote down."""

    @property
    def states(self) -> frozenset[str]:
        return frozenset(name for execution in self.executions for name in execution.states)

    def execution(self, workload: str = "web") -> Execution:
        """The newest execution of a workload."""
        return [e for e in self.executions if e.name.startswith(f"{workload}-")][-1]

    def workload(self, workload: str = "web") -> Mapping[str, Any]:
        return next(i for i in self.items if (i["pk"], i["sk"]) == ("WORKLOADS", workload))

    def switch(self, workload: str = "web") -> Mapping[str, Any]:
        """The record of a workload's newest switch."""
        pk = f"WORKLOAD#{workload}"
        found = [i for i in self.items if i["pk"] == pk and i["sk"].startswith("SWITCH#")]
        return max(found, key=lambda item: str(item["claimed_at"]))

    def calls_of(self, *operations: str) -> list[ApiCall]:
        return [call for call in self.api if call.operation in operations]

    @property
    def alerts(self) -> list[str]:
        """Texts of the alerts that were sent."""
        return [call.params["Message"] for call in self.calls_of("Publish")]


def record(stage: Stage, **seen: Any) -> Story:
    """The story so far; ``seen`` is what the scenario wrote down on the way."""
    executions = tuple(stage.account.executions())
    events = {e.name: list(_events(e.arn)) for e in executions}
    return Story(
        executions=executions,
        edges=frozenset(edge for each in events.values() for edge in _edges(each)),
        histories=json.dumps(events, default=str),
        items=tuple(stage.items()),
        api=tuple(stage.api),
        trace=tuple(stage.account.trace),
        objects=stage.objects(),
        alive=frozenset(stage.alive()),
        seen=seen,
    )


def tell(scenario: Callable[[], Story]) -> Story:
    """Run a scenario; its seed is printed for whoever has to repeat it."""
    print(f"{scenario.__name__}: seed {SEED}")
    return scenario()


def _events(arn: str) -> Iterator[dict[str, Any]]:
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    for page in pages.paginate(executionArn=arn):
        yield from page["events"]


def _edges(events: list[dict[str, Any]]) -> Iterator[Edge]:
    state, failed = None, False
    for event in events:
        if "stateEnteredEventDetails" in event:
            name = event["stateEnteredEventDetails"]["name"]
            if state is not None:
                yield Edge(state, name, failed)
            state, failed = name, False
        elif event["type"] in ("TaskSucceeded", "TaskFailed", "TaskTimedOut"):
            failed = event["type"] != "TaskSucceeded"


# --- a switch without trouble --------------------------------------------------------------------


def clean_switch() -> Story:
    """A spot machine with all that a machine can have is moved by force; nothing goes wrong."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        security_group = stage.world.add_security_group("shop")
        original = stage.launch(
            tags={"Name": "shop", "team": "checkout"},
            user_data=SECRET.encode(),
            target_group_arn=group,
            address=True,
            metadata_http_tokens="required",
            volumes=[
                DataVolume(
                    "/dev/sdf",
                    size_gib=50,
                    volume_type="gp3",
                    iops=4000,
                    throughput_mib_per_s=300,
                    delete_on_termination=True,
                )
            ],
            SecurityGroupIds=[security_group],
            Monitoring={"Enabled": True},
        )
        stage.take_in()
        before = _machine(stage, original)
        stage.api.clear()
        stage.force()
        at_move: dict[str, Any] = {}
        stage.before_call["AssociateAddress"] = lambda: at_move.update(stage.targets(group))
        at_end: dict[str, Any] = {}
        stage.before_call["TerminateInstances"] = lambda: at_end.update(stage.targets(group))
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage,
            original=original,
            replacement=replacement,
            before=before,
            after=_machine(stage, replacement),
            targets_at_move=at_move,
            targets_at_end=at_end,
            address_holder=stage.address_holder(),
            templates=_template_versions(),
        )


def _machine(stage: Stage, instance_id: str) -> dict[str, Any]:
    ec2 = boto3.client("ec2")
    row = stage.describe(instance_id)
    ids = [m["Ebs"]["VolumeId"] for m in row["BlockDeviceMappings"]]
    volumes = ec2.describe_volumes(VolumeIds=ids)["Volumes"]
    user_data = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    return {
        "tags": {
            t["Key"]: t["Value"]
            for t in row["Tags"]
            if not t["Key"].startswith("aws:") and t["Key"] != "spot-optimizer:switch"
        },
        "image": row["ImageId"],
        "key": row["KeyName"],
        "profile": row["IamInstanceProfile"]["Arn"],
        "security groups": row["SecurityGroups"],
        "metadata options": row["MetadataOptions"],
        "monitoring": row["Monitoring"],
        "user data": user_data["UserData"]["Value"],
        "volumes": sorted(
            (
                v["Attachments"][0]["Device"],
                v["Size"],
                v["VolumeType"],
                v.get("Iops"),
                v.get("Throughput"),
                v["Encrypted"],
                v["Attachments"][0]["DeleteOnTermination"],
            )
            for v in volumes
        ),
    }


def _template_versions() -> list[tuple[str, int]]:
    rows = boto3.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return [(row["LaunchTemplateName"], row["LatestVersionNumber"]) for row in rows]


def switch_that_leaves_the_original() -> Story:
    """The team terminates originals itself (tag auto-terminate = false)."""
    with open_stage() as stage:
        original = stage.launch(tags={"spot-optimizer:auto-terminate": "false"})
        stage.take_in()
        stage.force()
        stage.finish()
        tags = dict(stage.world.tags_of(original))
        return record(stage, original=original, tags=tags, next_cycle=stage.cycle())


def switch_from_a_persistent_request() -> Story:
    """The original was launched by a persistent spot request of its team."""
    with open_stage() as stage:
        original = stage.launch(persistent=True)
        stage.take_in()
        stage.force()
        stage.finish()
        stage.account.run_for(timedelta(minutes=30))
        return record(stage, original=original, replacement=stage.workload()["instance_id"])


# --- the candidate loop --------------------------------------------------------------------------

RANKED = {
    ("m5.large", ZONES[0]): 0.0250,
    ("m5a.large", ZONES[0]): 0.0260,
    ("m5.large", ZONES[1]): 0.0270,
    ("m6i.large", ZONES[2]): 0.0280,
}
"""Prices, so that these pools are the first candidates of an on-demand machine, in this order."""


def first_two_pools_are_full() -> Story:
    """An on-demand machine comes back to spot; the two best pools have no capacity."""
    return _on_demand_machine_moves(
        lambda stage: (
            stage.world.close_capacity("m5.large", ZONES[0], "spot"),
            stage.world.close_capacity("m5a.large", ZONES[0], "spot"),
        )
    )


def first_zone_has_no_addresses() -> Story:
    """The subnet of the best pool's zone has no free address."""
    return _on_demand_machine_moves(
        lambda stage: stage.world.close_capacity(
            availability_zone=ZONES[0],
            lifecycle="spot",
            error="InsufficientFreeAddressesInSubnet",
        )
    )


def _on_demand_machine_moves(prepare: Callable[[Stage], object]) -> Story:
    with open_stage(RANKED) as stage:
        original = stage.launch(zone=ZONES[2], lifecycle="on-demand")
        stage.take_in()
        prepare(stage)
        stage.api.clear()
        stage.cycle()
        stage.finish()
        return record(stage, original=original, replacement=stage.workload()["instance_id"])


def spot_requests_are_used_up() -> Story:
    """Spot as such is refused; only the last candidate is on-demand."""
    with open_stage() as stage:
        stage.launch()
        stage.take_in()
        stage.world.close_capacity(lifecycle="spot", error="RequestResourceCountExceeded")
        stage.start(
            stage.order(
                "web",
                ("m5a.large", ZONES[1], "spot"),
                ("m6i.large", ZONES[2], "spot"),
                ("m5.large", ZONES[1], "on-demand"),
            )
        )
        stage.finish()
        return record(stage, replacement=stage.workload()["instance_id"])


def no_capacity_three_times() -> Story:
    """There is no capacity anywhere, in three switches in a row."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.world.close_capacity(lifecycle="spot")
        waits_minutes = []
        for number in range(3):
            stage.start(
                stage.order(
                    "web",
                    ("m5a.large", ZONES[1], "spot"),
                    ("m6i.large", ZONES[2], "spot"),
                    name=f"try-{number}",
                )
            )
            stage.finish()
            wait = _time(stage.workload()["backoff_until"]) - stage.account.clock.now()
            waits_minutes.append(wait / timedelta(minutes=1))
            stage.account.run_for(timedelta(minutes=1))
        return record(stage, original=original, waits_minutes=waits_minutes)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- failures before the commit ------------------------------------------------------------------


def replacement_never_passes_its_checks() -> Story:
    """The replacement runs, but its status checks never pass."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.world.fail_status_checks("m5a.large", ZONES[1])
        stage.force()
        stage.finish()
        return record(stage, original=original)


def replacement_dies_at_boot() -> Story:
    """The replacement ends while it boots."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        (replacement,) = stage.alive() - {original}
        stage.world.terminate_instance(replacement)
        stage.finish()
        return record(stage, original=original)


def original_is_changed_meanwhile() -> Story:
    """The team gives the original another tag while the replacement boots."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        tags = [{"Key": "team", "Value": "billing"}]
        boto3.client("ec2").create_tags(Resources=[original], Tags=tags)
        stage.finish()
        return record(stage, original=original)


def target_never_healthy() -> Story:
    """The replacement passes its status checks, but not those of its target group."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.take_in()
        stage.force()
        stage.run_until_entered("WaitForTargets")
        (replacement,) = stage.alive() - {original}
        stage.world.instances[replacement].impaired = True
        stage.finish()
        return record(
            stage,
            original=original,
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
        )


BEFORE_COMMIT: Mapping[str, Fault] = {
    "RecordLaunched": Fault("UpdateItem", when=record_of("LAUNCHED")),
    "InspectReplacement": Fault("Invoke", when=step("InspectReplacement")),
    "RecordHealthy": Fault("UpdateItem", when=record_of("HEALTHY")),
    "HandOver": Fault("Invoke", when=step("HandOver", "shift")),
    "RecordHandedOver": Fault("UpdateItem", when=record_of("HANDED_OVER")),
    "CommitSwitch": Fault("Invoke", when=step("UpdateLedger", "commit")),
}
"""State -> the fault that it ends in, after the launch and before the commit."""

MANY = {"StackBreakerWorkloads": 100}


def every_step_before_the_commit_fails() -> Story:
    """One workload for each state of BEFORE_COMMIT, whose call is refused for good."""
    with open_stage(**MANY) as stage:
        group = stage.world.create_target_group("shop")
        originals = {
            state: stage.launch(_id(state), target_group_arn=group, address=state == "CommitSwitch")
            for state in BEFORE_COMMIT
        }
        stage.take_in()
        _inject(stage, BEFORE_COMMIT)
        for state in BEFORE_COMMIT:
            stage.force(_id(state))
        stage.finish()
        return record(
            stage,
            originals=originals,
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
        )


def _id(state: str) -> str:
    """The workload whose switch fails in ``state``."""
    return state.lower()


def _inject(stage: Stage, faults: Mapping[str, Fault]) -> None:
    for state, fault in faults.items():
        stage.faults.append(
            Fault(fault.operation, fault.code, workload=_id(state), when=fault.when)
        )


UNDOING: Mapping[str, Fault] = {
    "UndoHandOver": Fault("Invoke", when=step("HandOver", "undo")),
    "TerminateReplacement": Fault("TerminateInstances"),
    "RecordFailure": Fault("Invoke", when=step("UpdateLedger", "fail")),
    "AbandonSwitch": Fault("Invoke", when=step("UpdateLedger", "abandon")),
}
"""State -> the fault that it ends in, while a switch is undone."""


def undoing_fails() -> Story:
    """One workload for each state of UNDOING; what makes them undo is a replacement without checks."""
    with open_stage(**MANY) as stage:
        originals = {state: stage.launch(_id(state)) for state in UNDOING}
        stage.take_in()
        stage.world.fail_status_checks("m5a.large", ZONES[1])
        _inject(stage, UNDOING)
        for state in UNDOING:
            stage.force(_id(state))
        stage.finish()
        return record(stage, originals=originals)


def refusal_cannot_be_noted() -> Story:
    """The launch is refused, and the ledger refuses to note it."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.world.close_capacity(lifecycle="spot")
        stage.faults.append(Fault("Invoke", when=step("UpdateLedger", "refuse")))
        stage.force()
        stage.finish()
        return record(stage, original=original)


def launching_breaks() -> Story:
    """The launch function cannot be invoked at all."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.faults.append(Fault("Invoke", when=step("LaunchReplacement")))
        stage.force()
        stage.finish()
        return record(stage, original=original)


def ledger_unreachable_after_the_launch() -> Story:
    """From the launch on, every call to the ledger is refused."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        stage.faults += [
            Fault("UpdateItem", code="InternalServerError"),
            Fault("Invoke", code="ServiceException", when=step("UpdateLedger")),
        ]
        stage.finish()
        return record(stage, original=original)


# --- trouble after the commit --------------------------------------------------------------------

AFTER_COMMIT: Mapping[str, Fault] = {
    "ReleaseOriginal": Fault("Invoke", when=step("HandOver", "release")),
    "LeaveOriginal": Fault("DeleteTags"),
    "CancelSpotRequest": Fault("CancelSpotInstanceRequests"),
    "TerminateOriginal": Fault("TerminateInstances"),
    "ConfirmOriginalGone": Fault("DescribeInstances"),
    "RecordSuccess": Fault("Invoke", when=step("UpdateLedger", "succeed")),
}
"""State -> the fault that it ends in, after the commit."""


def every_step_after_the_commit_fails() -> Story:
    """One workload for each state of AFTER_COMMIT, whose call is refused for good."""
    with open_stage(**MANY) as stage:
        originals = {
            state: stage.launch(
                _id(state),
                tags={"spot-optimizer:auto-terminate": "false"} if state == "LeaveOriginal" else {},
                persistent=state == "CancelSpotRequest",
            )
            for state in AFTER_COMMIT
        }
        stage.take_in()
        _inject(stage, AFTER_COMMIT)
        for state in AFTER_COMMIT:
            stage.force(_id(state))
        stage.finish()
        return record(stage, originals=originals)


def every_step_after_the_commit_fails_once() -> Story:
    """The same, but AWS recovers after the first refusal."""
    with open_stage(**MANY) as stage:
        for state in AFTER_COMMIT:
            stage.launch(
                _id(state),
                tags={"spot-optimizer:auto-terminate": "false"} if state == "LeaveOriginal" else {},
                persistent=state == "CancelSpotRequest",
            )
        stage.take_in()
        _inject(stage, AFTER_COMMIT)
        for fault in stage.faults:
            fault.times = 1
        for state in AFTER_COMMIT:
            stage.force(_id(state))
        stage.finish()
        return record(stage, met=[fault.met for fault in stage.faults])


# --- lost replies --------------------------------------------------------------------------------


def commit_replies_are_all_lost() -> Story:
    """CommitSwitch commits, but no answer of it ever arrives."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group)
        stage.take_in()
        stage.faults.append(_lost("Invoke", step("UpdateLedger", "commit")))
        stage.force()
        stage.finish()
        return record(
            stage, original=original, met=stage.faults[0].met, targets=stage.targets(group)
        )


def every_reply_is_lost_once() -> Story:
    """Each call of the state machine takes effect, its first reply is lost, and it is made again."""
    lossy = {
        "claim": ("Invoke", step("UpdateLedger", "claim")),
        "launch": ("Invoke", step("LaunchReplacement")),
        "launched": ("UpdateItem", record_of("LAUNCHED")),
        "inspect": ("Invoke", step("InspectReplacement")),
        "healthy": ("UpdateItem", record_of("HEALTHY")),
        "shift": ("Invoke", step("HandOver", "shift")),
        "handed over": ("UpdateItem", record_of("HANDED_OVER")),
        "commit": ("Invoke", step("UpdateLedger", "commit")),
        "release": ("Invoke", step("HandOver", "release")),
        "terminate": ("TerminateInstances", lambda _params: True),
        "confirm": ("DescribeInstances", lambda _params: True),
        "succeed": ("Invoke", step("UpdateLedger", "succeed")),
    }
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.take_in()
        stage.faults += [_lost(op, when, times=1) for op, when in lossy.values()]
        stage.force()
        stage.finish()
        return record(
            stage,
            original=original,
            replacement=stage.workload()["instance_id"],
            met=dict(zip(lossy, [fault.met for fault in stage.faults], strict=True)),
            targets=stage.targets(group),
        )


def failed_switch_loses_every_reply_once() -> Story:
    """A switch is undone; the refusal's, the abandoning's and the failure's first replies are lost."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.world.close_capacity("m5a.large", ZONES[1])
        stage.world.fail_status_checks("m6i.large")
        stage.faults += [
            _lost("Invoke", step("UpdateLedger", action), times=1)
            for action in ("refuse", "abandon", "fail")
        ]
        stage.start(
            stage.order(
                "web", ("m5a.large", ZONES[1], "spot"), ("m6i.large", ZONES[2], "spot")
            )
        )
        stage.finish()
        return record(stage, original=original, met=[fault.met for fault in stage.faults])


def _lost(
    operation: str, when: Callable[[Mapping[str, Any]], bool], times: int = 1_000
) -> Fault:
    """Takes effect, but the reply is lost, as AWS's service errors say it."""
    codes = {"Invoke": "ServiceException", "UpdateItem": "InternalServerError"}
    code = codes.get(operation, "InternalError")
    return Fault(operation, code=code, when=when, after_effect=True, times=times)


def claim_is_taken_over() -> Story:
    """A run is so slow that its claim expires and another switch of the workload begins."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.take_in()
        stage.start(stage.order("web", ("m5a.large", ZONES[1], "spot"), name="slow"))
        stage.run_until_entered("WaitForTargets")
        (slow_replacement,) = stage.alive() - {original}
        boto3.client("dynamodb").update_item(
            TableName=stage.account.outputs["LedgerTable"],
            Key={"pk": {"S": "WORKLOADS"}, "sk": {"S": "web"}},
            UpdateExpression="SET claim_expires_at = :past",
            ExpressionAttributeValues={":past": {"S": "2026-03-01T00:00:00.000Z"}},
        )
        stage.start(stage.order("web", ("m6i.large", ZONES[2], "spot"), name="fast"))
        stage.finish()
        return record(
            stage,
            original=original,
            slow_replacement=slow_replacement,
            replacement=stage.workload()["instance_id"],
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
        )


def claims_that_are_refused() -> Story:
    """Switches that may not begin: one runs already, the decision is old, its name was used, the
    original is not the workload's any more, the global stop is set."""
    with open_stage() as stage:
        stage.launch()
        stage.take_in()
        place = ("m5a.large", ZONES[1], "spot")
        second = stage.order("web", place, name="second")
        moved = stage.order("web", place, name="moved")
        minutes = stage.account.clock.now() - timedelta(minutes=16)
        stage.start(stage.order("web", place, name="stale", decided_at=minutes.isoformat()))
        stage.finish()
        stage.start(stage.order("web", place, name="first"))
        stage.run_until_entered("WaitForBoot")
        stage.start(second)
        stage.finish()
        now = stage.account.clock.now().isoformat()
        stage.start({**moved, "decided_at": now})
        stage.finish()
        stage.command(command="stop")
        stage.start(stage.order("web", ("m5.large", ZONES[0], "spot"), name="stopped"))
        stage.finish()
        return record(stage)


ALL: tuple[Callable[[], Story], ...] = (
    clean_switch,
    switch_that_leaves_the_original,
    switch_from_a_persistent_request,
    first_two_pools_are_full,
    no_capacity_three_times,
    target_never_healthy,
    replacement_never_passes_its_checks,
    every_step_before_the_commit_fails,
    undoing_fails,
    refusal_cannot_be_noted,
    launching_breaks,
    ledger_unreachable_after_the_launch,
    every_step_after_the_commit_fails,
    commit_replies_are_all_lost,
    claims_that_are_refused,
)
"""The stories that together enter every state and every Catch."""
