"""What users and tools change on an instance survives a switch, or undoes it with the reason."""

from datetime import timedelta
from typing import Any
from unittest import mock

import boto3
import pytest

from simulator.call_log import Fault
from simulator.stage import Stage, open_stage
from tests.workflow import scenarios_of_changed_instances as scenarios
from tests.workflow.scenarios_of_changed_instances import (
    GROWN_GIB,
    HOUR,
    LICENSE,
    ROOT,
    burstable_stage,
    image_with_data,
    suppressed,
    tag,
    template_version,
    volumes_of,
)
from tests.workflow.story import Story, StoryOf

MANUAL = {"spot-optimizer:mode": "manual"}
"""Only forced decisions switch it."""


def _reads(stage: Stage) -> int:
    return len(stage.calls_of("GetLaunchTemplateData"))


def _outcome(story: Story) -> tuple[str, bool, str]:
    """Phase, whether it counts as a failure, and the summary of the newest switch."""
    switch = story.switch()
    outcome = switch["outcome"]
    return switch["phase"], outcome.get("counts", False), outcome["summary"]


# --- changes that are read in time ---------------------------------------------------------------


def test_grown_root_volume_is_read_within_an_hour_and_reproduced(stage: Stage) -> None:
    """The replacement has the size, type and speed that a user changed online."""
    instance = stage.launch()
    stage.adopt()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB, Iops=5000, Throughput=300)
    stage.account.run_for(HOUR)
    assert template_version(stage) == 2
    stage.force()
    assert stage.finish().status == "SUCCEEDED"
    volume = volumes_of(stage.workload()["instance_id"])[ROOT]
    assert (volume["Size"], volume["Iops"], volume["Throughput"]) == (GROWN_GIB, 5000, 300)


def test_plan_distinguishes_a_changed_state_from_a_changed_identity(stage: Stage) -> None:
    """A grown volume changes only the state, a tag only the identity, and a switch changes neither."""

    def digests() -> tuple[str, str]:
        plan = stage.item("PLANS", "web")
        return plan["identity_digest"], plan["state_digest"]

    instance = stage.launch()
    stage.adopt()
    identity, state = digests()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    stage.account.run_for(HOUR)
    grown_identity, grown_state = digests()
    assert (grown_identity == identity, grown_state == state) == (True, False)
    tag(instance, team="billing")
    stage.cycle()
    tagged_identity, tagged_state = digests()
    assert (tagged_identity == identity, tagged_state == grown_state) == (False, True)
    stage.force()
    assert stage.finish().status == "SUCCEEDED"
    stage.cycle()
    assert stage.item("PLANS", "web")["read_instance_id"] != instance
    assert digests() == (tagged_identity, tagged_state)


def test_failover_reproduces_a_volume_that_changed_an_hour_ago(stage: Stage) -> None:
    """A failover compares nothing, so the launch template must be up to date."""
    instance = stage.launch()
    stage.adopt()
    stage.cycle()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    stage.account.run_for(HOUR)
    stage.world.interrupt(instance)
    assert stage.finish().status == "SUCCEEDED"
    assert volumes_of(stage.workload()["instance_id"])[ROOT]["Size"] == GROWN_GIB


def test_new_user_data_is_read_after_the_instance_starts(stage: Stage) -> None:
    """User data only changes while an instance is stopped, and a start changes its launch time."""
    instance = stage.launch(lifecycle="on-demand", user_data=b"old", tags=MANUAL)
    stage.adopt()
    ec2 = boto3.client("ec2")
    ec2.stop_instances(InstanceIds=[instance])
    stage.account.run_for(timedelta(minutes=5))
    stage.world.set_user_data(instance, b"new")
    ec2.start_instances(InstanceIds=[instance])
    stage.account.run_for(timedelta(minutes=5))
    stage.cycle()
    assert template_version(stage) == 2
    stage.force()
    assert stage.finish().status == "SUCCEEDED"
    reply = ec2.describe_instance_attribute(
        InstanceId=stage.workload()["instance_id"], Attribute="userData"
    )
    assert reply["UserData"]["Value"] == "bmV3"


def test_changed_credit_mode_is_read_within_an_hour() -> None:
    """It makes no new template version, but later launches have it."""
    with burstable_stage() as stage:
        instance = stage.launch(
            instance_type="t3.large", tags={"spot-optimizer:allow-burstable": "true"}
        )
        stage.adopt()
        assert stage.item("PLANS", "web")["launch_template"]["cpu_credits"] == "unlimited"
        stage.world.set_cpu_credits(instance, "standard")
        stage.account.run_for(HOUR)
        assert stage.item("PLANS", "web")["launch_template"]["cpu_credits"] == "standard"
        assert template_version(stage) == 1


