"""Lives of a stack that, together, take every right that its roles have."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import boto3

from simulator.account import FunctionFailed
from simulator.call_log import Fault
from simulator.deployed import HOME, START, ZONES
from simulator.stage import TYPES, WORKLOADS_MAX, Stage, open_stage
from simulator.world import DataVolume
from tests.house.repository import PACKAGE
from tests.models.uploads import files_of, moving_market, upload
from tests.permissions.conftest import KEY, LICENSE
from tests.workflow.faults import record_of, step
from tests.workflow.scenarios_of_leftovers import BETWEEN_SWEEPS
from tests.workflow.test_market_files_are_imported import csv_of

SHIPPED = PACKAGE / "forecast" / "shipped"
NOT_JUDGED = {"spot-optimizer:engine": "clairvoyant"}
KEEPS_FAILING = "ServiceException"
BURSTABLE = ("t3.large", "t3a.large")


def _tasks(stage: Stage, *tasks: dict[str, Any]) -> None:
    for task in tasks:
        stage.account.invoke("RefreshMarket", task)


def everyday(stage: Stage) -> None:
    """Instances of every kind are adopted, switched, commanded and failed over, one before its plan."""
    group = stage.world.create_target_group("shop")
    (image, *_) = boto3.client("ec2").describe_images()["Images"]
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    disk = {"SnapshotId": snapshot, "VolumeSize": 20, "DeleteOnTermination": True}
    stage.world.grant_key_to_spot(KEY)
    stage.launch(
        "shop",
        target_group_arn=group,
        address=True,
        volumes=[
            DataVolume("/dev/sdf", 50, encrypted=True, kms_key_id=KEY, delete_on_termination=True)
        ],
        BlockDeviceMappings=[{"DeviceName": "/dev/sdg", "Ebs": disk}],
        LicenseSpecifications=[{"LicenseConfigurationArn": LICENSE}],
    )
    stage.launch("asked", persistent=True)
    stage.launch("left", tags={"spot-optimizer:auto-terminate": "false"})
    stage.launch("burst", BURSTABLE[0], tags={"spot-optimizer:allow-burstable": "true"})
    nameless = stage.launch(None)
    stage.launch("odd", tags=NOT_JUDGED)
    early = stage.launch("early", tags={"spot-optimizer:fallback-to-on-demand": "false"})
    stage.adopt()
    stage.world.interrupt(early)
    stage.account.run_for(timedelta(minutes=4))
    stage.world.set_listed_price(HOME, 0.5)
    _tasks(stage, {"task": "reference"}, {"task": "prices"}, {"task": "gaps"})
    body = csv_of((START - timedelta(days=1), HOME, ZONES[0], 0.05))
    boto3.client("s3").put_object(Bucket=stage.bucket, Key="import/mine.csv.gz", Body=body)
    _tasks(stage, {"task": "import", "key": "import/mine.csv.gz", "rows_are": "changes"})
    stage.command(command="evaluate", instance_type=HOME, availability_zone=ZONES[0])
    for workload in ("shop", "asked", "left"):
        stage.force(workload)
    stage.force("burst", BURSTABLE[1])
    stage.finish()
    stage.command(command="set-mode", workload="left", mode="manual")
    stage.command(command="stop")
    stage.command(command="resume")
    stage.world.recommend_rebalance(nameless)
    stage.finish()
    _change(stage, "left", "a")
    stage.cycle()
    stage.world.interrupt(stage.workload("shop")["instance_id"])
    stage.finish()
    _change(stage, "left", "b")
    stage.cycle()
    _refused_launches(stage)
    _forget_the_version(stage)
    stage.account.run_for(timedelta(minutes=31))  # old versions of the launch template are deleted
    _change(stage, "left", "c")
    stage.cycle()


def trouble(stage: Stage) -> None:
    """Switches, failovers and functions fail in the ways that need a user or a sweep."""
    one_failure = {"spot-optimizer:breaker-failures": "1"}
    stage.launch("opened", tags=one_failure)
    stage.launch("not-undone")
    stage.launch("forgotten")
    stage.launch("stopped-by-hand")
    stage.launch("stopped-early")
    stage.launch("lost")
    stage.launch("ended")
    stage.faults.append(Fault("CreateLaunchTemplate", "InternalError", "Decide", after_effect=True))
    stage.adopt()
    stage.faults.clear()
    stage.account.run_for(timedelta(minutes=1))
    stage.cycle()
    _failing_switches(stage)
    _nothing_left(stage)
    _sweep(stage)
    _failing_failovers(stage)
    _sweep(stage)


def _change(stage: Stage, workload: str, value: str) -> None:
    """A user changes a tag of the workload's instance: its launch template gets a new version."""
    boto3.client("ec2").create_tags(
        Resources=[stage.workload(workload)["instance_id"]],
        Tags=[{"Key": "seen", "Value": value}],
    )


