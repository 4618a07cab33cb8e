"""EC2 ended the original before its failover: the standing plan has its targets and addresses."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import Stage, open_stage

GONE = timedelta(minutes=4)
"""From the end of the warning's two minutes until EC2 has terminated the instance."""
DRAINED = timedelta(minutes=6)
"""Until a target group no longer shows an instance that ended."""


@contextmanager
def served_stage(
    target_type: str = "instance", has_load_balancer: bool = True
) -> Iterator[tuple[Stage, str, str]]:
    """A workload with a target group, an elastic address and a plan; (stage, instance, group)."""
    with open_stage() as stage:
        group = stage.world.create_target_group(
            "shop", target_type=target_type, has_load_balancer=has_load_balancer
        )
        original = stage.launch(target_group_arn=group, address=True)
        stage.adopt()
        stage.cycle()
        stage.api.clear()
        yield stage, original, group


def ends_without_an_event(stage: Stage, instance_id: str) -> None:
    """No event arrives; when the sweep runs, EC2 and ELB no longer show targets or addresses."""
    stage.stop_rules_of("HandleSignal")
    stage.world.interrupt(instance_id, warned=False)
    stage.account.run_for(GONE + DRAINED)
    assert stage.address_holder() is None


def swept(stage: Stage) -> str:
    """Let the sweep fail over; returns the replacement."""
    (found,) = stage.sweep()
    assert found["action"] == "fail-over"
    assert stage.finish().status == "SUCCEEDED"
    replacement: str = stage.workload()["instance_id"]
    return replacement


def standing(stage: Stage) -> dict[str, Any]:
    """The load balancing in the standing plan."""
    load_balancing: dict[str, Any] = stage.item("PLANS", "web")["traffic"]
    return load_balancing


def test_failover_without_a_warning_keeps_targets_and_address() -> None:
    """The state change is the first event, and the original's address is already free."""
    with served_stage() as (stage, original, group):
        stage.world.interrupt(original, warned=False)
        for _ in range(2):
            stage.account.run_for(timedelta(minutes=2))
            stage.world.advance()
        assert stage.finish().status == "SUCCEEDED"
        replacement = stage.workload()["instance_id"]
        assert replacement != original
        assert stage.targets(group)[replacement] == "healthy"
        assert stage.address_holder() == replacement
        assert set(stage.switches()[-1]["moved"].split('"')) >= {group}


def test_late_failover_keeps_targets_and_address() -> None:
    """The sweep runs when the original is no target of the group any more."""
    with served_stage() as (stage, original, group):
        ends_without_an_event(stage, original)
        assert stage.targets(group) == {}
        replacement = swept(stage)
        assert stage.targets(group) == {replacement: "healthy"}
        assert stage.address_holder() == replacement
        assert stage.sweep() == []


def test_failover_after_ec2_has_forgotten_the_original_keeps_targets_and_address() -> None:
    """The first failover found no capacity; hours later the plan still has them."""
    with served_stage() as (stage, original, group):
        until = stage.account.clock.now() + timedelta(hours=2)
        stage.world.close_capacity(end=until)
        stage.world.interrupt(original)
        stage.finish()
        while stage.workload()["instance_id"] == original:
            stage.account.run_for(timedelta(minutes=10))
            stage.sweep()
            stage.finish()
            assert stage.account.clock.now() < until + timedelta(minutes=70)
        replacement = stage.workload()["instance_id"]
        assert stage.targets(group) == {replacement: "healthy"}
        assert stage.address_holder() == replacement


def test_failover_replaces_the_original_as_a_target_by_address() -> None:
    """ELB keeps the address of an ended instance: it is deregistered, the replacement's is registered."""
    with served_stage("ip") as (stage, original, group):
        (before,) = stage.targets(group)
        ends_without_an_event(stage, original)
        replacement = swept(stage)
        after = stage.describe(replacement)["PrivateIpAddress"]
        states = stage.targets(group)
        assert states[after] == "healthy"
        assert states.get(before) in (None, "draining")


def test_reused_private_address_stays_registered() -> None:
    """EC2 gave the free private address to another instance, which must not be deregistered."""
    with served_stage("ip") as (stage, original, group):
        address = stage.describe(original)["PrivateIpAddress"]
        ends_without_an_event(stage, original)
        stage.world.launch_instance(
            "m5.large",
            ZONES[0],
            NetworkInterfaces=[
                {
                    "DeviceIndex": 0,
                    "PrivateIpAddress": address,
                    "SubnetId": stage.describe(original).get("SubnetId") or _subnet(ZONES[0]),
                }
            ],
        )
        replacement = swept(stage)
        after = stage.describe(replacement)["PrivateIpAddress"]
        assert stage.targets(group) == {address: "healthy", after: "healthy"}


