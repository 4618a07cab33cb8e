"""What users and tools change of a machine survives, or undoes a switch for a reason that is told."""

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
    kept_away,
    tag,
    template_version,
    volumes_of,
)
from tests.workflow.story import Story, Told

MANUAL = {"spot-optimizer:mode": "manual"}
"""Nothing is moved but by force."""


def _reads(stage: Stage) -> int:
    return len(stage.calls_of("GetLaunchTemplateData"))


def _outcome(story: Story) -> tuple[str, bool, str]:
    """Phase, whether it counts, and the summary of the newest switch."""
    switch = story.switch()
    outcome = switch["outcome"]
    return switch["phase"], outcome.get("counts", False), outcome["summary"]


# --- noticed in time -----------------------------------------------------------------------------


def test_a_grown_root_volume_is_noticed_within_the_hour_and_moves_along(stage: Stage) -> None:
    """Size, type and speed that a user changed online are what the replacement is launched with."""
    instance = stage.launch()
    stage.take_in()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB, Iops=5000, Throughput=300)
    stage.account.run_for(HOUR)
    assert template_version(stage) == 2
    stage.force()
    assert stage.finish().status == "SUCCEEDED"
    volume = volumes_of(stage.workload()["instance_id"])[ROOT]
    assert (volume["Size"], volume["Iops"], volume["Throughput"]) == (GROWN_GIB, 5000, 300)


def test_a_rescue_launches_with_the_disk_of_an_hour_ago(stage: Stage) -> None:
    """It compares nothing, so the memory has to be fresh."""
    instance = stage.launch()
    stage.take_in()
    stage.cycle()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    stage.account.run_for(HOUR)
    stage.world.interrupt(instance)
    assert stage.finish().status == "SUCCEEDED"
    assert volumes_of(stage.workload()["instance_id"])[ROOT]["Size"] == GROWN_GIB


def test_new_user_data_is_noticed_at_the_start(stage: Stage) -> None:
    """User data changes only while a machine is stopped, and a start has a launch time of its own."""
    instance = stage.launch(lifecycle="on-demand", user_data=b"old", tags=MANUAL)
    stage.take_in()
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


def test_a_changed_credit_mode_is_noticed_within_the_hour() -> None:
    """It is of no template version, but of every later launch."""
    with burstable_stage() as stage:
        instance = stage.launch(
            instance_type="t3.large", tags={"spot-optimizer:allow-burstable": "true"}
        )
        stage.take_in()
        assert stage.item("PLANS", "web")["launch_template"]["cpu_credits"] == "unlimited"
        stage.world.set_cpu_credits(instance, "standard")
        stage.account.run_for(HOUR)
        assert stage.item("PLANS", "web")["launch_template"]["cpu_credits"] == "standard"
        assert template_version(stage) == 1


def test_what_no_call_shows_of_many_is_read_once_a_day(stage: Stage) -> None:
    """A new shutdown behaviour reaches the memory within a day, by one reading."""
    instance = stage.launch(lifecycle="on-demand", tags=MANUAL)
    stage.take_in()
    machine = stage.world.instances[instance]
    object.__setattr__(machine.spec, "shutdown_behavior", "terminate")
    reads = _reads(stage)
    stage.account.run_for(timedelta(hours=23))
    assert _reads(stage) == reads
    stage.account.run_for(timedelta(hours=2))
    assert _reads(stage) == reads + 1
    assert stage.item("PLANS", "web")["launch_template"]["shutdown_behavior"] == "terminate"


def test_machines_that_age_together_are_read_in_turn(stage: Stage) -> None:
    """A few in each cycle, the oldest first: where there are more than can be read, none is forgotten."""
    instances = [stage.launch(name) for name in ("a", "b", "c")]
    memory = "spot_optimizer.services.decide.template_renewal"
    with (
        mock.patch(f"{memory}.AGED_READS_MAX", 1),
        mock.patch(f"{memory}.READ_AGAIN_AFTER", 2 * HOUR),
    ):
        stage.take_in()
        stage.api.clear()
        stage.account.run_for(7 * HOUR)
    reads = [call.params["InstanceId"] for call in stage.calls_of("GetLaunchTemplateData")]
    assert reads == instances * 2


