"""Switches without trouble."""

from datetime import timedelta
from typing import Any

import boto3

from simulator.stage import Stage, open_stage
from simulator.world import DataVolume
from tests.workflow.story import Story, record

SECRET = "hunter2-the-password-in-the-user-data"


def clean_switch() -> Story:
    """A forced switch of a spot instance with every feature; nothing goes wrong."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        security_group = stage.world.add_security_group("shop")
        original = stage.launch(
            tags={"Name": "shop", "team": "checkout"},
            user_data=SECRET.encode(),
            target_group_arn=group,
            address=True,
            metadata_http_tokens="required",
            volumes=[
                DataVolume(
                    "/dev/sdf",
                    size_gib=50,
                    volume_type="gp3",
                    iops=4000,
                    throughput_mib_per_s=300,
                    delete_on_termination=True,
                )
            ],
            SecurityGroupIds=[security_group],
            Monitoring={"Enabled": True},
        )
        stage.adopt()
        before = _properties(stage, original)
        stage.api.clear()
        stage.force()
        at_move: dict[str, Any] = {}
        stage.before_call["AssociateAddress"] = lambda: at_move.update(stage.targets(group))
        at_end: dict[str, Any] = {}
        stage.before_call["TerminateInstances"] = lambda: at_end.update(stage.targets(group))
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage,
            original=original,
            replacement=replacement,
            before=before,
            after=_properties(stage, replacement),
            targets_at_move=at_move,
            targets_at_end=at_end,
            address_holder=stage.address_holder(),
            templates=_template_versions(),
        )


def _properties(stage: Stage, instance_id: str) -> dict[str, Any]:
    ec2 = boto3.client("ec2")
    row = stage.describe(instance_id)
    ids = [m["Ebs"]["VolumeId"] for m in row["BlockDeviceMappings"]]
    volumes = ec2.describe_volumes(VolumeIds=ids)["Volumes"]
    user_data = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    return {
        "tags": {
            t["Key"]: t["Value"]
            for t in row["Tags"]
            if not t["Key"].startswith("aws:") and t["Key"] != "spot-optimizer:switch"
        },
        "image": row["ImageId"],
        "key": row["KeyName"],
        "profile": row["IamInstanceProfile"]["Arn"],
        "security groups": row["SecurityGroups"],
        "metadata options": row["MetadataOptions"],
        "monitoring": row["Monitoring"],
        "user data": user_data["UserData"]["Value"],
        "volumes": sorted(
            (
                v["Attachments"][0]["Device"],
                v["Size"],
                v["VolumeType"],
                v.get("Iops"),
                v.get("Throughput"),
                v["Encrypted"],
                v["Attachments"][0]["DeleteOnTermination"],
            )
            for v in volumes
        ),
    }


def _template_versions() -> list[tuple[str, int]]:
    rows = boto3.client("ec2").describe_launch_templates()["LaunchTemplates"]
    return [(row["LaunchTemplateName"], row["LatestVersionNumber"]) for row in rows]


def switch_that_leaves_the_original() -> Story:
    """The team terminates originals itself (tag auto-terminate = false)."""
    with open_stage() as stage:
        original = stage.launch(tags={"spot-optimizer:auto-terminate": "false"})
        stage.adopt()
        stage.force()
        stage.finish()
        tags = dict(stage.world.tags_of(original))
        return record(stage, original=original, tags=tags, next_cycle=stage.cycle())


def switch_from_a_persistent_request() -> Story:
    """The original was launched by a persistent spot request of its team."""
    with open_stage() as stage:
        original = stage.launch(persistent=True)
        stage.adopt()
        stage.force()
        stage.finish()
        stage.account.run_for(timedelta(minutes=30))
        return record(stage, original=original, replacement=stage.workload()["instance_id"])
