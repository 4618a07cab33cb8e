"""New resources of EC2 are found, listed and shown with tags only after delays, each after its own."""

from typing import Any

import pytest

from simulator.limit_table import changed

HIDDEN = {
    "visible_by_id_s": [10, 20],
    "visible_in_lists_s": [30, 40],
    "visible_tags_s": [50, 60],
    "visible_template_s": [10, 20],
    "boot_s": [1, 2],
}
TAGS = [{"Key": "owner", "Value": "ann"}]


@pytest.fixture
def slow(new_account: Any) -> Any:
    """An account in which it takes long."""
    return new_account(changed(HIDDEN))


def launched(slow: Any, **params: Any) -> dict[str, Any]:
    instance: dict[str, Any] = slow.run(
        TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}],
        InstanceMarketOptions={"MarketType": "spot"},
        **params,
    )
    return instance


def listed(slow: Any, **params: Any) -> list[str]:
    reply = slow.ec2.describe_instances(**params)
    return [i["InstanceId"] for r in reply["Reservations"] for i in r["Instances"]]


def test_answer_to_the_launch_shows_all_of_it(slow: Any) -> None:
    """Id and tags are known to who launched; a repeated request finds the same instance."""
    token = {"ClientToken": "one"}
    first, second = launched(slow, **token), launched(slow, **token)
    assert first["Tags"] == TAGS
    assert first["InstanceId"] == second["InstanceId"]


def test_by_its_id_it_is_not_found_for_seconds(slow: Any, refused: Any) -> None:
    """Describing, tagging, ending, registering and addressing it say so; then all of it works."""
    group = slow.world.create_target_group("web")
    address = slow.ec2.allocate_address(Domain="vpc")["AllocationId"]
    instance_id = launched(slow)["InstanceId"]
    slow.wait(seconds=9)
    by_id = {"InstanceIds": [instance_id]}
    for call, params in (
        (slow.ec2.describe_instances, by_id),
        (slow.ec2.describe_instance_status, by_id),
        (slow.ec2.terminate_instances, by_id),
        (slow.ec2.create_tags, {"Resources": [instance_id], "Tags": TAGS}),
        (slow.ec2.get_launch_template_data, {"InstanceId": instance_id}),
        (slow.ec2.associate_address, {"AllocationId": address, "InstanceId": instance_id}),
    ):
        assert refused(call, **params).startswith("InvalidInstanceID.NotFound")
    target = {"TargetGroupArn": group, "Targets": [{"Id": instance_id}]}
    assert refused(slow.elbv2.register_targets, **target).startswith("InvalidTarget")
    slow.wait(seconds=11)
    slow.ec2.create_tags(Resources=[instance_id], Tags=TAGS)
    slow.elbv2.register_targets(**target)
    slow.ec2.associate_address(AllocationId=address, InstanceId=instance_id)


def test_listings_show_it_later_and_its_tags_later_still(slow: Any) -> None:
    """A filter by tag finds it only when its tags are there."""
    instance_id = launched(slow)["InstanceId"]
    by_tag = {"Filters": [{"Name": "tag:owner", "Values": ["ann"]}]}
    slow.wait(seconds=29)
    assert listed(slow, InstanceIds=[instance_id]) == [instance_id]
    assert listed(slow) == []
    slow.wait(seconds=12)
    assert listed(slow) == [instance_id]
    assert listed(slow, **by_tag) == []
    assert slow.describe(instance_id)["Tags"] == []
    assert slow.ec2.describe_tags()["Tags"] == []
    slow.wait(seconds=20)
    assert listed(slow, **by_tag) == [instance_id]
    assert slow.describe(instance_id)["Tags"] == TAGS


def test_its_spot_request_is_as_new_as_it_is(slow: Any, refused: Any) -> None:
    """By id and in listings."""
    request_id = launched(slow)["SpotInstanceRequestId"]
    by_id = {"SpotInstanceRequestIds": [request_id]}
    for call in (slow.ec2.describe_spot_instance_requests, slow.ec2.cancel_spot_instance_requests):
        assert refused(call, **by_id).startswith("InvalidSpotInstanceRequestID.NotFound")
    slow.wait(seconds=21)
    assert slow.ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []
    assert slow.ec2.describe_spot_instance_requests(**by_id)["SpotInstanceRequests"]


def test_new_template_and_a_new_version_are_not_found_at_once(slow: Any, refused: Any) -> None:
    """A launch from either is refused; $Latest is the version before."""
    data = {"ImageId": slow.image(), "InstanceType": "m5.large"}
    template = slow.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    named = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]}
    launch = {"MinCount": 1, "MaxCount": 1}
    error = refused(slow.ec2.run_instances, LaunchTemplate=named, **launch)
    assert error.startswith("InvalidLaunchTemplateId.NotFound")
    slow.wait(seconds=20)
    slow.ec2.create_launch_template_version(**named, LaunchTemplateData=data)
    by_number = {**named, "Version": "2"}
    error = refused(slow.ec2.run_instances, LaunchTemplate=by_number, **launch)
    assert error.startswith("InvalidLaunchTemplateId.VersionNotFound")
    versions = slow.ec2.describe_launch_template_versions(**named, Versions=["$Latest"])
    assert [v["VersionNumber"] for v in versions["LaunchTemplateVersions"]] == [1]
    slow.wait(seconds=20)
    slow.ec2.run_instances(LaunchTemplate=by_number, **launch)


def test_instances_of_users_are_seen_from_the_start(slow: Any) -> None:
    """What a scenario starts with is seen from the first moment."""
    instance_id = slow.world.launch_instance("m5.large", "us-east-1a", tags={"owner": "ann"})
    assert listed(slow) == [instance_id]
    assert slow.describe(instance_id)["Tags"] == TAGS