def _forget_the_version(stage: Stage) -> None:
    """The ledger is as the first version of the product would have left it."""
    boto3.client("dynamodb").update_item(
        TableName=stage.account.outputs["LedgerTable"],
        Key={"pk": {"S": "STACK"}, "sk": {"S": "STATE"}},
        UpdateExpression="REMOVE schema_version",
    )


def _refused_launches(stage: Stage) -> None:
    """Of pools without capacity, and of a launch template that somebody has deleted."""
    template = stage.item("PLANS", "asked")["launch_template"]["template_id"]
    boto3.client("ec2").delete_launch_template(LaunchTemplateId=template)
    stage.force("asked", zone=ZONES[2])
    stage.finish()
    stage.world.close_capacity(lifecycle="spot")
    stage.force("burst", BURSTABLE[0])
    stage.finish()
    stage.world.interrupt(stage.workload("shop")["instance_id"])
    stage.finish()


def _failing_switches(stage: Stage) -> None:
    stage.world.fail_status_checks("m5a.large", ZONES[2])
    stage.faults += [
        Fault("TerminateInstances", workload="not-undone"),
        Fault("Invoke", workload="stopped-by-hand", when=step("UpdateLedger", "abandon")),
    ]
    for workload in ("opened", "not-undone"):
        stage.force(workload, zone=ZONES[2])
    stage.finish()
    stage.force("stopped-by-hand")
    stage.run_until_entered("WaitForBoot")
    _stop_the_newest(stage)
    stage.faults.append(
        Fault("Invoke", KEEPS_FAILING, workload="stopped-early", when=step("LaunchReplacement"))
    )
    stage.force("stopped-early")
    stage.run_until_entered("LaunchReplacement")
    _stop_the_newest(stage)
    stage.finish()
    original = stage.workload("forgotten")["instance_id"]
    stage.faults.append(Fault("TerminateInstances", workload="forgotten"))
    stage.force("forgotten")
    stage.finish()
    _forget_the_switch(stage, "forgotten", original)
    with suppress(FunctionFailed):
        stage.command(command="decide", workload="unheard-of")


def _nothing_left(stage: Stage) -> None:
    """Executions end when their switch has nothing left to do: no replacement to end, no original."""
    stage.force("lost")
    stage.run_until_entered("WaitForBoot")
    _stop_the_newest(stage)
    stage.finish()
    stage.world.terminate_instance(stage.switches("lost")[0]["replacement_id"])
    stage.faults.append(
        Fault("Invoke", KEEPS_FAILING, workload="ended", when=step("UpdateLedger", "succeed"))
    )
    stage.force("ended")
    stage.finish()