def _subnet(zone: str) -> str:
    rows = boto3.client("ec2").describe_subnets()["Subnets"]
    return next(r["SubnetId"] for r in rows if r["AvailabilityZone"] == zone)


def test_elastic_address_in_use_elsewhere_is_kept_there_and_reported() -> None:
    """Somebody associated it with another instance while the workload was down."""
    with served_stage() as (stage, original, group):
        ends_without_an_event(stage, original)
        stranger = stage.world.launch_instance("m5.large", ZONES[0])
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        boto3.client("ec2").associate_address(
            AllocationId=address["AllocationId"], InstanceId=stranger
        )
        replacement = swept(stage)
        assert stage.address_holder() == stranger
        assert stage.targets(group) == {replacement: "healthy"}
        summary = stage.switches()[-1]["outcome"]["summary"]
        assert (
            f"{address['PublicIp']} ({address['AllocationId']}) is now in use by {stranger}"
            in summary
        )


def test_elastic_address_that_is_taken_meanwhile_is_left_alone() -> None:
    """It was free before: EC2 refuses, and it is taken from nobody."""
    with served_stage() as (stage, original, group):
        ends_without_an_event(stage, original)
        stage.faults.append(
            Fault("AssociateAddress", "Resource.AlreadyAssociated", caller="HandOver", times=1)
        )
        replacement = swept(stage)
        (call, *_) = stage.calls_of("AssociateAddress")
        assert call.params["AllowReassociation"] is False
        assert stage.targets(group) == {replacement: "healthy"}


def test_other_target_of_the_workload_stays_registered() -> None:
    """A user registered it, or another switch is about to deregister it."""
    with served_stage() as (stage, original, group):
        ends_without_an_event(stage, original)
        helper = stage.world.launch_instance(
            "m5.large", ZONES[0], tags={"spot-optimizer:workload": "web"}, target_group_arn=group
        )
        replacement = swept(stage)
        assert set(stage.targets(group)) == {helper, replacement}
        assert stage.address_holder() == replacement


def test_target_and_address_that_a_user_removed_do_not_come_back() -> None:
    """Both were missing for two cycles, so the replacement does not get them."""
    with served_stage() as (stage, original, group):
        boto3.client("elbv2").deregister_targets(
            TargetGroupArn=group, Targets=[{"Id": original, "Port": 80}]
        )
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        boto3.client("ec2").disassociate_address(AssociationId=address["AssociationId"])
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        stage.cycle()
        assert (standing(stage)["registrations"], standing(stage)["allocation_ids"]) == ([], [])
        ends_without_an_event(stage, original)
        replacement = swept(stage)
        assert stage.address_holder() is None
        assert replacement not in stage.targets(group)


def test_address_that_is_missing_once_is_kept_in_the_plan() -> None:
    """A cycle may see an instance run whose address is already free, and must not forget it."""
    with served_stage() as (stage, _, group):
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        boto3.client("ec2").disassociate_address(AssociationId=address["AssociationId"])
        stage.cycle()
        assert standing(stage)["allocation_ids"] == [address["AllocationId"]]
        stage.cycle()
        assert standing(stage)["allocation_ids"] == []
        assert [r["target_group_arn"] for r in standing(stage)["registrations"]] == [group]