def test_shutdown_behavior_is_read_once_a_day(stage: Stage) -> None:
    """No call shows it for many instances: one reading a day finds a change."""
    instance = stage.launch(lifecycle="on-demand", tags=MANUAL)
    stage.adopt()
    simulated = stage.world.instances[instance]
    object.__setattr__(simulated.spec, "shutdown_behavior", "terminate")
    reads = _reads(stage)
    stage.account.run_for(timedelta(hours=23))
    assert _reads(stage) == reads
    stage.account.run_for(timedelta(hours=2))
    assert _reads(stage) == reads + 1
    assert stage.item("PLANS", "web")["launch_template"]["shutdown_behavior"] == "terminate"


def test_instances_due_at_the_same_time_are_read_in_turn(stage: Stage) -> None:
    """A few in each cycle, the longest unread first, so that none is forgotten."""
    instances = [stage.launch(name) for name in ("a", "b", "c")]
    renewal = "spot_optimizer.services.decide.refresh_templates"
    with (
        mock.patch(f"{renewal}.AGED_READS_MAX", 1),
        mock.patch(f"{renewal}.READ_AGAIN_AFTER", 2 * HOUR),
    ):
        stage.adopt()
        stage.api.clear()
        stage.account.run_for(7 * HOUR)
    reads = [call.params["InstanceId"] for call in stage.calls_of("GetLaunchTemplateData")]
    assert reads == instances * 2


def test_changed_instance_is_read_before_one_that_is_only_due(stage: Stage) -> None:
    """When a cycle reads only one of them."""
    stage.launch("a")
    changed = stage.launch("b")
    renewal = "spot_optimizer.services.decide.refresh_templates"
    with mock.patch(f"{renewal}.READS_MAX", 1), mock.patch(f"{renewal}.READ_AGAIN_AFTER", HOUR):
        stage.adopt()
        stage.cycle()
        stage.world.modify_volume(changed, ROOT, Size=GROWN_GIB)
        stage.api.clear()
        stage.account.run_for(HOUR)
    (read,) = stage.calls_of("GetLaunchTemplateData")
    assert read.params["InstanceId"] == changed


def test_instance_that_a_reading_refuses_takes_no_turn(stage: Stage) -> None:
    """An instance that gets termination protection is refused within a day and in every cycle; the others
    are read in their turn, and it is managed again once the protection is off."""
    protected = stage.launch("a", lifecycle="on-demand", tags=MANUAL)
    other = stage.launch("b")
    stage.adopt()
    stage.world.protect(protected)
    with mock.patch("spot_optimizer.services.decide.refresh_templates.AGED_READS_MAX", 1):
        stage.account.run_for(timedelta(hours=23))
        stage.api.clear()
        stage.account.run_for(3 * HOUR)
        assert stage.cycle()["refused"] == 1
    assert "termination protection is on" in stage.workload("a")["status_reason"]
    reads = [call.params["InstanceId"] for call in stage.calls_of("GetLaunchTemplateData")]
    assert reads.count(other) == 1
    stage.world.instances[protected].disable_api_termination = False
    assert stage.cycle()["refused"] == 0


def test_refused_instance_is_read_after_new_ones(stage: Stage) -> None:
    """When a cycle cannot read all, instances that were refused before come last."""
    odd = stage.launch(
        "a",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9, "DeleteOnTermination": True}}
        ],
    )
    tag(volumes_of(odd)["/dev/sdf"]["VolumeId"], backup="never")
    with mock.patch("spot_optimizer.services.decide.refresh_templates.READS_MAX", 1):
        stage.adopt()
        assert "different tags" in stage.workload("a")["status_reason"]
        stage.launch("b")
        assert stage.cycle()["waiting"] == 1
        assert stage.workload("b")["status"] == "managed"


def test_unchanged_instance_is_checked_once_an_hour_and_not_read(stage: Stage) -> None:
    """One DescribeVolumes for all instances; cycles in between make no such call."""
    for name in ("a", "b", "c"):
        stage.launch(name)
    stage.adopt()
    stage.account.run_for(HOUR)
    stage.api.clear()
    stage.cycle()
    assert not stage.calls_of("DescribeVolumes")
    stage.account.run_for(HOUR)
    assert len(stage.calls_of("DescribeVolumes")) == 1
    assert not stage.calls_of("GetLaunchTemplateData", "CreateLaunchTemplateVersion")


# --- when many have changed ----------------------------------------------------------------------


