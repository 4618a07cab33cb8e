"""A missing image, group, key or template refuses the launch with its cure, and changes nothing."""

from collections.abc import Callable
from datetime import timedelta

import boto3
import pytest

from simulator.deployed import ZONES
from simulator.stage import Stage


def _image_is_deregistered(stage: Stage, original: str) -> None:
    stage.world.deregister_image(stage.describe(original)["ImageId"])


def _security_group_is_deleted(stage: Stage, original: str) -> None:
    stage.world.delete_security_group(stage.describe(original)["SecurityGroups"][0]["GroupId"])


def _key_pair_is_deleted(stage: Stage, original: str) -> None:
    stage.world.delete_key_pair(stage.describe(original)["KeyName"])


def _template_is_deleted(stage: Stage, original: str) -> None:
    template = stage.item("PLANS", "web")["launch_template"]["template_id"]
    assert original
    # EC2 shows a new template only after some seconds.
    stage.account.run_for(timedelta(minutes=1))
    boto3.client("ec2").delete_launch_template(LaunchTemplateId=template)


@pytest.mark.parametrize(
    ("lose", "code"),
    [
        (_image_is_deregistered, "InvalidAMIID"),
        (_security_group_is_deleted, "InvalidGroup.NotFound"),
        (_key_pair_is_deleted, "InvalidKeyPair.NotFound"),
        (_template_is_deleted, "InvalidLaunchTemplateId.NotFound"),
    ],
)
def test_missing_resource_refuses_the_launch_and_no_other_pool_is_tried(
    stage: Stage, lose: Callable[[Stage, str], None], code: str
) -> None:
    """One launch is refused, the record has EC2's code and the cure, and the original keeps running."""
    original = stage.launch()
    stage.adopt()
    stage.cycle()
    candidates = [("m5a.large", ZONES[0], "spot"), ("m5a.large", ZONES[1], "spot")]
    order = stage.order("web", *candidates)
    lose(stage, original)
    stage.start(order)
    execution = stage.finish()
    assert execution.error == "NotSwitched"
    assert code in str(execution.cause)
    (switch,) = stage.switches()
    assert len(switch["refusals"]) == 1
    assert switch["refusals"][0]["cure"]
    assert switch["outcome"]["counts"] is False
    assert stage.alive() == {original}
    assert "claim_switch_id" not in stage.workload()


def test_deleted_launch_template_is_created_again(stage: Stage) -> None:
    """The refusal clears the reference; the next cycle reads the instance into a new template."""
    stage.launch()
    stage.adopt()
    stage.cycle()
    _template_is_deleted(stage, "web")
    stage.start(stage.order("web", ("m5a.large", ZONES[0], "spot")))
    assert stage.finish().error == "NotSwitched"
    stage.cycle()
    stage.start(stage.order("web", ("m5a.large", ZONES[0], "spot"), name="again"))
    assert stage.finish().status == "SUCCEEDED"
