"""One CreateFleet request has every spot pool of the plan, in order, and launches one instance."""

from dataclasses import dataclass
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from spot_optimizer.switching.fleet_request import chosen_candidate, create_fleet_request
from spot_optimizer.vocabulary import Lifecycle


@dataclass(frozen=True)
class Place:
    """A spot candidate."""

    instance_type: str
    availability_zone: str
    subnet_id: str
    lifecycle: Lifecycle = Lifecycle.SPOT


PLACES = (
    Place("m5.large", "us-east-1a", "subnet-a"),
    Place("m5.large", "us-east-1b", "subnet-b"),
    Place("m5a.large", "us-east-1a", "subnet-a"),
)
TAGS = [
    {"Key": "spot-optimizer:managed", "Value": "stack"},
    {"Key": "team", "Value": "shop"},
]


@pytest.fixture
def request_() -> dict[str, Any]:
    """The request for PLACES."""
    return create_fleet_request(
        PLACES,
        template_id="lt-0123456789abcdef0",
        template_version=3,
        template_data={
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": TAGS},
                {"ResourceType": "volume", "Tags": TAGS[:1]},
            ]
        },
        switch_id="web-20260302T000000Z-abcdef",
        switch_hash="0" * 32,
        attempt=1,
    )


def test_request_is_accepted_by_botocore(request_: dict[str, Any]) -> None:
    """Its names and types are those of CreateFleet."""
    model = Session().get_service_model("ec2").operation_model("CreateFleet")
    assert model.input_shape is not None
    report = ParamValidator().validate(request_, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_request_gives_every_pool_its_rank(request_: dict[str, Any]) -> None:
    """The plan's order becomes priorities, which only the prioritized strategy uses."""
    (config,) = request_["LaunchTemplateConfigs"]
    assert [(o["InstanceType"], o["SubnetId"], o["Priority"]) for o in config["Overrides"]] == [
        ("m5.large", "subnet-a", 0.0),
        ("m5.large", "subnet-b", 1.0),
        ("m5a.large", "subnet-a", 2.0),
    ]
    assert request_["SpotOptions"] == {"AllocationStrategy": "capacity-optimized-prioritized"}
    assert request_["TargetCapacitySpecification"]["TotalTargetCapacity"] == 1


def test_request_tags_the_instance_with_its_switch(request_: dict[str, Any]) -> None:
    """All tags of the instance and the switch's name; no maximum price."""
    (tags,) = request_["TagSpecifications"]
    assert tags["ResourceType"] == "instance"
    assert {t["Key"] for t in tags["Tags"]} == {
        "spot-optimizer:managed", "team", "spot-optimizer:switch",
    }  # fmt: skip
    assert "MaxPrice" not in str(request_)


@pytest.mark.parametrize("place", PLACES)
def test_chosen_candidate_is_found_by_type_and_subnet(place: Place) -> None:
    """Two pools may share either."""
    row = {
        "LaunchTemplateAndOverrides": {
            "Overrides": {"InstanceType": place.instance_type, "SubnetId": place.subnet_id}
        }
    }
    assert chosen_candidate(PLACES, row) is place
