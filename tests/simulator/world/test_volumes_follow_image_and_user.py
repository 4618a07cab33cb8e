"""A launch merges its block device mappings with the image's; users change volumes and instances."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from simulator.world import DataVolume
from tests.simulator.world.conftest import Account

DATA = DataVolume("/dev/sdf", 40, iops=4000)


@pytest.fixture
def image(account: Account) -> str:
    """An image with a root, two data volumes and a mapping to an instance store volume."""
    more = DataVolume("/dev/sdg", 60, volume_type="gp2")
    return account.world.add_image(
        "x86_64", volumes=[DATA, more], instance_store_devices=["/dev/sdb"]
    )


def devices(account: Account, instance_id: str) -> dict[str, tuple[int, str, int | None]]:
    """Device name -> (GiB, type, IOPS) of an instance's volumes."""
    named = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    rows = account.ec2.describe_volumes(Filters=named)["Volumes"]
    return {
        row["Attachments"][0]["Device"]: (row["Size"], row["VolumeType"], row.get("Iops"))
        for row in rows
    }


def test_image_lists_its_devices(account: Account, image: str) -> None:
    """Its EBS volumes with their snapshots, and what it maps to instance stores."""
    (row,) = account.ec2.describe_images(ImageIds=[image])["Images"]
    root, data, more, store = row["BlockDeviceMappings"]
    assert (root["DeviceName"], data["DeviceName"]) == ("/dev/xvda", "/dev/sdf")
    assert data["Ebs"]["VolumeSize"] == 40
    assert len({each["Ebs"]["SnapshotId"] for each in (root, data, more)}) == 3
    assert store == {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}


def test_launch_gets_the_images_volumes_and_overrides_them_by_device(
    account: Account, image: str
) -> None:
    """What the launch does not name comes as the image has it; what it names is changed by parts."""
    launched = account.run(
        ImageId=image,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 50}},
            {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 5, "VolumeType": "gp2"}},
        ],
    )
    assert devices(account, launched["InstanceId"]) == {
        "/dev/xvda": (8, "gp3", 3000),
        "/dev/sdf": (50, "gp3", 4000),
        "/dev/sdg": (60, "gp2", 180),
        "/dev/sdh": (5, "gp2", 100),
    }


def test_device_mapped_to_none_is_not_attached(
    account: Account, image: str, refused: Callable[..., str]
) -> None:
    """An empty NoDevice keeps a volume of the image away; the root cannot be kept away."""
    without = [{"DeviceName": "/dev/sdg", "NoDevice": ""}]
    launched = account.run(ImageId=image, BlockDeviceMappings=without)
    assert set(devices(account, launched["InstanceId"])) == {"/dev/xvda", "/dev/sdf"}
    rootless = [{"DeviceName": "/dev/xvda", "NoDevice": ""}]
    error = refused(account.run, ImageId=image, BlockDeviceMappings=rootless)
    assert error.startswith("InvalidBlockDeviceMapping")


def test_users_change_their_volumes(account: Account, image: str) -> None:
    """A volume grows and becomes faster in use, and is removed; it does not shrink, nor does the root
    go."""
    world = account.world
    instance_id = world.launch_instance("m5.large", "us-east-1a", image=image)
    world.modify_volume(instance_id, "/dev/xvda", Size=30, Iops=5000, Throughput=300)
    world.modify_volume(instance_id, "/dev/sdf", Size=80)
    world.modify_volume(instance_id, "/dev/sdg", VolumeType="gp3")
    assert devices(account, instance_id) == {
        "/dev/xvda": (30, "gp3", 5000),
        "/dev/sdf": (80, "gp3", 4000),
        "/dev/sdg": (60, "gp3", 3000),
    }
    world.remove_volume(instance_id, "/dev/sdg")
    assert set(devices(account, instance_id)) == {"/dev/xvda", "/dev/sdf"}
    names = [m["DeviceName"] for m in account.describe(instance_id)["BlockDeviceMappings"]]
    assert names == ["/dev/xvda", "/dev/sdf"]
    wrongs: tuple[Callable[[], object], ...] = (
        lambda: world.modify_volume(instance_id, "/dev/sdf", Size=79),
        lambda: world.remove_volume(instance_id, "/dev/xvda"),
        lambda: world.remove_volume(instance_id, "/dev/sdg"),
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"Size|device_name"):
            wrong()


def test_user_data_changes_only_while_the_instance_is_stopped(account: Account) -> None:
    """And a start gives it another launch time."""
    world = account.world
    instance_id = world.launch_instance("m5.large", "us-east-1a", lifecycle="on-demand")
    before = account.describe(instance_id)["LaunchTime"]
    with pytest.raises(ValueError, match="not stopped"):
        world.set_user_data(instance_id, b"new")
    account.ec2.stop_instances(InstanceIds=[instance_id])
    account.wait(minutes=5)
    world.set_user_data(instance_id, b"new")
    account.ec2.start_instances(InstanceIds=[instance_id])
    account.wait(minutes=5)
    reply = account.ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    assert reply["UserData"]["Value"] == "bmV3"
    assert account.describe(instance_id)["LaunchTime"] >= before + timedelta(minutes=5)


def test_credit_mode_changes_where_the_type_has_one(account: Account) -> None:
    """In use; a fixed-performance instance has none."""
    world = account.world
    burstable = world.launch_instance("t3.micro", "us-east-1a")
    world.set_cpu_credits(burstable, "standard")
    asked = account.ec2.describe_instance_credit_specifications(InstanceIds=[burstable])
    assert asked["InstanceCreditSpecifications"][0]["CpuCredits"] == "standard"
    with pytest.raises(ValueError, match="burstable"):
        world.set_cpu_credits(world.launch_instance("m5.large", "us-east-1a"), "standard")
