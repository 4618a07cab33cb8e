"""A RunInstances request launches one candidate, once."""

from typing import Any

import pytest

from spot_optimizer.switching.launch_request import client_token, run_instances_request
from spot_optimizer.switching.launch_template import template_data
from spot_optimizer.switching.launch_traits import LaunchTraits
from spot_optimizer.vocabulary import Lifecycle
from tests.switching.aws_shapes import assert_accepted
from tests.switching.described_instances import STACK, Place, instance, source, volume

DATA = template_data(
    source(), instance(), [volume()], stack=STACK, workload_id="web-1", interface_tags={}
)
TRAITS = LaunchTraits("standard", "stop", "none")


def request(place: Place, traits: LaunchTraits = TRAITS) -> dict[str, Any]:
    """The call for a candidate."""
    return run_instances_request(
        place,
        template_id="lt-1",
        template_version=3,
        template_data=DATA,
        traits=traits,
        switch_id="web-1-20250101T000000Z-abcdef",
        switch_hash="0123456789abcdef",
        attempt=2,
    )


@pytest.mark.parametrize("lifecycle", list(Lifecycle))
@pytest.mark.parametrize("instance_type", ["m5.large", "t3.large"])
def test_request_is_accepted_by_botocore(lifecycle: Lifecycle, instance_type: str) -> None:
    """Its names and types are those of RunInstances."""
    assert_accepted("RunInstances", request(Place(instance_type, "us-east-1b", lifecycle)))


def test_request_launches_exactly_one_instance_of_the_candidate() -> None:
    """Type, subnet and template version are the candidate's; the token is the attempt's."""
    sent = request(Place("c6i.xlarge", "us-east-1b", subnet_id="subnet-b"))
    assert sent["InstanceType"] == "c6i.xlarge"
    assert (sent["MinCount"], sent["MaxCount"]) == (1, 1)
    assert sent["LaunchTemplate"] == {"LaunchTemplateId": "lt-1", "Version": "3"}
    assert sent["ClientToken"] == "0123456789abcdef-2"


def test_request_names_the_subnet_only_in_the_network_interface() -> None:
    """EC2 refuses a subnet or groups beside a network interface."""
    sent = request(Place("m5.large", "us-east-1b", subnet_id="subnet-b"))
    assert sent["NetworkInterfaces"] == [{**DATA["NetworkInterfaces"][0], "SubnetId": "subnet-b"}]
    assert not {"SubnetId", "SecurityGroupIds", "SecurityGroups"} & set(sent)
    assert "SubnetId" not in DATA["NetworkInterfaces"][0]


def test_spot_request_is_one_time_without_a_maximum_price() -> None:
    """It ends with its instance and accepts the market price."""
    assert request(Place("m5.large", "us-east-1b"))["InstanceMarketOptions"] == {
        "MarketType": "spot",
        "SpotOptions": {
            "SpotInstanceType": "one-time",
            "InstanceInterruptionBehavior": "terminate",
        },
    }


def test_request_has_options_that_spot_refuses_only_for_on_demand() -> None:
    """Shutdown behavior and reservation preference return with on-demand."""
    spot = request(Place("m5.large", "us-east-1b"))
    on_demand = request(Place("m5.large", "us-east-1b", Lifecycle.ON_DEMAND))
    assert "InstanceMarketOptions" not in on_demand
    assert on_demand["InstanceInitiatedShutdownBehavior"] == "stop"
    assert on_demand["CapacityReservationSpecification"] == {
        "CapacityReservationPreference": "none"
    }
    assert not {"InstanceInitiatedShutdownBehavior", "CapacityReservationSpecification"} & set(spot)
    assert "InstanceInitiatedShutdownBehavior" not in request(
        Place("m5.large", "us-east-1b", Lifecycle.ON_DEMAND), LaunchTraits()
    )


@pytest.mark.parametrize(
    ("instance_type", "asked"), [("t3.large", True), ("m5.large", False), ("trn1.2xlarge", False)]
)
def test_request_has_a_credit_mode_only_for_t_types(instance_type: str, asked: bool) -> None:
    """EC2 refuses a credit mode for any other type."""
    sent = request(Place(instance_type, "us-east-1b"))
    assert ("CreditSpecification" in sent) is asked


@pytest.mark.parametrize("lifecycle", list(Lifecycle))
def test_request_tags_everything_that_the_launch_creates(lifecycle: Lifecycle) -> None:
    """All of the instance's tags, and ours on every resource that the IAM conditions check."""
    sent = request(Place("m5.large", "us-east-1b", lifecycle))
    tags = {
        each["ResourceType"]: {t["Key"]: t["Value"] for t in each["Tags"]}
        for each in sent["TagSpecifications"]
    }
    assert tags["instance"]["Name"] == "web"
    assert tags["volume"]["Backup"] == "daily"
    created = {"instance", "volume", "network-interface"}
    if lifecycle is Lifecycle.SPOT:
        created.add("spot-instances-request")
    assert set(tags) == created
    for each in tags.values():
        assert each["spot-optimizer:managed"] == STACK
        assert each["spot-optimizer:workload"] == "web-1"
        assert each["spot-optimizer:switch"] == "web-1-20250101T000000Z-abcdef"


def test_request_has_no_user_data() -> None:
    """It stays in the template."""
    assert "UserData" not in request(Place("m5.large", "us-east-1b"))


@pytest.mark.parametrize("switch_hash", ["a" * 63, "ü"])
def test_client_token_that_ec2_would_refuse_is_refused(switch_hash: str) -> None:
    """64 ASCII characters are the limit."""
    assert len(client_token("a" * 62, 1)) == 64
    with pytest.raises(ValueError, match="64"):
        client_token(switch_hash, 1)
