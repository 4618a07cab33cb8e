"""Foreign instances, a used tag value, a region without prices: refused, with instructions."""

from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from simulator.account import EmbeddedAccount, FunctionFailed
from simulator.account.deploy import DeploymentError
from simulator.deployed import REGION, STACK, START, TEMPLATE
from simulator.stage import SEED, TYPES, Stage, open_stage
from tests.house.translated import translated

SWITCH_TAG = "spot-optimizer:switch"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Another stack's switch launched one instance with this stack's tag value; the other is its own."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        opened.launch("theirs", tags={SWITCH_TAG: "theirs-20260301T000000Z-abcdef"})
        opened.launch("ours")
        opened.adopt()
        yield opened


def test_an_instance_of_another_stack_is_left_alone(stage: Stage) -> None:
    """It is refused with instructions; the others are managed."""
    refused = stage.workload("theirs")
    assert refused["status"] == "refused"
    assert "two stacks must not manage one instance" in refused["status_reason"]
    assert f"remove the tag {SWITCH_TAG}" in refused["status_reason"]
    assert stage.workload("ours")["status"] == "managed"
    with pytest.raises(FunctionFailed, match="two stacks must not manage"):
        stage.force("theirs")


def test_an_alert_is_sent_once(stage: Stage) -> None:
    """One alert, and it stays refused in every cycle."""
    for _ in range(3):
        stage.cycle()
    (alert,) = stage.calls_of("Publish")
    assert "instances of another owner" in alert.params["Subject"]
    assert stage.workload("theirs")["instance_id"] in alert.params["Message"]
    assert "ManagedAs" in alert.params["Message"]
    assert stage.workload("theirs")["status"] == "refused"


def test_an_alert_that_cannot_be_sent_stops_no_cycle() -> None:
    """The refusal is recorded anyway, and the other workloads are evaluated."""
    with open_stage() as stage:
        stage.launch("theirs", tags={SWITCH_TAG: "theirs-20260301T000000Z-abcdef"})
        stage.launch("ours")
        boto3.client("sns").delete_topic(TopicArn=stage.account.outputs["AlertTopic"])
        stage.adopt()
        assert stage.workload("theirs")["status"] == "refused"
        assert stage.workload("ours")["status"] == "managed"


def test_a_renamed_workload_stays_managed(stage: Stage) -> None:
    """Its pointer shows that a workload of this ledger has run on the instance."""
    stage.account.run_for(timedelta(minutes=1))
    stage.force("ours")
    assert stage.finish().status == "SUCCEEDED"
    replacement = stage.workload("ours")["instance_id"]
    boto3.client("ec2").create_tags(
        Resources=[replacement], Tags=[{"Key": "spot-optimizer:workload", "Value": "renamed"}]
    )
    stage.cycle()
    assert stage.workload("renamed")["status"] == "managed"


def test_a_sweep_terminates_none_of_them(stage: Stage) -> None:
    """Two sweeps, hours later."""
    before = stage.alive()
    for _ in range(2):
        stage.account.run_for(timedelta(hours=2))
        stage.sweep()
        stage.account.run_until_quiet()
    assert stage.alive() == before


def test_without_the_tag_it_is_adopted(stage: Stage) -> None:
    """As the reason says, for a stack that was created again without its ledger."""
    theirs = stage.workload("theirs")["instance_id"]
    boto3.client("ec2").delete_tags(Resources=[theirs], Tags=[{"Key": SWITCH_TAG}])
    stage.cycle()
    assert stage.workload("theirs")["status"] == "managed"


def test_replacements_of_its_own_switches_are_its_own(stage: Stage) -> None:
    """A replacement is the workload's, before its commit and after it."""
    stage.account.run_for(timedelta(minutes=1))
    stage.force("ours")
    stage.run_until_entered("InspectReplacement")
    stage.cycle()
    assert stage.finish().status == "SUCCEEDED"
    stage.cycle()
    assert stage.workload("ours")["status"] == "managed"
    assert SWITCH_TAG in _tags(stage, "ours")


def _tags(stage: Stage, workload: str) -> dict[str, str]:
    row = stage.describe(stage.workload(workload)["instance_id"])
    return {tag["Key"]: tag["Value"] for tag in row["Tags"]}


def test_the_tag_value_may_differ_from_the_stacks_name() -> None:
    """With ManagedAs, the stack's name is not a tag value, and permissions use ManagedAs."""
    with open_stage(ManagedAs="fleet-7") as stage:
        stage.launch("by-name")
        stage.launch("by-value", tags={"spot-optimizer:managed": "fleet-7"})
        stage.adopt()
        assert stage.workload("by-name") == {}
        assert stage.workload("by-value")["status"] == "managed"
        stage.account.run_for(timedelta(minutes=1))
        stage.force("by-value")
        assert stage.finish().status == "SUCCEEDED"
        assert _tags(stage, "by-value")["spot-optimizer:managed"] == "fleet-7" != STACK


@pytest.mark.parametrize("parameters", [{}, {"ManagedAs": "fleet-7"}], ids=["name", "ManagedAs"])
def test_a_second_stack_for_a_value_of_the_tag_is_refused(parameters: dict[str, str]) -> None:
    """The first stack's Systems Manager parameter names the stack that has the value."""
    value = parameters.get("ManagedAs", STACK)
    with EmbeddedAccount(start=START, region=REGION) as account:
        claim = {"Name": f"/spot-optimizer/managed/{value}", "Type": "String"}
        boto3.client("ssm").put_parameter(**claim, Value="arn of another stack")
        with pytest.raises(DeploymentError, match="already exists"):
            account.deploy(TEMPLATE, STACK, parameters)
    with EmbeddedAccount(start=START, region=REGION) as account:
        account.deploy(TEMPLATE, STACK, parameters)
        (made,) = boto3.client("ssm").describe_parameters()["Parameters"]
        assert made["Name"] == claim["Name"]
        owner = boto3.client("ssm").get_parameter(Name=made["Name"])["Parameter"]["Value"]
        assert f":stack/{STACK}/" in owner


def test_nothing_acts_before_the_value_is_ours() -> None:
    """Decide, HandleSignal, Sweep and their schedules are created after the parameter."""
    resources = translated()["Resources"]
    for name in ("Decide", "HandleSignal", "Sweep"):
        assert "OwnerOfTheTag" in resources[name]["DependsOn"], name


def test_a_region_without_prices_is_refused() -> None:
    """Without an on-demand price the error says what is missing, where, and what to do."""
    with open_stage() as stage:
        boto3.client("s3").delete_object(Bucket=stage.bucket, Key="market/catalog.json.gz")
        for instance_type in TYPES:
            stage.world.set_listed_price(instance_type, None)
        with pytest.raises(FunctionFailed, match="deploy in a region that it lists") as refused:
            stage.account.invoke("RefreshMarket", {"task": "reference"})
        assert refused.value.error_type == "MissingInRegion"
        assert "us-east-1" in str(refused.value.message)
        assert "skipped" in stage.account.invoke("Decide", {"trigger": "schedule"})