def test_new_registration_is_read_within_an_hour() -> None:
    """Target groups are read once an hour, addresses in every cycle."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.cycle()
        group = stage.world.create_target_group("late")
        boto3.client("elbv2").register_targets(
            TargetGroupArn=group, Targets=[{"Id": original, "Port": 8080}]
        )
        allocation = boto3.client("ec2").allocate_address()["AllocationId"]
        boto3.client("ec2").associate_address(AllocationId=allocation, InstanceId=original)
        stage.cycle()
        assert (standing(stage)["registrations"], standing(stage)["allocation_ids"]) == (
            [], [allocation],
        )  # fmt: skip
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        (registration,) = standing(stage)["registrations"]
        assert (registration["target_group_arn"], registration["port"]) == (group, 8080)


def test_quiet_cycle_reads_only_addresses() -> None:
    """One DescribeAddresses; target groups only for new workloads and once an hour; no writes."""
    with served_stage() as (stage, _, _group):
        stage.cycle()
        calls = [c.operation for c in stage.api if c.caller == "Decide"]
        assert calls.count("DescribeAddresses") == 1
        assert not {"DescribeTargetGroups", "DescribeTargetHealth"} & set(calls)
        assert not [c for c in stage.calls_of("PutItem") if c.params["Item"].get("traffic")]


def test_load_balancing_of_a_replacement_is_read_in_the_next_cycle() -> None:
    """After a switch the plan has the replacement's own address, in the same groups."""
    with served_stage("ip") as (stage, original, group):
        stage.force()
        stage.finish()
        replacement = stage.workload()["instance_id"]
        assert replacement != original
        stage.cycle()
        address = stage.describe(replacement)["PrivateIpAddress"]
        load_balancing = standing(stage)
        assert (load_balancing["instance_id"], load_balancing["addresses"][0]) == (
            replacement,
            address,
        )
        stage.cycle()
        assert [r["target_group_arn"] for r in standing(stage)["registrations"]] == [group]
        assert len(standing(stage)["allocation_ids"]) == 1


def test_load_balancing_that_cannot_be_read_stops_no_cycle() -> None:
    """The plan keeps it, and the cycle does everything else."""
    with served_stage() as (stage, _, group):
        stage.account.run_for(timedelta(hours=1))
        stage.faults.append(Fault("DescribeAddresses", "RequestLimitExceeded", caller="Decide"))
        assert stage.cycle()["workloads"] == 1
        assert [r["target_group_arn"] for r in standing(stage)["registrations"]] == [group]


def test_failed_failover_leaves_the_address_free_for_the_next() -> None:
    """The targets never become healthy: the replacement is terminated, the next one has the address."""
    with served_stage() as (stage, original, group):
        stage.world.fail_status_checks(end=stage.account.clock.now() + timedelta(minutes=20))
        ends_without_an_event(stage, original)
        stage.sweep()
        assert stage.finish().error == "NotFailedOver"
        assert not [a for a in stage.calls_of("Publish") if "not be undone" in str(a.params)]
        while stage.workload()["instance_id"] == original:
            stage.account.run_for(timedelta(minutes=10))
            stage.sweep()
            stage.finish()
        replacement = stage.workload()["instance_id"]
        assert stage.address_holder() == replacement
        assert stage.targets(group)[replacement] == "healthy"


def _leftover(stage: Stage) -> str:
    ours = {"managed": "spot-optimizer", "workload": "web", "switch": "web-1", "state": "stateless"}
    instance_id: str = stage.world.launch_instance(
        "m5.large", ZONES[1], tags={f"spot-optimizer:{key}": value for key, value in ours.items()}
    )
    return instance_id


def test_leftover_that_becomes_the_workload_is_handed_what_it_lacks() -> None:
    """No capacity for a failover, but an interrupted switch left an instance: one alert says what it
    lacks, and the sweep has it handed over."""
    with served_stage() as (stage, original, group):
        ends_without_an_event(stage, original)
        leftover = _leftover(stage)
        stage.cycle()
        assert stage.workload()["instance_id"] == leftover
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        (alert,) = [call.params["Message"] for call in stage.calls_of("Publish")]
        assert f"runs on {leftover}, which lacks what {original} had" in alert
        assert f"{group} port 80; Elastic IP address {address['AllocationId']}." in alert
        stage.cycle()
        assert len(stage.calls_of("Publish")) == 1
        assert [each["action"] for each in stage.sweep()] == ["pay"]
        stage.finish()
        assert stage.address_holder() == leftover
        assert leftover in stage.targets(group)
        assert not [item for item in stage.items() if item["pk"] == "DEBTS"]


def test_leftover_does_not_become_the_workload_during_its_failover() -> None:
    """The failover decides what it runs on, and hands targets and addresses over."""
    with served_stage() as (stage, original, group):
        ends_without_an_event(stage, original)
        stage.sweep()
        stage.run_until_entered("WaitUntilRunning")
        _leftover(stage)
        stage.cycle()
        assert stage.workload()["instance_id"] == original
        stage.finish()
        assert stage.targets(group) == {stage.workload()["instance_id"]: "healthy"}


def test_complete_hand_over_sends_no_alert() -> None:
    """The workload has another instance in the next cycle, and nothing is missing."""
    with served_stage() as (stage, _, _group):
        stage.force()
        stage.finish()
        stage.cycle()
        assert not stage.calls_of("Publish")