def test_a_machine_that_has_changed_is_read_before_one_that_is_only_old(stage: Stage) -> None:
    """Where a cycle comes to one of them only."""
    stage.launch("a")
    changed = stage.launch("b")
    memory = "spot_optimizer.services.decide.template_renewal"
    with mock.patch(f"{memory}.READS_MAX", 1), mock.patch(f"{memory}.READ_AGAIN_AFTER", HOUR):
        stage.take_in()
        stage.cycle()
        stage.world.modify_volume(changed, ROOT, Size=GROWN_GIB)
        stage.api.clear()
        stage.account.run_for(HOUR)
    (read,) = stage.calls_of("GetLaunchTemplateData")
    assert read.params["InstanceId"] == changed


def test_a_machine_that_a_reading_refuses_takes_nobodys_turn(stage: Stage) -> None:
    """Protected since it was taken in: refused within a day and in every cycle, read beside the others
    that have their turn, and managed again when it may be moved."""
    protected = stage.launch("a", lifecycle="on-demand", tags=MANUAL)
    other = stage.launch("b")
    stage.take_in()
    stage.world.protect(protected)
    with mock.patch("spot_optimizer.services.decide.template_renewal.AGED_READS_MAX", 1):
        stage.account.run_for(timedelta(hours=23))
        stage.api.clear()
        stage.account.run_for(3 * HOUR)
        assert stage.cycle()["refused"] == 1
    assert "termination protection is on" in stage.workload("a")["status_reason"]
    reads = [call.params["InstanceId"] for call in stage.calls_of("GetLaunchTemplateData")]
    assert reads.count(other) == 1
    stage.world.instances[protected].disable_api_termination = False
    assert stage.cycle()["refused"] == 0


def test_a_machine_that_is_refused_again_and_again_keeps_no_new_one_waiting(stage: Stage) -> None:
    """Where a cycle cannot read all, what was refused before comes last."""
    odd = stage.launch(
        "a",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9, "DeleteOnTermination": True}}
        ],
    )
    tag(volumes_of(odd)["/dev/sdf"]["VolumeId"], backup="never")
    with mock.patch("spot_optimizer.services.decide.template_renewal.READS_MAX", 1):
        stage.take_in()
        assert "different tags" in stage.workload("a")["status_reason"]
        stage.launch("b")
        assert stage.cycle()["waiting"] == 1
        assert stage.workload("b")["status"] == "managed"


def test_an_unchanged_machine_is_looked_at_once_an_hour_and_not_read(stage: Stage) -> None:
    """One DescribeVolumes for all machines together; cycles in between ask for none."""
    for name in ("a", "b", "c"):
        stage.launch(name)
    stage.take_in()
    stage.account.run_for(HOUR)
    stage.api.clear()
    stage.cycle()
    assert not stage.calls_of("DescribeVolumes")
    stage.account.run_for(HOUR)
    assert len(stage.calls_of("DescribeVolumes")) == 1
    assert not stage.calls_of("GetLaunchTemplateData", "CreateLaunchTemplateVersion")


# --- when many have changed ----------------------------------------------------------------------


def test_changed_machines_stay_managed_while_they_wait_to_be_read(stage: Stage) -> None:
    """Where more have changed than a cycle reads, the others are decided upon and read later."""
    names = ("a", "b", "c")
    instances = [stage.launch(name) for name in names]
    stage.take_in()
    for instance in instances:
        stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    with mock.patch("spot_optimizer.services.decide.template_renewal.READS_MAX", 1):
        stage.account.run_for(HOUR)
        for read in (1, 2, 3):
            assert sum(template_version(stage, name) == 2 for name in names) == read
            summary = stage.cycle()
            assert (summary["workloads"], summary["refused"], summary["waiting"]) == (3, 0, 0)


def test_a_memory_that_cannot_be_refreshed_refuses_nobody(stage: Stage) -> None:
    """EC2 will not tell of a machine that may have changed: it is managed as before, and asked again."""
    instance = stage.launch()
    stage.take_in()
    stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
    stage.faults.append(Fault("GetLaunchTemplateData", "InternalError", "Decide"))
    stage.account.run_for(HOUR)
    assert stage.faults[0].met
    assert stage.workload()["status"] == "managed"
    stage.faults.clear()
    summary = stage.cycle()
    assert (summary["workloads"], template_version(stage)) == (1, 2)


