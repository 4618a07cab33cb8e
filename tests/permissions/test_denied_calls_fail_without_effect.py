"""The embedded account refuses calls that a role does not allow, as the service would, without effect."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulator.account.callers import Caller
from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.deployed import REGION, STACK
from simulator.permissions.services import Place, Unmapped, service_demands
from simulator.stage import Stage, open_stage
from simulator.world import DataVolume
from tests.permissions.conftest import KEY

PLACE = Place(ACCOUNT_ID, REGION, lambda _bucket, key: key == "there")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The product, and an instance that does not ask to be managed."""
    with open_stage(KmsKeyArns=KEY) as opened:
        yield opened


def _as(stage: Stage, name: str, call: Callable[..., Any], **params: Any) -> Any:
    """Make a call with the role of a function or state machine."""
    role = stage.account.stack.physical_ids[f"{name}Role"]
    arn = f"arn:aws:iam::{ACCOUNT_ID}:role/{role}"
    with stage.account.callers.calling(Caller("lambda", name, REGION, arn)):
        return call(**params)


def _refused(
    stage: Stage, name: str, call: Callable[..., Any], **params: Any
) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        _as(stage, name, call, **params)
    error = caught.value.response["Error"]
    return (
        error["Code"],
        error["Message"],
        caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )


def test_key_without_a_grant_for_spot_undoes_the_switch_with_its_cure(stage: Stage) -> None:
    """EC2 accepts the launch, but the replacement never runs; the record names the role to grant."""
    disk = DataVolume("/dev/sdf", 20, encrypted=True, kms_key_id=KEY, delete_on_termination=True)
    original = stage.launch("keyed", volumes=[disk])
    stage.adopt()
    stage.force("keyed")
    assert stage.finish().error == "NotSwitched"
    assert stage.alive() == {original}
    (switch,) = stage.switches("keyed")
    assert "Client.InternalError" in switch["outcome"]["summary"]
    assert "AWSServiceRoleForEC2Spot" in switch["outcome"]["summary"]


def test_untagged_instance_is_not_terminated(stage: Stage) -> None:
    """UnauthorizedOperation names caller, action and resource; the instance keeps running."""
    foreign = stage.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "not yours"})
    terminate = boto3.client("ec2").terminate_instances
    code, message, status = _refused(stage, "Sweep", terminate, InstanceIds=[foreign])
    assert (code, status) == ("UnauthorizedOperation", 403)
    assert f"{STACK}-SweepRole" in message
    assert "ec2:TerminateInstances" in message
    assert f"instance/{foreign}" in message
    assert stage.world.state_of(foreign) == "running"


def test_tag_that_is_added_later_does_not_help(stage: Stage) -> None:
    """The launching role may tag only what it creates: it cannot take over a foreign instance."""
    foreign = stage.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "not yours"})
    tags = [{"Key": "spot-optimizer:managed", "Value": STACK}]
    for who in ("LaunchReplacement", "Decide"):
        code, _, _ = _refused(
            stage, who, boto3.client("ec2").create_tags, Resources=[foreign], Tags=tags
        )
        assert code == "UnauthorizedOperation"
    assert stage.world.tags_of(foreign) == {"Name": "not yours"}


def test_call_with_one_foreign_instance_fails_as_a_whole(stage: Stage) -> None:
    """A call on two instances, one of them denied, affects neither."""
    ours = stage.launch("half", tags={"spot-optimizer:switch": "half-1"})
    foreign = stage.world.launch_instance("m5.large", "us-east-1a")
    terminate = boto3.client("ec2").terminate_instances
    _refused(stage, "Sweep", terminate, InstanceIds=[ours, foreign])
    assert {ours, foreign} <= stage.alive()
    _as(stage, "Sweep", terminate, InstanceIds=[ours])
    assert ours not in stage.alive()


def test_launch_without_our_tag_is_refused(stage: Stage) -> None:
    """Nothing is launched, by RunInstances or by DryRun."""
    before = stage.alive()
    (image, *_) = boto3.client("ec2").describe_images()["Images"]
    request = {
        "ImageId": image["ImageId"],
        "InstanceType": "m5.large",
        "MinCount": 1,
        "MaxCount": 1,
    }
    for dry in (False, True):
        code, message, _ = _refused(
            stage, "LaunchReplacement", boto3.client("ec2").run_instances, **request, DryRun=dry
        )
        assert code == "UnauthorizedOperation"
        assert "instance/*" in message
    assert stage.alive() == before


