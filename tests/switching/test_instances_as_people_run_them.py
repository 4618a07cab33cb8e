"""Instances as teams run them: refused in words that name the obstacle, or adopted with a warning."""

import base64
import gzip
from dataclasses import replace
from typing import Any

import pytest

from spot_optimizer.aws.instances import LaunchTemplateSource
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.services.decide.read_instances import InstanceReading
from spot_optimizer.switching.adoption import Adopted, Adoption
from spot_optimizer.switching.ownership_by_services import joins_ecs_cluster
from spot_optimizer.switching.protections import Protections, refuse_protected
from tests.switching.described_instances import CATALOG, STACK, instance
from tests.switching.test_adoption_says_why_not import judge, reason

STATELESS = {"spot-optimizer:managed": STACK, "spot-optimizer:state": "stateless"}


def adopted(more_tags: dict[str, str] | None = None, **changes: Any) -> Adopted:
    """The verdict on a stateless instance that is adopted."""
    (one,) = judge(instance(tags={**STATELESS, **(more_tags or {})}, **changes)).adopted
    return one


def private(**changes: Any) -> dict[str, Any]:
    """A network interface without a public address."""
    return {
        "Attachment": {"DeviceIndex": 0, "DeleteOnTermination": True},
        "PrivateIpAddresses": [{"Primary": True}],
        **changes,
    }


# --- owners ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("spotinst:aws:ec2:group:id", "Spot (Spotinst)"),
        ("spotinst:aws:ec2:group:createdBy", "Spot (Spotinst)"),
        ("parallelcluster:cluster-name", "ParallelCluster"),
        ("aws:pcs:compute-node-group-id", "PCS compute node group"),
        ("ray-cluster-name", "Ray cluster"),
        ("ray:ClusterName", "Ray cluster"),
        ("AmazonECSManaged", "ECS capacity provider"),
    ],
)
def test_another_controllers_tag_refuses_by_the_controllers_name(key: str, words: str) -> None:
    """Two controllers would replace each other's instances."""
    text = reason(instance(tags={**STATELESS, key: "fea"}))
    assert words in text
    assert f"{key} = fea" in text


def test_ecs_container_instance_is_refused_by_its_profile() -> None:
    """The consoles' own profile; a profile whose name only ends alike is nobody's."""
    arn = "arn:aws:iam::123456789012:instance-profile/"
    ecs = {"Arn": arn + "ecsInstanceRole", "Id": "A"}
    assert "ECS container instances" in reason(instance(IamInstanceProfile=ecs))
    assert adopted(IamInstanceProfile={"Arn": arn + "my-ecsInstanceRole", "Id": "A"})


@pytest.mark.parametrize(
    ("text", "joins"),
    [
        ("#!/bin/bash\necho ECS_CLUSTER=apps >> /etc/ecs/ecs.config\n", True),
        ('[settings.ecs]\ncluster = "apps"\n', True),
        ("#!/bin/bash\nsystemctl enable --now nginx\n", False),
        ("", False),
    ],
)
def test_ecs_container_instance_is_known_by_its_user_data(text: str, joins: bool) -> None:
    """Plain or compressed."""
    for content in (text.encode(), gzip.compress(text.encode())):
        assert joins_ecs_cluster(base64.b64encode(content).decode()) is joins


@pytest.mark.parametrize("damaged", [None, "%%%", "H4sIAAAA", base64.b64encode(b"\x1f\x8bxx")])
def test_unreadable_user_data_joins_no_cluster(damaged: Any) -> None:
    """It stops no cycle."""
    text = damaged.decode() if isinstance(damaged, bytes) else damaged
    assert not joins_ecs_cluster(text)


# --- what only a reading shows ---------------------------------------------------------------------


def read(user_data: str = "", request: dict[str, Any] | None = None) -> InstanceReading:
    """A reading of an instance with this user data and spot request."""
    encoded = base64.b64encode(user_data.encode()).decode()
    source = LaunchTemplateSource({"UserData": encoded})
    return InstanceReading(instance(), source, (), {}, frozenset(), request, None)


def verdict(protections: Protections) -> Adoption:
    """The filter's verdict on an instance that was read."""
    return refuse_protected(judge(instance()).adopted, {instance()["InstanceId"]: protections})