def test_a_change_that_cannot_be_reproduced_refuses_for_as_long_as_it_lasts(stage: Stage) -> None:
    """Volumes that bear different tags since their user's last change: refused in every cycle, and
    taken in again when they are alike."""
    instance = stage.launch(
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9, "DeleteOnTermination": True}}
        ]
    )
    stage.take_in()
    volume = volumes_of(instance)["/dev/sdf"]["VolumeId"]
    tag(volume, backup="never")
    stage.account.run_for(HOUR)
    for _ in range(2):
        assert stage.cycle()["refused"] == 1
        assert "different tags" in stage.workload()["status_reason"]
    boto3.client("ec2").delete_tags(Resources=[volume], Tags=[{"Key": "backup"}])
    assert stage.cycle()["refused"] == 0
    assert stage.workload()["status"] == "managed"


# --- noticed too late ----------------------------------------------------------------------------


def test_a_switch_from_a_stale_memory_is_undone_told_and_made_good(told: Told) -> None:
    """It does not count, says that the original was changed, and the next cycle reads the machine."""
    story = told(scenarios.root_grows_within_the_hour)
    undone = story.seen["undone"]
    assert undone["phase"] == "FAILED"
    assert undone["outcome"]["counts"] is False
    summary = undone["outcome"]["summary"]
    assert "OriginalChanged" in summary
    assert (
        "the original was changed after it had been read; the next cycle reads it again" in summary
    )
    assert "device /dev/xvda size: 8 GiB became 30 GiB" not in summary
    assert "device /dev/xvda size: 30 GiB became 8 GiB" in summary
    assert story.seen["workload_after_it"].get("failures", 0) == 0
    assert story.seen["version"] == 2
    assert story.switch()["phase"] == "DONE"
    assert story.seen["volumes"][ROOT]["Size"] == GROWN_GIB
    assert story.alive == {story.seen["replacement"]}


def test_changes_of_many_machines_open_no_breaker() -> None:
    """A team grows its disks and the market moves: three switches are undone, and nobody has to reset."""
    with open_stage() as stage:
        names = ("a", "b", "c", "d")
        instances = {name: stage.launch(name) for name in names}
        stage.take_in()
        for instance in instances.values():
            stage.world.modify_volume(instance, ROOT, Size=GROWN_GIB)
        for name in names:
            stage.force(name)
        stage.finish()
        assert [stage.switches(name)[0]["phase"] for name in names] == ["FAILED"] * 4
        assert "breaker_open_since" not in stage.item("STACK", "STATE")
        assert not stage.calls_of("Publish")


def test_an_original_changed_while_its_replacement_boots_undoes_without_counting(
    told: Told,
) -> None:
    """A tag that the team adds in those minutes is missing on the replacement."""
    story = told(scenarios.original_is_tagged_meanwhile)
    phase, counts, summary = _outcome(story)
    assert (phase, counts) == ("FAILED", False)
    assert "tag team: billing became None" in summary
    assert story.alive == {story.seen["original"]}


# --- tools that write tags -----------------------------------------------------------------------


def test_tags_that_tools_write_on_a_replacement_undo_nothing(told: Told) -> None:
    """New tags and other values on machine and volume are on the record, each with its explanation."""
    story = told(scenarios.tools_write_on_what_is_launched)
    assert story.switch()["phase"] == "DONE"
    assert story.alive == {story.seen["replacement"]}
    findings = story.switch()["findings"]
    for told_of in (
        "tag CreatedAt: long ago became today (changed after the launch)",
        "tag Owner: None became ann (more than the original bears)",
        "device /dev/xvda tag CreatedAt: long ago became today (changed after the launch)",
        "device /dev/xvda tag Owner: None became ann (more than the original bears)",
    ):
        assert told_of in findings


