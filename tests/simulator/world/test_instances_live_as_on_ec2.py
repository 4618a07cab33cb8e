"""The life of an instance follows EC2: states, checks, protection, what goes with it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from simulator.world import (
    DataVolume,
    InstanceLaunched,
    InstanceRunning,
    InstanceTerminated,
    InstanceTerminating,
)
from tests.simulator.world.conftest import Account

CUSTOMER_KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EBS_KEY = "arn:aws:kms:us-east-1:123456789012:key/aws-ebs-default"


def test_launch_is_pending_then_running_then_passes_its_checks(account: Account) -> None:
    """Boot takes 15 to 45 s and checks 90 to 180 s after it, seen through the API only."""
    instance_id = account.run()["InstanceId"]
    assert account.describe(instance_id)["State"]["Name"] == "pending"
    assert account.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"] == []
    account.wait(seconds=14)
    assert account.describe(instance_id)["State"]["Name"] == "pending"
    account.wait(seconds=31)
    (status,) = account.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    assert status["InstanceState"]["Name"] == "running"
    assert status["InstanceStatus"]["Status"] == "initializing"
    account.wait(seconds=180)
    (status,) = account.ec2.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    assert (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]) == ("ok", "ok")


def test_status_checks_fail_where_a_scenario_says_so(account: Account) -> None:
    """An instance launched while checks fail in its pool becomes impaired, others do not."""
    account.world.fail_status_checks("m5.large", "us-east-1a", end=account.now + timedelta(hours=1))
    bad, good = account.run()["InstanceId"], account.run(InstanceType="c5.large")["InstanceId"]
    account.wait(minutes=10)
    found = {
        item["InstanceId"]: item["InstanceStatus"]["Status"]
        for item in account.ec2.describe_instance_status()["InstanceStatuses"]
    }
    assert found == {bad: "impaired", good: "ok"}


def test_termination_takes_volumes_interfaces_and_address_with_it(account: Account) -> None:
    """Only the volume that is kept survives; the elastic address is free again."""
    instance_id = account.world.launch_instance(
        "m5.large", "us-east-1a", address=True, volumes=[DataVolume("/dev/sdf", 20)]
    )
    assert len(account.ec2.describe_volumes()["Volumes"]) == 2
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    assert account.describe(instance_id)["State"]["Name"] == "shutting-down"
    account.wait(seconds=61)
    gone = account.describe(instance_id)
    assert gone["State"]["Name"] == "terminated"
    assert gone["NetworkInterfaces"] == gone["BlockDeviceMappings"] == []
    (kept,) = account.ec2.describe_volumes()["Volumes"]
    assert (kept["State"], kept["Size"]) == ("available", 20)
    assert account.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    (address,) = account.ec2.describe_addresses()["Addresses"]
    assert "AssociationId" not in address


def test_terminated_instance_is_forgotten_after_an_hour(
    account: Account, refused: Callable[..., str]
) -> None:
    """DescribeInstances shows it for about an hour, then its id is unknown."""
    instance_id = account.run()["InstanceId"]
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.wait(minutes=59)
    assert account.describe(instance_id)["State"]["Name"] == "terminated"
    account.wait(minutes=3)
    error = refused(account.ec2.describe_instances, InstanceIds=[instance_id])
    assert error.startswith("InvalidInstanceID.NotFound")


def test_protected_instance_is_not_terminated(
    account: Account, refused: Callable[..., str]
) -> None:
    """OperationNotPermitted, and the instance runs on; instances of other zones are not spared."""
    protected = account.world.launch_instance("m5.large", "us-east-1a", lifecycle="on-demand")
    near = account.world.launch_instance("m5.large", "us-east-1a")
    far = account.world.launch_instance("m5.large", "us-east-1b")
    account.world.protect(protected)
    error = refused(account.ec2.terminate_instances, InstanceIds=[protected, near, far])
    assert error.startswith("OperationNotPermitted")
    states = [account.world.state_of(item) for item in (protected, near, far)]
    assert states == ["running", "running", "shutting-down"]
    account.ec2.modify_instance_attribute(
        InstanceId=protected, DisableApiTermination={"Value": False}
    )
    account.ec2.terminate_instances(InstanceIds=[protected])
    assert account.world.state_of(protected) == "shutting-down"


def test_termination_protection_of_spot_instances_cannot_be_modified(
    account: Account, refused: Callable[..., str]
) -> None:
    """EC2 refuses the attribute for spot instances whatever the value."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    for value in (True, False):
        error = refused(
            account.ec2.modify_instance_attribute,
            InstanceId=instance_id,
            DisableApiTermination={"Value": value},
        )
        assert error.startswith("UnsupportedOperation")
    with pytest.raises(ValueError, match="spot"):
        account.world.protect(instance_id)


