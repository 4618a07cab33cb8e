"""Each kind of fault does to a call what its name says, and nothing else."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from simulator.account.callers import Caller
from simulator.account.lambdas import FunctionKilled
from simulator.api_calls import ApiCall
from simulator.deployed import HOME, ZONES
from simulator.faults.kinds import REFUSED_FOR, Fault, FaultKind, refusal
from simulator.faults.places import PlacedFault, parse_fault
from simulator.trials.ground import Ground, open_ground

SEED = 11


def function() -> Caller:
    """One invocation of a function."""
    return Caller("lambda", "UpdateLedger", "us-east-1")


@pytest.fixture(scope="module")
def deployed() -> Iterator[Ground]:
    """A deployed stack with nothing to manage."""
    print(f"seed {SEED}")
    with open_ground(seed=SEED) as ground:
        yield ground


@pytest.fixture
def ground(deployed: Ground) -> Iterator[Ground]:
    """The same; afterwards no fault is armed."""
    yield deployed
    deployed.injector.arm()


def put(ground: Ground, key: str, condition: str | None = None) -> Any:
    """A write that moto answers."""
    more: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
    return boto3.client("dynamodb").put_item(
        TableName=ground.account.outputs["LedgerTable"],
        Item={"pk": {"S": "TEST"}, "sk": {"S": key}},
        **more,
    )


def is_written(ground: Ground, key: str) -> bool:
    items = ground.account.table_items("Ledger")
    return any((item["pk"], item["sk"]) == ("TEST", key) for item in items)


def make_template(name: str) -> Any:
    """A write that the world answers."""
    data: Any = {"InstanceType": HOME}
    return boto3.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data
    )


def templates(ground: Ground) -> list[str]:
    """Once EC2 shows what was made a moment ago."""
    ground.account.clock.sleep(60)
    rows = boto3.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return [row["LaunchTemplateName"] for row in rows]


def first(ground: Ground, kind: FaultKind) -> None:
    ground.injector.arm([Fault(1, kind)])


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.DENIED])
def test_error_before_the_effect_leaves_no_effect(ground: Ground, kind: FaultKind) -> None:
    """Neither moto nor the world acts on a call that was answered before them."""
    first(ground, kind)
    with ground.account.callers.calling(function()), pytest.raises(ClientError) as caught:
        put(ground, f"before-{kind.value}")
    expected = refusal("dynamodb", kind)[1]["Error"]["Code"]
    assert caught.value.response["Error"]["Code"] == expected
    assert not is_written(ground, f"before-{kind.value}")
    first(ground, kind)
    with ground.account.callers.calling(function()), pytest.raises(ClientError):
        make_template(kind.value)
    assert kind.value not in templates(ground)


def test_denied_call_stays_denied_for_a_while(ground: Ground) -> None:
    """The same call of the same caller, and no other."""
    first(ground, FaultKind.DENIED)
    alerts: dict[str, Any] = {
        "TopicArn": ground.account.stack.physical_ids["AlertTopic"],
        "Message": "x",
    }
    with ground.account.callers.calling(function()):
        for _ in range(2):
            with pytest.raises(ClientError):
                boto3.client("sns").publish(**alerts)
        put(ground, "another call")
        ground.account.clock.sleep(REFUSED_FOR.total_seconds() + 1)
        boto3.client("sns").publish(**alerts)


def test_fault_waits_for_its_call(ground: Ground) -> None:
    """Not for another caller's, not for an earlier one, not before its time."""
    place = ApiCall("dynamodb", "PutItem")
    wanted = PlacedFault(
        FaultKind.ERROR, place, "UpdateLedger", occurrence=2, after=timedelta(minutes=1)
    )
    ground.injector.arm([wanted])
    with ground.account.callers.calling(function()):
        put(ground, "too early")
        ground.account.clock.sleep(60)
        put(ground, "the first")
    with ground.account.callers.calling(Caller("lambda", "Sweep", "us-east-1")):
        put(ground, "of another")
    assert ground.injector.unmet == [wanted]
    with ground.account.callers.calling(function()), pytest.raises(ClientError):
        put(ground, "the second")
    assert [met.fault for met in ground.injector.met] == [wanted]
    assert ground.injector.unmet == []


def test_lost_reply_keeps_the_effect(ground: Ground) -> None:
    """A function sees a broken connection, a state machine the service's error."""
    first(ground, FaultKind.LOST_REPLY)
    with ground.account.callers.calling(function()), pytest.raises(ConnectionClosedError):
        put(ground, "lost")
    assert is_written(ground, "lost")
    execution = Caller("states", "SwitchInstance", "us-east-1", execution="none")
    first(ground, FaultKind.LOST_REPLY)
    with (
        ground.account.callers.calling(execution),
        pytest.raises(ClientError, match="InternalError"),
    ):
        make_template("lost")
    assert "lost" in templates(ground)