def test_a_value_is_only_excused_while_the_original_is_what_was_read(told: Told) -> None:
    """Where the original has been changed too, nobody can say what the template should have asked."""

    def only_the_replacement() -> Story:
        return scenarios.changed_tags(on_original={})

    def the_original_too() -> Story:
        return scenarios.changed_tags(on_original={"stage": "test"})

    assert told(only_the_replacement).switch()["phase"] == "DONE"
    phase, _, summary = _outcome(told(the_original_too))
    assert phase == "FAILED"
    assert "tag stage: test became live" in summary
    assert "tag team: shop became billing" in summary


def test_a_tag_that_is_missing_undoes_counts_and_has_the_machine_read_again(told: Told) -> None:
    """The original is what was read, so the launch or somebody after it has lost the tag."""
    story = told(scenarios.a_tool_takes_a_tag_away)
    phase, counts, summary = _outcome(story)
    assert (phase, counts) == ("FAILED", True)
    assert summary.startswith("ReplacementDiffers")
    assert "tag team: shop became None" in summary
    assert "the next cycle reads the machine again" in summary
    assert story.seen["reads_after_it"] == 1
    assert story.alive == {story.seen["original"]}


# --- machines of every kind ----------------------------------------------------------------------


def test_a_volume_of_the_image_that_was_removed_does_not_come_back(told: Told) -> None:
    """Neither by a switch nor by a rescue, and the replacement's reading makes no new version."""
    story = told(scenarios.a_removed_volume_of_the_image)
    assert story.seen["after_switch"] == {ROOT, "/dev/sdf"}
    assert story.seen["after_rescue"] == {ROOT, "/dev/sdf"}
    assert story.seen["kept_away"] == ["/dev/sdg"]
    assert len(set(story.seen["moved"])) == 3
    assert story.seen["version"] == 1


@pytest.mark.parametrize("code", ["InvalidAMIID.NotFound", "AuthFailure"])
def test_an_image_that_nobody_can_see_any_more_refuses_no_machine(stage: Stage, code: str) -> None:
    """It is taken in, and hides nothing of other machines' images; that it cannot be launched is told
    by a launch."""
    image = stage.world.add_image("x86_64")
    stage.launch("orphan", image=image)
    other = stage.launch("other", image=image_with_data(stage))
    stage.world.remove_volume(other, "/dev/sdf")
    stage.world.deregister_image(image)
    if code == "AuthFailure":
        stage.faults.append(
            Fault("DescribeImages", code, "Decide", when=lambda params: image in str(params))
        )
    stage.take_in()
    assert [stage.workload(name)["status"] for name in ("orphan", "other")] == ["managed"] * 2
    stage.account.run_for(
        timedelta(minutes=1)
    )  # EC2 does not find for seconds what it has just made
    assert kept_away(stage, "other") == ["/dev/sdf"]


def test_machines_that_cannot_be_read_together_are_told_and_read_later(stage: Stage) -> None:
    """EC2 is out of order for one of the calls that ask for many machines: the cycle goes on."""
    stage.launch("old")
    stage.take_in()
    stage.launch("new")
    stage.faults.append(Fault("DescribeImages", "UnauthorizedOperation", "Decide"))
    summary = stage.cycle()
    assert (summary["workloads"], summary["refused"]) == (1, 1)
    assert "could not be read" in stage.workload("new")["status_reason"]
    stage.faults.clear()
    assert stage.cycle()["workloads"] == 2


def test_an_unusual_machine_moves_whole(told: Told) -> None:
    """A metadata endpoint that is off, a license configuration and a large root come along."""
    story = told(scenarios.unusual_instance_switches)
    assert story.execution().status == "SUCCEEDED"
    row: dict[str, Any] = story.seen["row"]
    assert row["MetadataOptions"]["HttpEndpoint"] == "disabled"
    assert row["Licenses"] == [{"LicenseConfigurationArn": LICENSE}]


def test_a_rescue_does_not_make_its_credit_mode_the_workloads(told: Told) -> None:
    """The fleet's machine runs in the account's default; the next move has the workload's own again."""
    story = told(scenarios.burstable_instance_fails_over)
    seen = story.seen
    assert len({seen["original"], seen["rescued"], seen["moved"]}) == 3
    assert seen["modes"] == {
        seen["original"]: "standard",
        seen["rescued"]: "unlimited",
        seen["moved"]: "standard",
    }
    assert seen["kept"] == "standard"
