"""Machines that are not as their launch templates remember them, and tools that write on new ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import boto3

from simulator.world import DataVolume
from tests.workflow import stage as stages
from tests.workflow.stage import TYPES, ZONES, Stage, open_stage
from tests.workflow.story import Story, record

ROOT = "/dev/xvda"
GROWN_GIB = 30
HOUR = timedelta(hours=1)
BURSTABLE = ("t3.large", "t3a.large")
LICENSE = "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-1"


def volumes_of(instance_id: str) -> dict[str, dict[str, Any]]:
    """Device name -> volume, as DescribeVolumes tells it."""
    rows = boto3.client("ec2").describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}]
    )["Volumes"]
    return {row["Attachments"][0]["Device"]: dict(row) for row in rows}


def tag(resource_id: str, **tags: str) -> None:
    """Write tags as somebody else would."""
    pairs: list[Any] = [{"Key": key, "Value": value} for key, value in tags.items()]
    boto3.client("ec2").create_tags(Resources=[resource_id], Tags=pairs)


def kept_away(stage: Stage, workload: str) -> list[str]:
    """Devices that the workload's launch template keeps away."""
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
    """A stage on whose market there are burstable types too."""
    with (
        mock.patch.object(stages, "TYPES", (*TYPES, *BURSTABLE)),
        mock.patch.dict(stages._reference, clear=True),
        open_stage() as stage,
    ):
        yield stage


def _replacement(stage: Stage, original: str) -> str:
    (found,) = stage.alive() - {original}
    return found


def root_grows_within_the_hour() -> Story:
    """The root volume grows after the machine was read and before anybody has looked again."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
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
    """The team gives the original another tag while the replacement boots."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        tag(original, team="billing")
        stage.finish()
        return record(stage, original=original)


def tools_write_on_what_is_launched() -> Story:
    """While the replacement boots, tools write tags on it and its volume: new ones, other values."""
    with open_stage() as stage:
        original = stage.launch(
            tags={"CreatedAt": "long ago", "team": "shop"}, user_data=b"#!/bin/sh"
        )
        (volume,) = volumes_of(original).values()
        tag(volume["VolumeId"], CreatedAt="long ago")
        stage.take_in()
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
    """Somebody changes a tag of the replacement, and perhaps tags of the original, while it boots."""
    with open_stage() as stage:
        original = stage.launch(tags={"team": "shop", "stage": "live"})
        stage.take_in()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        stage.account.run_for(timedelta(minutes=1))
        replacement = _replacement(stage, original)
        tag(replacement, team="billing")
        if on_original:
            tag(original, **on_original)
        stage.finish()
        return record(stage, original=original, replacement=replacement)


def a_tool_takes_a_tag_away() -> Story:
    """A tag that the launch gave the replacement is gone when it is inspected."""
    with open_stage() as stage:
        original = stage.launch(tags={"team": "shop"})
        stage.take_in()
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


def a_removed_volume_of_the_image() -> Story:
    """The user has removed one of the two data volumes that come with the image; then the machine is
    switched, and its replacement rescued."""
    with open_stage() as stage:
        original = stage.launch(image=image_with_data(stage))
        stage.world.remove_volume(original, "/dev/sdg")
        stage.take_in()
        stage.force()
        stage.finish()
        switched = stage.workload()["instance_id"]
        after_switch = set(volumes_of(switched))
        stage.cycle()
        version = template_version(stage)
        stage.world.interrupt(switched)
        stage.finish()
        rescued = stage.workload()["instance_id"]
        return record(
            stage,
            moved=(original, switched, rescued),
            after_switch=after_switch,
            after_rescue=set(volumes_of(rescued)),
            kept_away=kept_away(stage, "web"),
            version=version,
        )


def an_unusual_machine_moves() -> Story:
    """Its metadata endpoint is off, it has a license configuration, and its root is large."""
    with open_stage() as stage:
        original = stage.launch(
            MetadataOptions={"HttpEndpoint": "disabled"},
            LicenseSpecifications=[{"LicenseConfigurationArn": LICENSE}],
            BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"VolumeSize": 100}}],
        )
        stage.take_in()
        stage.force()
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage, original=original, replacement=replacement, row=stage.describe(replacement)
        )


def a_burstable_machine_is_rescued() -> Story:
    """A machine in standard credit mode is rescued by a fleet into a burstable type, and then moved."""
    with burstable_stage() as stage:
        allowed = {"spot-optimizer:allow-burstable": "true", "spot-optimizer:types": "t3*"}
        original = stage.launch(
            instance_type=BURSTABLE[0],
            tags=allowed,
            CreditSpecification={"CpuCredits": "standard"},
        )
        stage.take_in()
        stage.cycle()
        stage.world.interrupt(original)
        stage.finish()
        rescued = stage.workload()["instance_id"]
        stage.cycle()
        kept = stage.item("PLANS", "web")["launch_template"]["cpu_credits"]
        stage.account.run_for(timedelta(minutes=30))
        stage.force(instance_type=BURSTABLE[1], zone=ZONES[2])
        stage.finish()
        moved = stage.workload()["instance_id"]
        modes = {i: stage.world.instances[i].spec.cpu_credits for i in (original, rescued, moved)}
        return record(
            stage, original=original, rescued=rescued, moved=moved, kept=kept, modes=modes
        )