def test_doubled_request_is_answered_the_second_time(ground: Ground) -> None:
    """A write on condition that it is the first sees itself."""
    first(ground, FaultKind.TWICE)
    with (
        ground.account.callers.calling(function()),
        pytest.raises(ClientError, match="ConditionalCheckFailed"),
    ):
        put(ground, "twice", "attribute_not_exists(pk)")
    assert is_written(ground, "twice")
    first(ground, FaultKind.TWICE)
    with ground.account.callers.calling(function()):
        # The SDK gives each call a client token, which both requests carry.
        make_template("twice")
    assert templates(ground).count("twice") == 1


@pytest.mark.parametrize("kind", [FaultKind.TIMED_OUT, FaultKind.KILLED])
def test_killed_function_does_nothing_more(ground: Ground, kind: FaultKind) -> None:
    """Its last call has its effect; later ones have none, in a ``finally`` neither."""
    first(ground, kind)

    def handler() -> None:
        try:
            put(ground, f"{kind.value} 1")
        finally:
            put(ground, f"{kind.value} 2")

    with ground.account.callers.calling(function()), pytest.raises(FunctionKilled):
        handler()
    assert is_written(ground, f"{kind.value} 1")
    assert not is_written(ground, f"{kind.value} 2")


def test_killed_function_fails_as_lambda_says(ground: Ground) -> None:
    """A timeout uses all the function's time; an exit none."""
    for kind, error, seconds in (
        (FaultKind.TIMED_OUT, "Sandbox.Timedout", 300),
        (FaultKind.KILLED, "Runtime.ExitError", 0),
    ):
        first(ground, kind)
        begun = ground.now
        sweep = ground.account.lambdas.find("Sweep")
        payload = json.dumps({"trigger": "schedule"}).encode()
        outcome = ground.account.lambdas.invoke(sweep, payload)
        assert outcome.value()["errorType"] == error
        assert ground.now - begun == timedelta(seconds=seconds)
        # The lease was not given back: its holder did nothing more.
        assert any(item["sk"] == "LEASE#sweep" for item in ground.account.table_items("Ledger"))
        ground.account.run_for(timedelta(minutes=6))


def test_stale_read_lacks_new_resources(ground: Ground) -> None:
    """An instance of a moment ago is not listed, not found by id, and known a little later."""
    instance_id = ground.world.launch_instance(HOME, ZONES[0], age=timedelta(0))
    ec2 = boto3.client("ec2")

    def listed() -> list[str]:
        first(ground, FaultKind.STALE)
        with ground.account.callers.calling(function()):
            rows = ec2.describe_instances(
                Filters=[{"Name": "instance-id", "Values": [instance_id]}]
            )["Reservations"]
        return [i["InstanceId"] for row in rows for i in row["Instances"]]

    assert listed() == []
    first(ground, FaultKind.STALE)
    with (
        ground.account.callers.calling(function()),
        pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"),
    ):
        ec2.describe_instance_status(InstanceIds=[instance_id])
    ground.account.run_for(timedelta(minutes=1))
    assert listed() == [instance_id]


def test_events_arrive_twice_late_or_not_at_all(ground: Ground) -> None:
    """What a schedule sends, counted at its target."""

    def sweeps() -> int:
        return sum(each.function == "Sweep" for each in ground.account.trace)

    for other in ("Decide", "RefreshMarket"):
        ground.schedule(other, enabled=False)
    counted = []
    for kind in (
        FaultKind.NOT_DELIVERED,
        FaultKind.DELIVERED_TWICE,
        FaultKind.DELIVERED_LATE,
    ):
        first(ground, kind)
        before = sweeps()
        while not ground.injector.deliveries:
            ground.account.run_for(timedelta(minutes=1))
        at_once = sweeps() - before
        ground.account.run_for(timedelta(minutes=8))
        counted.append((at_once, sweeps() - before))
    assert counted == [(0, 0), (2, 2), (1, 2)]


def test_fault_is_written_as_number_and_kind() -> None:
    """What a failure prints is what the command takes."""
    for kind in FaultKind:
        fault = Fault(17, kind)
        assert parse_fault(str(fault)) == fault
    for text in (
        "ec2:CreateFleet:lost-reply",
        "lambda:Invoke@FailOver/HandOver=web#2:denied",
        "ec2:DescribeInstances/OriginalGone?:stale",
        "delivery@HandleSignal#3:not-delivered",
    ):
        assert str(parse_fault(text)) == text
    for wrong, why in (
        ("ec2:CreateFleets:error", "near are CreateFleet"),
        ("delivery:error", "does not happen there"),
        ("ec2:CreateFleet:delivered-late", "does not happen there"),
        ("ec2:CreateFleet#0:error", "does not happen there"),
    ):
        with pytest.raises(ValueError, match=why):
            parse_fault(wrong)
    for wrong in ("lost-reply", "0:error", "3:nonsense", ":"):
        with pytest.raises(ValueError, match="NUMBER:KIND"):
            parse_fault(wrong)
