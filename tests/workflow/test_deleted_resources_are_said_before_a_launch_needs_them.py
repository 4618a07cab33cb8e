"""What somebody deletes after a workload was adopted is on the ledger within the hour."""

from datetime import timedelta

from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.call_log import Fault
from simulator.deployed import REGION
from simulator.stage import Stage
from simulator.world import DataVolume

KEYS = [
    f"arn:aws:kms:{REGION}:{DEFAULT_ACCOUNT_ID}:key/{n}234abcd-12ab-34cd-56ef-1234567890ab"
    for n in (1, 2)
]


def _an_hour_later(stage: Stage) -> None:
    stage.account.run_for(timedelta(minutes=61))
    stage.cycle()


def _alerts(stage: Stage) -> list[str]:
    return [call.params["Message"] for call in stage.calls_of("Publish")]


def test_a_failover_does_without_what_is_gone(stage: Stage) -> None:
    """A blank volume for a deleted snapshot, no key pair, no role: the workload lives."""
    snapshot = stage.world.add_snapshot()
    disk = {"SnapshotId": snapshot, "VolumeSize": 20, "DeleteOnTermination": True}
    original = stage.launch(
        tags={"spot-optimizer:state": "stateless"},
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": disk}],
    )
    stage.adopt()
    stage.world.delete_snapshot(snapshot)
    _an_hour_later(stage)
    (alert,) = _alerts(stage)
    assert f"web: the snapshot {snapshot}" in alert
    workload = stage.workload()
    assert workload["status"] == "managed"
    assert "blank volume" in workload["status_reason"]
    (made,) = stage.force()["made"]
    assert not made["held_by"]
    stage.finish()
    moved = stage.workload()["instance_id"]
    assert moved != original

    row = stage.describe(moved)
    stage.world.delete_key_pair(row["KeyName"])
    stage.world.delete_instance_profile(row["IamInstanceProfile"]["Arn"])
    _an_hour_later(stage)
    reason = stage.workload()["status_reason"]
    assert row["KeyName"] in reason
    assert row["IamInstanceProfile"]["Arn"] in reason
    (made,) = stage.force(instance_type="m5.large")["made"]
    assert row["KeyName"] in made["held_by"]
    stage.world.interrupt(moved)
    assert stage.finish().status == "SUCCEEDED"
    replacement = stage.describe(stage.workload()["instance_id"])
    assert replacement["InstanceId"] not in (original, moved)
    assert "KeyName" not in replacement
    assert len(replacement["BlockDeviceMappings"]) == 2


def test_a_refused_launch_has_its_cause_looked_up_at_once(stage: Stage) -> None:
    """One launch in vain is enough: the next cycle names the image, and planned switches wait."""
    original = stage.launch()
    stage.adopt()
    image = stage.describe(original)["ImageId"]
    stage.world.deregister_image(image)
    stage.force()
    assert stage.finish().error == "NotSwitched"
    stage.account.run_for(timedelta(minutes=5))
    stage.cycle()
    assert image in stage.workload()["status_reason"]
    (made,) = stage.force()["made"]
    assert image in made["held_by"]


def test_resource_that_cannot_be_looked_up_counts_as_there(stage: Stage) -> None:
    """A look-up that AWS refuses costs neither the workload nor the cycle."""
    snapshot = stage.world.add_snapshot()
    disk = {"SnapshotId": snapshot, "VolumeSize": 20, "DeleteOnTermination": True}
    encrypted = {"Encrypted": True, "KmsKeyId": KEYS[0], "VolumeSize": 20}
    stage.launch(
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": disk},
            {"DeviceName": "/dev/sdg", "Ebs": encrypted},
        ]
    )
    for operation in (
        "DescribeKey",
        "DescribeSnapshots",
        "DescribeKeyPairs",
        "DescribeSecurityGroups",
        "GetInstanceProfile",
    ):
        stage.faults.append(Fault(operation, code="AccessDenied", caller="Decide"))
    stage.adopt()
    assert all(fault.met for fault in stage.faults)
    assert stage.workload()["status"] == "managed"
    plan = stage.item("PLANS", "web")
    assert not plan.get("launch_problem")
    assert not plan.get("launch_losses")


def test_key_that_cannot_be_used_is_said(stage: Stage) -> None:
    """Nothing starts with a volume of a disabled key. One that may not be looked at counts as usable."""
    disks = [
        DataVolume(f"/dev/sd{n}", 20, encrypted=True, kms_key_id=key, delete_on_termination=True)
        for n, key in zip("fg", KEYS, strict=True)
    ]
    stage.launch(volumes=disks)
    fault = Fault("DescribeKey", caller="Decide", when=lambda params: params["KeyId"] == KEYS[1])
    stage.faults.append(fault)
    stage.adopt()
    assert not stage.item("PLANS", "web").get("launch_problem")
    for key in KEYS:
        stage.world.disable_key(key)
    _an_hour_later(stage)
    (alert,) = _alerts(stage)
    assert f"web: the key {KEYS[0]} of its volume /dev/sdf is disabled" in alert
    assert KEYS[1] not in stage.workload()["status_reason"]