def test_reading_of_a_container_instance_or_a_spot_block_refuses_it() -> None:
    """The fields are those of GetLaunchTemplateData and DescribeSpotInstanceRequests."""
    request = {"SpotInstanceRequestId": "sir-1", "Type": "one-time", "BlockDurationMinutes": 360}
    block = verdict(read(request=request).protections)
    assert "spot block of 360 minutes" in block.refused[0].reason
    ecs = verdict(read("echo ECS_CLUSTER=apps >> /etc/ecs/ecs.config").protections)
    assert "ECS container instance" in ecs.refused[0].reason
    plain = {"SpotInstanceRequestId": "sir-1", "Type": "one-time"}
    assert verdict(read("#!/bin/sh", plain).protections).adopted


@pytest.mark.parametrize(("kind", "found"), [("persistent", "sir-1"), ("one-time", None)])
def test_only_a_persistent_spot_request_is_remembered(kind: str, found: str | None) -> None:
    """It would launch another instance when this one ends."""
    request = {"SpotInstanceRequestId": "sir-1", "Type": kind}
    assert read(request=request).persistent_spot_request_id == found


# --- types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c6i.metal", "c6i.metal is bare metal"),
        ("m7i.metal-24xl", "m7i.metal-24xl is bare metal"),
        ("mac2.metal", "mac2.metal runs macOS on a dedicated host"),
        ("mac2-m2pro.metal", "runs macOS"),
        ("hpc6a.48xlarge", "not in the region's catalog of types that are sold as spot"),
    ],
)
def test_type_that_is_never_spot_is_refused_in_words_that_say_so(name: str, words: str) -> None:
    """None of them is in the catalog, which has only virtual types that are sold as spot."""
    assert words in reason(instance(InstanceType=name))


# --- warnings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (
            {"Schedule": "office-hours-berlin"},
            "Schedule = office-hours-berlin is that of a scheduler",
        ),
        ({"schedule": "x"}, "around the clock"),
        ({"maid_offhours": "on"}, "Cloud Custodian"),
        ({"scheduler:ec2-startstop": "none"}, "EC2 Scheduler"),
        ({"ManagedBy": "terraform", "TerraformWorkspace": "prod"}, "ManagedBy = terraform says"),
        ({"Terraform": "true"}, "the next apply launches another instance"),
    ],
)
def test_tag_of_a_tool_that_a_switch_confuses_is_warned_about(
    tags: dict[str, str], words: str
) -> None:
    """Once for each tool; neither prevents a switch."""
    (warning,) = adopted(tags, NetworkInterfaces=[private()]).warnings
    assert words in warning


def test_unrelated_tags_are_not_warned_about() -> None:
    """Words within other words are no tools."""
    tags = {"ScheduleOwner": "anna", "Name": "scheduler", "Provisioned": "hand"}
    assert not adopted(tags, NetworkInterfaces=[private()]).warnings


@pytest.mark.parametrize(("owner", "warned"), [("amazon", True), ("123456789012", False)])
def test_only_an_automatic_public_address_is_warned_about(owner: str, warned: bool) -> None:
    """An Elastic IP address has the account as its owner, and is moved."""
    association = {"PublicIp": "203.0.113.1", "IpOwnerId": owner}
    warnings = adopted(NetworkInterfaces=[private(Association=association)]).warnings
    assert any("public IPv4 address" in warning for warning in warnings) is warned


# --- enclaves --------------------------------------------------------------------------------------


def test_enclave_needs_a_type_that_can_run_one_and_is_warned_about() -> None:
    """EC2 would refuse the launch of any other; one measurement of the enclave is of the instance."""
    signer = adopted(EnclaveOptions={"Enabled": True}, NetworkInterfaces=[private()])
    assert signer.image.enclave
    assert "PCR4" in signer.warnings[0]
    assert not adopted().image.enclave


def test_bad_state_hides_no_other_reason() -> None:
    """Nobody has to correct the tag to learn that the instance could not be managed anyway."""
    bad = {**STATELESS, "spot-optimizer:state": "image,volumes"}
    text = reason(instance(tags=bad, OutpostArn="arn:x", InstanceType="mac1.metal"))
    assert "spot-optimizer:state = 'image,volumes'" in text
    assert "Outpost" in text
    assert "macOS" in text


def test_unknown_support_for_enclaves_rules_no_type_out() -> None:
    """Reference data that an older version stored does not say it."""
    known = CATALOG.types["m5.large"]
    assert known.nitro_enclaves == ""
    assert Image(enclave=True).incompatibility(known) == ""


def test_a_type_without_spot_in_the_catalog_is_refused() -> None:
    """Should the catalog ever list one."""
    catalog = Catalog({"m5.large": replace(CATALOG.types["m5.large"], spot=False)}, {}, {})
    assert "m5.large is not sold as spot" in reason(instance(), catalog=catalog)