def test_one_time_spot_instance_cannot_be_stopped(
    account: Account, refused: Callable[..., str]
) -> None:
    """UnsupportedOperation; an on-demand instance stops and starts again."""
    spot = account.world.launch_instance("m5.large", "us-east-1a")
    error = refused(account.ec2.stop_instances, InstanceIds=[spot])
    assert error.startswith("UnsupportedOperation")
    owned = account.world.launch_instance("m5.large", "us-east-1a", lifecycle="on-demand")
    account.ec2.stop_instances(InstanceIds=[owned])
    assert account.world.state_of(owned) == "stopping"
    account.wait(seconds=60)
    assert account.world.state_of(owned) == "stopped"
    account.ec2.start_instances(InstanceIds=[owned])
    account.wait(seconds=60)
    assert account.world.state_of(owned) == "running"


def test_persistent_request_launches_again_unless_it_is_cancelled_first(account: Account) -> None:
    """Terminating without cancelling opens the request again, and a new instance serves it."""
    cancelled = account.world.launch_instance("m5.large", "us-east-1a", persistent=True)
    request_id = account.describe(cancelled)["SpotInstanceRequestId"]
    account.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    account.ec2.terminate_instances(InstanceIds=[cancelled])
    account.wait(minutes=10)
    assert len(account.world.instances) == 1
    late = account.world.launch_instance("m5.large", "us-east-1a", persistent=True)
    request_id = account.describe(late)["SpotInstanceRequestId"]
    account.ec2.terminate_instances(InstanceIds=[late])
    account.ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request_id])
    account.wait(minutes=10)
    assert len(account.world.instances) == 2
    left = account.world.launch_instance("m5.large", "us-east-1a", persistent=True)
    account.ec2.terminate_instances(InstanceIds=[left])
    account.wait(minutes=10)
    assert len(account.world.instances) == 4
    (request,) = account.ec2.describe_spot_instance_requests(
        Filters=[{"Name": "state", "Values": ["active"]}]
    )["SpotInstanceRequests"]
    ghost = account.describe(request["InstanceId"])
    assert ghost["State"]["Name"] == "running"
    assert request["InstanceId"] not in (cancelled, left)


