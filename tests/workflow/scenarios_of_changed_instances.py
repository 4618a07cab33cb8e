"""Instances that differ from their launch templates, and tools that tag new instances."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3

from simulator.deployed import ZONES
from simulator.stage import TYPES, Stage, open_stage
from simulator.world import DataVolume
from tests.workflow.story import Story, record

ROOT = "/dev/xvda"
GROWN_GIB = 30
HOUR = timedelta(hours=1)
BURSTABLE = ("t3.large", "t3a.large")
LICENSE = "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-1"


def volumes_of(instance_id: str) -> dict[str, dict[str, Any]]:
    """Device name -> volume, from DescribeVolumes."""
    rows = boto3.client("ec2").describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}]
    )["Volumes"]
    return {row["Attachments"][0]["Device"]: dict(row) for row in rows}


def tag(resource_id: str, **tags: str) -> None:
    """Write tags as a user or a tool does."""
    pairs: list[Any] = [{"Key": key, "Value": value} for key, value in tags.items()]
    boto3.client("ec2").create_tags(Resources=[resource_id], Tags=pairs)


def suppressed(stage: Stage, workload: str) -> list[str]:
    """Devices that the workload's launch template suppresses."""
    template_id = stage.item("PLANS", workload)["launch_template"]["template_id"]
    reply = boto3.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template_id, Versions=["$Latest"]
    )
    mappings = reply["LaunchTemplateVersions"][0]["LaunchTemplateData"]["BlockDeviceMappings"]
    return [each["DeviceName"] for each in mappings if "NoDevice" in each]


def image_with_data(stage: Stage) -> str:
    """An image with two data volumes and a mapping to an instance store volume."""
    return stage.world.add_image(
        "x86_64",
        volumes=[
            DataVolume("/dev/sdf", 40, delete_on_termination=True),
            DataVolume("/dev/sdg", 60, delete_on_termination=True),
        ],
        instance_store_devices=["/dev/sdb"],
    )


def template_version(stage: Stage, workload: str = "web") -> int:
    """The version of the launch template that the workload's plan names."""
    version: int = stage.item("PLANS", workload)["launch_template"]["version"]
    return version


@contextmanager
def burstable_stage() -> Iterator[Stage]:
    """A stage whose market has burstable types too."""
    with open_stage(types=(*TYPES, *BURSTABLE)) as stage:
        yield stage


def _replacement(stage: Stage, original: str) -> str:
    (found,) = stage.alive() - {original}
    return found


def root_grows_within_the_hour() -> Story:
    """The root volume grows after the instance was read and before the next check."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.world.modify_volume(original, ROOT, Size=GROWN_GIB)
        stage.force()
        stage.finish()
        workload = stage.workload()
        first = stage.switches()
        stage.account.run_for(HOUR)
        version = template_version(stage)
        stage.force()
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage,
            original=original,
            undone=first[0],
            workload_after_it=workload,
            version=version,
            replacement=replacement,
            volumes=volumes_of(replacement),
        )


def original_is_tagged_meanwhile() -> Story:
    """A user adds a tag to the original while the replacement boots."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        tag(original, team="billing")
        stage.finish()
        return record(stage, original=original)


def tools_write_on_what_is_launched() -> Story:
    """While the replacement boots, tools tag it and its volume: new tags and other values."""
    with open_stage() as stage:
        original = stage.launch(
            tags={"CreatedAt": "long ago", "team": "shop"}, user_data=b"#!/bin/sh"
        )
        (volume,) = volumes_of(original).values()
        tag(volume["VolumeId"], CreatedAt="long ago")
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        stage.account.run_for(timedelta(minutes=1))
        replacement = _replacement(stage, original)
        (disk,) = volumes_of(replacement).values()
        for written_on in (replacement, disk["VolumeId"]):
            tag(written_on, CreatedAt="today", Owner="ann")
        stage.finish()
        return record(stage, original=original, replacement=replacement)


def changed_tags(*, on_original: Mapping[str, str]) -> Story:
    """A tag of the replacement, and perhaps tags of the original, change while it boots."""
    with open_stage() as stage:
        original = stage.launch(tags={"team": "shop", "stage": "live"})
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        stage.account.run_for(timedelta(minutes=1))
        replacement = _replacement(stage, original)
        tag(replacement, team="billing")
        if on_original:
            tag(original, **on_original)
        stage.finish()
        return record(stage, original=original, replacement=replacement)


def tool_removes_a_tag() -> Story:
    """A tag of the replacement is removed before its inspection."""
    with open_stage() as stage:
        original = stage.launch(tags={"team": "shop"})
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        stage.account.run_for(timedelta(minutes=1))
        replacement = _replacement(stage, original)
        boto3.client("ec2").delete_tags(Resources=[replacement], Tags=[{"Key": "team"}])
        stage.finish()
        doubted = stage.workload()["doubted_at"]
        reads = len(stage.calls_of("GetLaunchTemplateData"))
        stage.cycle()
        reads = len(stage.calls_of("GetLaunchTemplateData")) - reads
        return record(stage, original=original, doubted=doubted, reads_after_it=reads)


def volume_of_the_image_is_removed() -> Story:
    """A user removes one of the two data volumes of the image; then come a switch and a failover."""
    with open_stage() as stage:
        original = stage.launch(image=image_with_data(stage))
        stage.world.remove_volume(original, "/dev/sdg")
        stage.adopt()
        stage.force()
        stage.finish()
        switched = stage.workload()["instance_id"]
        after_switch = set(volumes_of(switched))
        stage.cycle()
        version = template_version(stage)
        stage.world.interrupt(switched)
        stage.finish()
        failed_over = stage.workload()["instance_id"]
        return record(
            stage,
            switched=(original, switched, failed_over),
            after_switch=after_switch,
            after_failover=set(volumes_of(failed_over)),
            suppressed=suppressed(stage, "web"),
            version=version,
        )


def unusual_instance_is_switched() -> Story:
    """A disabled metadata endpoint, a license configuration and a large root volume."""
    with open_stage() as stage:
        original = stage.launch(
            MetadataOptions={"HttpEndpoint": "disabled"},
            LicenseSpecifications=[{"LicenseConfigurationArn": LICENSE}],
            BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"VolumeSize": 100}}],
        )
        stage.adopt()
        stage.force()
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage, original=original, replacement=replacement, row=stage.describe(replacement)
        )


def burstable_instance_fails_over() -> Story:
    """An instance in standard credit mode fails over to a burstable type, and is then switched."""
    with burstable_stage() as stage:
        allowed = {"spot-optimizer:allow-burstable": "true", "spot-optimizer:types": "t3*"}
        original = stage.launch(
            instance_type=BURSTABLE[0],
            tags=allowed,
            CreditSpecification={"CpuCredits": "standard"},
        )
        stage.adopt()
        stage.cycle()
        stage.world.interrupt(original)
        stage.finish()
        failed_over = stage.workload()["instance_id"]
        stage.cycle()
        kept = stage.item("PLANS", "web")["launch_template"]["cpu_credits"]
        stage.account.run_for(timedelta(minutes=30))
        stage.force(instance_type=BURSTABLE[1], zone=ZONES[2])
        stage.finish()
        switched = stage.workload()["instance_id"]
        modes = {
            i: stage.world.instances[i].spec.cpu_credits for i in (original, failed_over, switched)
        }
        return record(
            stage,
            original=original,
            failed_over=failed_over,
            switched=switched,
            kept=kept,
            modes=modes,
        )