def test_changed_instances_stay_managed_until_they_are_read(stage: Stage) -> None:
    """If more have changed than a cycle reads, the others are decided on and read later."""
    names = ("a", "b", "c")
    instances = [stage.launch(name) for name in names]
    stage.adopt()
    for instance in instances:
        stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    with mock.patch("spot_optimizer.services.decide.refresh_templates.READS_MAX", 1):
        stage.account.run_for(HOUR)
        for read in (1, 2, 3):
            assert sum(template_version(stage, name) == 2 for name in names) == read
            summary = stage.cycle()
            assert (summary["workloads"], summary["refused"], summary["waiting"]) == (3, 0, 0)


def test_failed_reading_of_a_changed_instance_refuses_nothing(stage: Stage) -> None:
    """If EC2 fails, the instance stays managed and is read in the next cycle."""
    instance = stage.launch()
    stage.adopt()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    stage.faults.append(Fault("GetLaunchTemplateData", "InternalError", "Decide"))
    stage.account.run_for(HOUR)
    assert stage.faults[0].met
    assert stage.workload()["status"] == "managed"
    stage.faults.clear()
    summary = stage.cycle()
    assert (summary["workloads"], template_version(stage)) == (1, 2)


def test_change_that_cannot_be_reproduced_refuses_while_it_lasts(stage: Stage) -> None:
    """Volumes with different tags: refused in every cycle, and adopted again once the tags are equal."""
    instance = stage.launch(
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9, "DeleteOnTermination": True}}
        ]
    )
    stage.adopt()
    volume = volumes_of(instance)["/dev/sdf"]["VolumeId"]
    tag(volume, backup="never")
    stage.account.run_for(HOUR)
    for _ in range(2):
        assert stage.cycle()["refused"] == 1
        assert "different tags" in stage.workload()["status_reason"]
    boto3.client("ec2").delete_tags(Resources=[volume], Tags=[{"Key": "backup"}])
    assert stage.cycle()["refused"] == 0
    assert stage.workload()["status"] == "managed"


# --- changes that are read too late --------------------------------------------------------------


def test_switch_from_an_outdated_template_is_undone_and_read_again(story_of: StoryOf) -> None:
    """It does not count, reports that the original was changed, and the next cycle reads the instance."""
    story = story_of(scenarios.root_grows_within_the_hour)
    undone = story.seen["undone"]
    assert undone["phase"] == "FAILED"
    assert undone["outcome"]["counts"] is False
    summary = undone["outcome"]["summary"]
    assert "OriginalChanged" in summary
    assert "the original was changed after it was read; the next cycle reads it again" in summary
    assert "device /dev/xvda size: 8 GiB became 30 GiB" not in summary
    assert "device /dev/xvda size: 30 GiB became 8 GiB" in summary
    assert story.seen["workload_after_it"].get("failures", 0) == 0
    assert story.seen["version"] == 2
    assert story.switch()["phase"] == "DONE"
    assert story.seen["volumes"][ROOT]["Size"] == GROWN_GIB
    assert story.alive == {story.seen["replacement"]}


def test_changes_of_many_instances_open_no_breaker() -> None:
    """A team grows its volumes: its switches are undone, and nobody has to reset a breaker."""
    with open_stage() as stage:
        names = ("a", "b", "c", "d")
        instances = {name: stage.launch(name) for name in names}
        stage.adopt()
        for instance in instances.values():
            stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
        for name in names:
            stage.force(name)
        stage.finish()
        assert [stage.switches(name)[0]["phase"] for name in names] == ["FAILED"] * 4
        assert "breaker_open_since" not in stage.item("STACK", "STATE")
        assert not stage.calls_of("Publish")


def test_original_changed_during_the_switch_undoes_it_without_counting(
    story_of: StoryOf,
) -> None:
    """A tag that is added to the original in those minutes is missing on the replacement."""
    story = story_of(scenarios.original_is_tagged_meanwhile)
    phase, counts, summary = _outcome(story)
    assert (phase, counts) == ("FAILED", False)
    assert "tag team: billing became None" in summary
    assert story.alive == {story.seen["original"]}


# --- tools that write tags -----------------------------------------------------------------------


def test_tags_that_tools_write_on_a_replacement_undo_nothing(story_of: StoryOf) -> None:
    """New tags and other values, on instance and volume, are on the record with their explanation."""
    story = story_of(scenarios.tools_write_on_what_is_launched)
    assert story.switch()["phase"] == "DONE"
    assert story.alive == {story.seen["replacement"]}
    findings = story.switch()["findings"]
    for finding in (
        "tag CreatedAt: long ago became today (changed after the launch)",
        "tag Owner: None became ann (not on the original)",
        "device /dev/xvda tag CreatedAt: long ago became today (changed after the launch)",
        "device /dev/xvda tag Owner: None became ann (not on the original)",
    ):
        assert finding in findings