def test_one_unknown_id_fails_a_whole_termination(
    account: Account, refused: Callable[..., str]
) -> None:
    """InvalidInstanceID.NotFound, and the known instance runs on; a malformed id has its code."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    ids = [instance_id, "i-00000000000000000"]
    error = refused(account.ec2.terminate_instances, InstanceIds=ids)
    assert error.startswith("InvalidInstanceID.NotFound")
    assert account.world.state_of(instance_id) == "running"
    error = refused(account.ec2.terminate_instances, InstanceIds=["banana"])
    assert error.startswith("InvalidInstanceID.Malformed")


def test_events_follow_the_life_in_order_with_times_and_callers(account: Account) -> None:
    """Launched, running, terminating, terminated: each once, at its own time, by its caller."""
    instance_id = account.run()["InstanceId"]
    account.wait(minutes=5)
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.wait(minutes=5)
    kinds = [InstanceLaunched, InstanceRunning, InstanceTerminating, InstanceTerminated]
    assert [type(event) for event in account.events] == kinds
    assert {event.caller for event in account.events} == {"test"}
    times = [event.time for event in account.events]
    assert times == sorted(times)
    assert timedelta(seconds=15) <= times[1] - times[0] <= timedelta(seconds=45)
    assert timedelta(seconds=20) <= times[3] - times[2] <= timedelta(seconds=60)


def test_instance_that_is_terminated_while_pending_never_runs(account: Account) -> None:
    """No running event is published for it."""
    instance_id = account.run()["InstanceId"]
    account.wait(seconds=5)
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.wait(minutes=5)
    assert not any(isinstance(event, InstanceRunning) for event in account.events)


@pytest.mark.parametrize(
    ("key", "lifecycle", "granted", "runs"),
    [
        (CUSTOMER_KEY, "spot", False, False),
        (CUSTOMER_KEY, "spot", True, True),
        (CUSTOMER_KEY, "on-demand", False, True),
        (EBS_KEY, "spot", False, True),
    ],
)
def test_spot_instance_needs_a_grant_for_a_customer_managed_key(
    account: Account, key: str, lifecycle: str, granted: bool, runs: bool
) -> None:
    """EC2 accepts the launch; without the grant the instance ends before it runs, with its reason."""
    if granted:
        account.world.grant_key_to_spot(key)
    disk = {"VolumeSize": 5, "Encrypted": True, "KmsKeyId": key}
    market = {"InstanceMarketOptions": {"MarketType": "spot"}} if lifecycle == "spot" else {}
    launched = account.run(BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": disk}], **market)
    assert launched["State"]["Name"] == "pending"
    account.wait(minutes=5)
    row = account.describe(launched["InstanceId"])
    assert any(isinstance(event, InstanceRunning) for event in account.events) is runs
    if runs:
        assert row["State"]["Name"] == "running"
        return
    assert row["State"]["Name"] == "terminated"
    assert row["StateReason"] == {
        "Code": "Client.InternalError",
        "Message": "Client.InternalError: Client error on launch",
    }
    (request,) = account.ec2.describe_spot_instance_requests()["SpotInstanceRequests"]
    assert request["State"] == "closed"
    assert account.ec2.describe_volumes()["Volumes"] == []


def test_launch_asks_for_the_use_of_customer_managed_keys_only(account: Account) -> None:
    """The policy of aws/ebs lets everybody in the account use it by way of EC2."""

    def actions(key: str) -> set[str]:
        disk = {"VolumeSize": 5, "Encrypted": True, "KmsKeyId": key}
        params = {
            "ImageId": account.image(),
            "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": disk}],
        }
        return {each.action for each in account.world.demands("RunInstances", params)}

    assert "kms:CreateGrant" in actions(CUSTOMER_KEY)
    assert not any(action.startswith("kms:") for action in actions(EBS_KEY))


def test_bill_is_the_integral_of_the_price_over_the_running_time(account: Account) -> None:
    """Checked against a sum over single minutes, across price changes and a termination."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a", age=timedelta(days=2))
    start = account.now - timedelta(days=3)
    account.wait(hours=20)
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    ended = account.now
    account.wait(hours=4)
    pool = account.market.pools[0]
    minutes = (ended - (start + timedelta(days=1))) // timedelta(minutes=1)
    prices = [
        account.market.price_at(pool, start + timedelta(days=1, minutes=m)) for m in range(minutes)
    ]
    expected = sum(price / 60 for price in prices if price is not None)
    assert None not in prices
    assert account.world.bill(instance_id, start, account.now) == pytest.approx(expected, rel=1e-9)
    owned = account.world.launch_instance(
        "m5.large", "us-east-1a", lifecycle="on-demand", age=timedelta(hours=5)
    )
    assert account.world.bill(owned, start, account.now) == pytest.approx(5 * 0.096)


def test_replies_are_copies_that_change_nothing(account: Account) -> None:
    """What a caller does to a reply is not seen by the next one."""
    instance_id = account.run()["InstanceId"]
    account.describe(instance_id)["State"]["Name"] = "spoilt"
    account.ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"][0].clear()
    assert account.describe(instance_id)["State"]["Name"] == "pending"
    (info,) = account.ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"]
    assert info["VCpuInfo"]["DefaultVCpus"] == 2
