"""``sam delete``: the instances keep running, the data are retained, and nothing else remains."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.deployed import STACK
from simulator.stage import SEED, Stage, open_stage
from tests.house.translated import resources_of, translated

OURS = ("spot-optimizer:managed", "spot-optimizer:workload", "spot-optimizer:switch")


@pytest.fixture(scope="module")
def deleted() -> Iterator[Stage]:
    """A stack with one switch and one failover, stopped and deleted."""
    print(f"seed {SEED}")
    with open_stage(AlertEmail="ops@example.com") as stage:
        stage.launch()
        stage.adopt()
        stage.account.run_for(timedelta(minutes=1))
        stage.force()
        stage.finish()
        stage.cycle()
        stage.world.interrupt(stage.workload()["instance_id"])
        stage.finish()
        stage.command(command="stop")
        stage.account.delete_stack()
        yield stage


def _names(service: Any, operation: str, rows: str, name: str) -> set[str]:
    reply = getattr(boto3.client(service), operation)()
    return {row[name] if name else row for row in reply.get(rows, [])}


@pytest.mark.parametrize(
    ("service", "operation", "rows", "name", "own"),
    [
        ("lambda", "list_functions", "Functions", "FunctionName", set()),
        ("lambda", "list_layers", "Layers", "LayerName", set()),
        ("stepfunctions", "list_state_machines", "stateMachines", "name", set()),
        ("events", "list_rules", "Rules", "Name", set()),
        ("events", "list_event_buses", "EventBuses", "Name", {"default"}),
        ("logs", "describe_log_groups", "logGroups", "logGroupName", set()),
        ("iam", "list_roles", "Roles", "RoleName", set()),
        ("sns", "list_topics", "Topics", "TopicArn", set()),
        ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn", set()),
        ("sqs", "list_queues", "QueueUrls", "", set()),
        ("ssm", "describe_parameters", "Parameters", "Name", set()),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName", set()),
        ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName", set()),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
@pytest.mark.usefixtures("deleted")
def test_nothing_that_runs_remains(
    service: str, operation: str, rows: str, name: str, own: set[str]
) -> None:
    """Nothing that costs money, runs, alarms or has permissions; AWS's own resources stay."""
    assert _names(service, operation, rows, name) == own


def test_the_data_remain_whole(deleted: Stage) -> None:
    """Ledger and bucket exist with all their contents."""
    outputs = deleted.account.outputs
    assert _names("dynamodb", "list_tables", "TableNames", "") == {outputs["LedgerTable"]}
    assert outputs["DataBucket"] in _names("s3", "list_buckets", "Buckets", "Name")
    assert len(deleted.switches("web")) == 2
    assert deleted.objects("decisions/")


def test_the_instance_keeps_running(deleted: Stage) -> None:
    """The last replacement serves its workload without the stack."""
    assert deleted.alive() == {deleted.workload()["instance_id"]}


def test_retained_versions_are_deleted_with_their_function() -> None:
    """Versions are retained from one update to the next, and deleted with their function."""
    retained = {
        name: row["Type"]
        for name, row in translated()["Resources"].items()
        if row.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
    }
    with_their_owner = {"AWS::Lambda::Version", "AWS::StepFunctions::StateMachineVersion"}
    data = {name for name, kind in retained.items() if kind not in with_their_owner}
    assert data == {"Ledger", "DataBucket"}
    layers = resources_of("AWS::Lambda::LayerVersion").values()
    assert all(row["DeletionPolicy"] == "Delete" for row in layers)


@pytest.mark.usefixtures("deleted")
def test_tags_and_templates_of_users_can_be_removed() -> None:
    """The README's commands find every launch template and every tag by the stack's name."""
    ec2 = boto3.client("ec2")
    ours: list[Any] = [{"Name": "tag:spot-optimizer:managed", "Values": [STACK]}]
    templates = ec2.describe_launch_templates(Filters=ours)["LaunchTemplates"]
    assert templates
    for template in templates:
        ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
    assert not ec2.describe_launch_templates()["LaunchTemplates"]
    tagged = [
        row["InstanceId"]
        for reservation in ec2.describe_instances(Filters=ours)["Reservations"]
        for row in reservation["Instances"]
    ] + [row["VolumeId"] for row in ec2.describe_volumes(Filters=ours)["Volumes"]]
    ec2.delete_tags(Resources=tagged, Tags=[{"Key": key} for key in OURS])
    running: list[Any] = [{"Name": "instance-state-name", "Values": ["running"]}]
    left = [
        tag["Key"]
        for reservation in ec2.describe_instances(Filters=running)["Reservations"]
        for row in reservation["Instances"]
        for tag in row["Tags"]
    ]
    assert not {key for key in left if key in OURS}