def _forget_the_switch(stage: Stage, workload: str, original: str) -> None:
    """The ledger loses the record of a switch, and that the workload has moved."""
    ledger, table = boto3.client("dynamodb"), stage.account.outputs["LedgerTable"]
    moved = stage.workload(workload)["instance_id"]
    record = stage.switches(workload)[0]
    for pk, sk in ((record["pk"], record["sk"]), (f"INSTANCE#{moved}", "POINTER")):
        ledger.delete_item(TableName=table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    ledger.update_item(
        TableName=table,
        Key={"pk": {"S": "WORKLOADS"}, "sk": {"S": workload}},
        UpdateExpression="SET instance_id = :original REMOVE claim_switch_id",
        ExpressionAttributeValues={":original": {"S": original}},
    )


def _failing_failovers(stage: Stage) -> None:
    """Of instances that only stop, whose hand-over is owed, that end without an event; one is undone."""
    names = ("only-stops", "ghost", "owed", "undone", "unheard", "by-hand", "by-its-user")
    for name in names:
        stage.launch(name, persistent=name in ("only-stops", "ghost"))
    stage.adopt()
    stage.cycle()
    stage.finish()
    ids = {name: stage.workload(name)["instance_id"] for name in names}
    stage.faults += [
        Fault("Invoke", code, "FailOver", name, when=step("HandOver", "fail-over"))
        for name, code in (("owed", "AccessDeniedException"), ("by-hand", KEEPS_FAILING))
    ]
    stage.faults.append(
        Fault(
            "UpdateItem", "AccessDeniedException", "FailOver", "undone", when=record_of("LAUNCHED")
        )
    )
    stage.world.interrupt(ids["only-stops"], "stop")
    for name in ("ghost", "owed", "undone"):
        stage.world.interrupt(ids[name])
    stage.world.terminate_instance(ids["by-its-user"])
    stage.finish()
    stage.world.interrupt(ids["by-hand"])
    stage.account.run_for(timedelta(seconds=5))  # its own execution is the newest then
    stage.run_until_entered("HandOver")
    stage.account.run_for(timedelta(seconds=5))
    stage.cycle()
    _stop_the_newest(stage)
    stage.finish()
    stage.faults.append(Fault("GetItem", KEEPS_FAILING, "HandleSignal"))
    stage.world.interrupt(ids["unheard"])
    stage.account.run_for(timedelta(minutes=15))
    for name in ("RefreshMarket", "Decide", "Sweep"):
        function = stage.account.lambdas.find(name)
        stage.account.events.invoke_later(function, b'"no request at all"')
    stage.account.run_for(timedelta(minutes=15))


def _stop_the_newest(stage: Stage) -> None:
    arn = stage.account.executions()[-1].arn
    boto3.client("stepfunctions").stop_execution(executionArn=arn)


def _sweep(stage: Stage) -> None:
    stage.faults.clear()
    for _ in range(2):
        stage.account.run_for(BETWEEN_SWEEPS)
        stage.sweep()
        stage.finish()


def models(stage: Stage) -> None:
    """Models are uploaded, looked at, activated one after the other, and the oldest is dropped."""
    with suppress(FunctionFailed):
        stage.command(command="evaluate", instance_type=HOME, availability_zone=ZONES[0])
    stage.launch()
    stage.adopt()
    stage.account.invoke("RefreshMarket", {"task": "fill"})
    stage.command(command="recommend", vcpu=2, memory_gib=8, count=2, architecture="x86_64")
    for version in ("first", "second", "third"):
        upload(stage, version, files_of(SHIPPED, version))
        stage.command(command="validate-model", version=version)
        stage.command(command="activate-model", version=version)
        stage.command(command="models")
        stage.refresh()
    stage.account.run_for(timedelta(hours=1))  # what has just been accepted is not tidied away
    _tasks(stage, {"task": "gaps"})


@contextmanager
def life(which: Callable[[Stage], None]) -> Iterator[Stage]:
    """A stack that has lived so, on a market with burstable types too."""
    market = moving_market(27) if which is models else None
    with open_stage(
        market=market,
        types=(*TYPES, *BURSTABLE),
        KmsKeyArns=KEY,
        StackBreakerWorkloads=WORKLOADS_MAX,
    ) as stage:
        which(stage)
        yield stage