def test_changed_tag_is_accepted_only_if_the_original_is_as_read(story_of: StoryOf) -> None:
    """If the original was changed too, the template may have asked for another value."""

    def only_the_replacement() -> Story:
        return scenarios.changed_tags(on_original={})

    def the_original_too() -> Story:
        return scenarios.changed_tags(on_original={"stage": "test"})

    assert story_of(only_the_replacement).switch()["phase"] == "DONE"
    phase, _, summary = _outcome(story_of(the_original_too))
    assert phase == "FAILED"
    assert "tag stage: test became live" in summary
    assert "tag team: shop became billing" in summary


def test_missing_tag_undoes_counts_and_has_the_original_read_again(story_of: StoryOf) -> None:
    """The original is as it was read, so the launch lost the tag or somebody removed it."""
    story = story_of(scenarios.tool_removes_a_tag)
    phase, counts, summary = _outcome(story)
    assert (phase, counts) == ("FAILED", True)
    assert summary.startswith("ReplacementDiffers")
    assert "tag team: shop became None" in summary
    assert "the next cycle reads the original again" in summary
    assert story.seen["reads_after_it"] == 1
    assert story.alive == {story.seen["original"]}


# --- instances of every kind ---------------------------------------------------------------------


def test_removed_volume_of_the_image_does_not_come_back(story_of: StoryOf) -> None:
    """Neither a switch nor a failover attaches it, and reading the replacement makes no new version."""
    story = story_of(scenarios.volume_of_the_image_is_removed)
    assert story.seen["after_switch"] == {ROOT, "/dev/sdf"}
    assert story.seen["after_failover"] == {ROOT, "/dev/sdf"}
    assert story.seen["suppressed"] == ["/dev/sdg"]
    assert len(set(story.seen["switched"])) == 3
    assert story.seen["version"] == 1


@pytest.mark.parametrize("code", ["InvalidAMIID.NotFound", "AuthFailure"])
def test_invisible_image_refuses_no_instance(stage: Stage, code: str) -> None:
    """The instance is adopted, and other images are still read; a launch will report the image."""
    image = stage.world.add_image("x86_64")
    stage.launch("orphan", image=image)
    other = stage.launch("other", image=image_with_data(stage))
    stage.world.remove_volume(other, "/dev/sdf")
    stage.world.deregister_image(image)
    if code == "AuthFailure":
        stage.faults.append(
            Fault("DescribeImages", code, "Decide", when=lambda params: image in str(params))
        )
    stage.adopt()
    assert [stage.workload(name)["status"] for name in ("orphan", "other")] == ["managed"] * 2
    stage.account.run_for(timedelta(minutes=1))  # EC2 shows a new template only after some seconds
    assert suppressed(stage, "other") == ["/dev/sdf"]


def test_instances_that_cannot_be_read_are_refused_until_the_next_cycle(stage: Stage) -> None:
    """EC2 fails a call for many instances: the cycle goes on."""
    stage.launch("old")
    stage.adopt()
    stage.launch("new")
    stage.faults.append(Fault("DescribeImages", "UnauthorizedOperation", "Decide"))
    summary = stage.cycle()
    assert (summary["workloads"], summary["refused"]) == (1, 1)
    assert "could not be read" in stage.workload("new")["status_reason"]
    stage.faults.clear()
    assert stage.cycle()["workloads"] == 2


def test_unusual_instance_is_reproduced(story_of: StoryOf) -> None:
    """A disabled metadata endpoint, a license configuration and a large root volume."""
    story = story_of(scenarios.unusual_instance_is_switched)
    assert story.execution().status == "SUCCEEDED"
    row: dict[str, Any] = story.seen["row"]
    assert row["MetadataOptions"]["HttpEndpoint"] == "disabled"
    assert row["Licenses"] == [{"LicenseConfigurationArn": LICENSE}]


def test_failover_does_not_change_the_workloads_credit_mode(story_of: StoryOf) -> None:
    """The fleet's instance has the account's default; the next switch restores the workload's mode."""
    story = story_of(scenarios.burstable_instance_fails_over)
    seen = story.seen
    assert len({seen["original"], seen["failed_over"], seen["switched"]}) == 3
    assert seen["modes"] == {
        seen["original"]: "standard",
        seen["failed_over"]: "unlimited",
        seen["switched"]: "standard",
    }
    assert seen["kept"] == "standard"