def test_launch_needs_our_template_and_may_override_it(stage: Stage) -> None:
    """Type, subnet and market options of the request replace the template's; without the template a
    launch is refused, whatever its tags."""
    tags: Any = [{"Key": "spot-optimizer:managed", "Value": STACK}]
    created = ("instance", "volume", "network-interface")
    specified = [{"ResourceType": kind, "Tags": tags} for kind in created]
    ec2 = boto3.client("ec2")
    (image, *_) = ec2.describe_images()["Images"]
    (subnet, *_) = ec2.describe_subnets(
        Filters=[{"Name": "availability-zone", "Values": ["us-east-1b"]}]
    )["Subnets"]
    data: Any = {"ImageId": image["ImageId"], "InstanceType": "m5.large"}
    ec2.create_launch_template(
        LaunchTemplateName="ours",
        LaunchTemplateData=data,
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )
    stage.account.run_for(timedelta(seconds=10))
    override = {
        "InstanceType": "m5a.large",
        "SubnetId": subnet["SubnetId"],
        "InstanceMarketOptions": {"MarketType": "spot"},
        "TagSpecifications": specified,
        "MinCount": 1,
        "MaxCount": 1,
    }
    code, message, _ = _refused(
        stage, "LaunchReplacement", ec2.run_instances, ImageId=image["ImageId"], **override
    )
    assert code == "UnauthorizedOperation"
    assert "instance/*" in message
    reply = _as(
        stage,
        "LaunchReplacement",
        ec2.run_instances,
        LaunchTemplate={"LaunchTemplateName": "ours"},
        **override,
    )
    (launched,) = reply["Instances"]
    assert (launched["InstanceType"], launched["SubnetId"], launched["InstanceLifecycle"]) == (
        "m5a.large",
        subnet["SubnetId"],
        "spot",
    )


def test_other_tables_and_state_machines_are_refused(stage: Stage) -> None:
    """AccessDeniedException of DynamoDB and Step Functions, AccessDenied of S3."""
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName="payroll",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    put = {"TableName": "payroll", "Item": {"pk": {"S": "me"}}}
    assert _refused(stage, "UpdateLedger", dynamodb.put_item, **put)[0] == "AccessDeniedException"
    write = dynamodb.transact_write_items
    assert _refused(stage, "UpdateLedger", write, TransactItems=[{"Put": put}])[2] == 403
    assert stage.account.table_items("payroll") == []
    before = stage.account.executions()
    started = _refused(
        stage,
        "Decide",
        boto3.client("stepfunctions").start_execution,
        stateMachineArn=stage.account.stack.physical_ids["FailOver"],
        input="{}",
    )
    assert started[0] == "AccessDeniedException"
    assert stage.account.executions() == before
    body = {"Bucket": stage.bucket, "Key": "market/snapshot.json.gz", "Body": b"[]"}
    assert _refused(stage, "Decide", boto3.client("s3").put_object, **body)[0] == "AccessDenied"


def test_driver_of_the_simulation_may_do_everything(stage: Stage) -> None:
    """Users and scenarios have no role of the stack; an unknown role has no permissions."""
    boto3.client("ec2").describe_instances()
    unknown = Caller("lambda", "Nobody", REGION, f"arn:aws:iam::{ACCOUNT_ID}:role/another")
    with stage.account.callers.calling(unknown), pytest.raises(ClientError):
        boto3.client("ec2").describe_instances()


def test_missing_object_demands_the_right_to_list() -> None:
    """Without it S3 answers 403 instead of reporting that the key is missing."""

    def actions(key: str) -> list[str]:
        return [
            each.action
            for each in service_demands("s3", "GetObject", {"Bucket": "b", "Key": key}, PLACE)
        ]

    assert actions("there") == ["s3:GetObject"]
    assert actions("missing") == ["s3:GetObject", "s3:ListBucket"]


def test_transaction_demands_what_its_parts_demand() -> None:
    """One demand for each action and table, none for TransactWriteItems."""
    items = [
        {"ConditionCheck": {"TableName": "a"}},
        {"Put": {"TableName": "a"}},
        {"Put": {"TableName": "b"}},
        {"Put": {"TableName": "a"}},
    ]
    demands = service_demands("dynamodb", "TransactWriteItems", {"TransactItems": items}, PLACE)
    assert [(each.action, each.resource.rpartition("/")[2]) for each in demands] == [
        ("dynamodb:ConditionCheckItem", "a"),
        ("dynamodb:PutItem", "a"),
        ("dynamodb:PutItem", "b"),
    ]


def test_registering_targets_demands_what_the_service_looks_up() -> None:
    """Instances, gateways, subnets and VPCs; deregistering demands nothing besides."""
    group = {
        "TargetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT_ID}:targetgroup/a/1"
    }

    def actions(operation: str) -> list[str]:
        return [each.action for each in service_demands("elbv2", operation, group, PLACE)]

    assert actions("RegisterTargets") == [
        "elasticloadbalancing:RegisterTargets",
        "ec2:DescribeInstances",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
    ]
    assert actions("DeregisterTargets") == ["elasticloadbalancing:DeregisterTargets"]


@pytest.mark.parametrize(
    ("service", "operation"), [("dynamodb", "DeleteTable"), ("glue", "GetJob")]
)
def test_call_without_written_demands_is_refused(service: str, operation: str) -> None:
    """It fails by name."""
    with pytest.raises(Unmapped, match=f"{service}.{operation}"):
        service_demands(service, operation, {}, PLACE)
