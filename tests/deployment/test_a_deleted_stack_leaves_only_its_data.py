"""``sam delete``: the machines run on, the data are kept, and of the rest nothing remains."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.house.translated import resources_of, translated
from tests.workflow.stage import SEED, STACK, Stage, open_stage

OURS = ("spot-optimizer:managed", "spot-optimizer:workload", "spot-optimizer:switch")


@pytest.fixture(scope="module")
def deleted() -> Iterator[Stage]:
    """A stack that has switched a workload and been rescued once, stopped and deleted."""
    print(f"seed {SEED}")
    with open_stage(AlertEmail="ops@example.com") as stage:
        stage.launch()
        stage.take_in()
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
    """Of nothing that costs, runs, alarms or may do something; AWS's own is there as before."""
    assert _names(service, operation, rows, name) == own


def test_the_data_remain_whole(deleted: Stage) -> None:
    """Ledger and bucket are there with everything that was in them."""
    outputs = deleted.account.outputs
    assert _names("dynamodb", "list_tables", "TableNames", "") == {outputs["LedgerTable"]}
    assert outputs["DataBucket"] in _names("s3", "list_buckets", "Buckets", "Name")
    assert len(deleted.switches("web")) == 2
    assert deleted.objects("decisions/")


def test_the_machine_runs_on(deleted: Stage) -> None:
    """What the stack launched last serves its workload without the stack."""
    assert deleted.alive() == {deleted.workload()["instance_id"]}


def test_what_is_retained_by_name_goes_with_what_it_belongs_to() -> None:
    """Versions are retained from one update to the next; without their function they are gone."""
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
def test_what_users_machines_bear_can_be_taken_away() -> None:
    """The README's commands find every launch template and every tag by the stack's name."""
    ec2 = boto3.client("ec2")
    ours: list[Any] = [{"Name": "tag:spot-optimizer:managed", "Values": [STACK]}]
    templates = ec2.describe_launch_templates(Filters=ours)["LaunchTemplates"]
    assert templates
    for template in templates:
        ec2.delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"])
    assert not ec2.describe_launch_templates()["LaunchTemplates"]
    bearing = [
        row["InstanceId"]
        for reservation in ec2.describe_instances(Filters=ours)["Reservations"]
        for row in reservation["Instances"]
    ] + [row["VolumeId"] for row in ec2.describe_volumes(Filters=ours)["Volumes"]]
    ec2.delete_tags(Resources=bearing, Tags=[{"Key": key} for key in OURS])
    running: list[Any] = [{"Name": "instance-state-name", "Values": ["running"]}]
    left = [
        tag["Key"]
        for reservation in ec2.describe_instances(Filters=running)["Reservations"]
        for row in reservation["Instances"]
        for tag in row["Tags"]
    ]
    assert not {key for key in left if key in OURS}
