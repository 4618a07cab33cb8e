"""EC2 has ended the original before its rescue: the standing plan knows where its traffic was."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import Stage, open_stage

GONE = timedelta(minutes=4)
"""From the end of the warning's two minutes until EC2 has ended the instance."""
DRAINED = timedelta(minutes=6)
"""Until a target group shows nothing more of a machine that ended."""


@contextmanager
def served_stage(
    target_type: str = "instance", has_load_balancer: bool = True
) -> Iterator[tuple[Stage, str, str]]:
    """A workload with a target group and an elastic address, and its plan; (stage, instance, group)."""
    with open_stage() as stage:
        group = stage.world.create_target_group(
            "shop", target_type=target_type, has_load_balancer=has_load_balancer
        )
        original = stage.launch(target_group_arn=group, address=True)
        stage.take_in()
        stage.cycle()
        stage.api.clear()
        yield stage, original, group


def dies_unheard(stage: Stage, instance_id: str) -> None:
    """No event comes; when the sweep looks, neither EC2 nor ELB shows the original's traffic."""
    stage.stop_rules_of("HandleSignal")
    stage.world.interrupt(instance_id, warned=False)
    stage.account.run_for(GONE + DRAINED)
    assert stage.address_holder() is None


def swept(stage: Stage) -> str:
    """Let the sweep rescue; the replacement."""
    (found,) = stage.sweep()
    assert found["action"] == "rescue"
    assert stage.finish().status == "SUCCEEDED"
    replacement: str = stage.workload()["instance_id"]
    return replacement


def standing(stage: Stage) -> dict[str, Any]:
    """What the plan remembers."""
    traffic: dict[str, Any] = stage.item("PLANS", "web")["traffic"]
    return traffic


def test_an_end_without_a_warning_keeps_targets_and_address() -> None:
    """The change of state is the first that is heard; the original's address is free already."""
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


def test_a_late_rescue_keeps_targets_and_address() -> None:
    """The sweep comes when nothing is left of the original in its target group."""
    with served_stage() as (stage, original, group):
        dies_unheard(stage, original)
        assert stage.targets(group) == {}
        replacement = swept(stage)
        assert stage.targets(group) == {replacement: "healthy"}
        assert stage.address_holder() == replacement
        assert stage.sweep() == []


def test_a_rescue_after_ec2_has_forgotten_the_original_keeps_targets_and_address() -> None:
    """The first rescue found no capacity; hours later the plan still knows."""
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


def test_targets_by_address_are_taken_over_and_the_dead_one_leaves() -> None:
    """ELB keeps an address whose machine has ended: the replacement's comes, the dead one goes."""
    with served_stage("ip") as (stage, original, group):
        (before,) = stage.targets(group)
        dies_unheard(stage, original)
        replacement = swept(stage)
        after = stage.describe(replacement)["PrivateIpAddress"]
        states = stage.targets(group)
        assert states[after] == "healthy"
        assert states.get(before) in (None, "draining")


def test_an_address_that_another_machine_got_since_stays_in_its_target_group() -> None:
    """EC2 gives a free private address to the next machine, which is not to be taken out."""
    with served_stage("ip") as (stage, original, group):
        address = stage.describe(original)["PrivateIpAddress"]
        dies_unheard(stage, original)
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


def test_an_address_that_went_elsewhere_is_left_alone_and_said() -> None:
    """Somebody put it to another use while the workload was down."""
    with served_stage() as (stage, original, group):
        dies_unheard(stage, original)
        stranger = stage.world.launch_instance("m5.large", ZONES[0])
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        boto3.client("ec2").associate_address(
            AllocationId=address["AllocationId"], InstanceId=stranger
        )
        replacement = swept(stage)
        assert stage.address_holder() == stranger
        assert stage.targets(group) == {replacement: "healthy"}
        summary = stage.switches()[-1]["outcome"]["summary"]
        assert f"{address['PublicIp']} ({address['AllocationId']}) is with {stranger}" in summary


def test_a_race_for_a_free_address_is_lost_politely() -> None:
    """It was free a moment ago: EC2 refuses, and nothing is taken from anybody."""
    with served_stage() as (stage, original, group):
        dies_unheard(stage, original)
        stage.faults.append(
            Fault("AssociateAddress", "Resource.AlreadyAssociated", caller="HandOver", times=1)
        )
        replacement = swept(stage)
        (call, *_) = stage.calls_of("AssociateAddress")
        assert call.params["AllowReassociation"] is False
        assert stage.targets(group) == {replacement: "healthy"}


def test_a_group_in_which_the_workload_has_another_machine_is_shared_with_it() -> None:
    """A user has put one there by hand, or another switch is about to take it out."""
    with served_stage() as (stage, original, group):
        dies_unheard(stage, original)
        helper = stage.world.launch_instance(
            "m5.large", ZONES[0], tags={"spot-optimizer:workload": "web"}, target_group_arn=group
        )
        replacement = swept(stage)
        assert set(stage.targets(group)) == {helper, replacement}
        assert stage.address_holder() == replacement


def test_what_a_user_took_away_does_not_come_back() -> None:
    """Out of the group and without its address for two cycles: so is the replacement."""
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
        dies_unheard(stage, original)
        replacement = swept(stage)
        assert stage.address_holder() is None
        assert replacement not in stage.targets(group)


def test_what_is_missed_once_is_kept() -> None:
    """A cycle that sees a machine run, its address free already, must not forget it."""
    with served_stage() as (stage, _, group):
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        boto3.client("ec2").disassociate_address(AssociationId=address["AssociationId"])
        stage.cycle()
        assert standing(stage)["allocation_ids"] == [address["AllocationId"]]
        stage.cycle()
        assert standing(stage)["allocation_ids"] == []
        assert [r["target_group_arn"] for r in standing(stage)["registrations"]] == [group]


def test_a_user_who_registers_later_is_noticed_within_the_hour() -> None:
    """New target groups are read once an hour, a new address in the next cycle."""
    with open_stage() as stage:
        original = stage.launch()
        stage.take_in()
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


def test_a_quiet_cycle_asks_for_addresses_only() -> None:
    """One DescribeAddresses; target groups only for what is new and once an hour; nothing written."""
    with served_stage() as (stage, _, _group):
        stage.cycle()
        calls = [c.operation for c in stage.api if c.caller == "Decide"]
        assert calls.count("DescribeAddresses") == 1
        assert not {"DescribeTargetGroups", "DescribeTargetHealth"} & set(calls)
        assert not [c for c in stage.calls_of("PutItem") if c.params["Item"].get("traffic")]


def test_a_switched_machine_is_read_in_the_next_cycle() -> None:
    """After a switch the plan names the replacement's own address, in the same groups."""
    with served_stage("ip") as (stage, original, group):
        stage.force()
        stage.finish()
        replacement = stage.workload()["instance_id"]
        assert replacement != original
        stage.cycle()
        address = stage.describe(replacement)["PrivateIpAddress"]
        traffic = standing(stage)
        assert (traffic["instance_id"], traffic["addresses"][0]) == (replacement, address)
        stage.cycle()
        assert [r["target_group_arn"] for r in standing(stage)["registrations"]] == [group]
        assert len(standing(stage)["allocation_ids"]) == 1


def test_traffic_that_cannot_be_read_stops_no_cycle() -> None:
    """It is remembered as it was, and the cycle does all else."""
    with served_stage() as (stage, _, group):
        stage.account.run_for(timedelta(hours=1))
        stage.faults.append(Fault("DescribeAddresses", "RequestLimitExceeded", caller="Decide"))
        assert stage.cycle()["workloads"] == 1
        assert [r["target_group_arn"] for r in standing(stage)["registrations"]] == [group]


def test_a_failed_rescue_of_a_dead_original_leaves_the_address_free_for_the_next() -> None:
    """The targets never turn healthy: the replacement ends, the sweep's next try has the address."""
    with served_stage() as (stage, original, group):
        stage.world.fail_status_checks(end=stage.account.clock.now() + timedelta(minutes=20))
        dies_unheard(stage, original)
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


def _left_over(stage: Stage) -> str:
    ours = {"managed": "spot-optimizer", "workload": "web", "switch": "web-1", "state": "stateless"}
    instance_id: str = stage.world.launch_instance(
        "m5.large", ZONES[1], tags={f"spot-optimizer:{key}": value for key, value in ours.items()}
    )
    return instance_id


def test_a_left_over_that_becomes_the_workload_without_its_traffic_is_told() -> None:
    """No capacity for a rescue, but a machine that a stopped switch had launched: once it is said what
    does not reach it."""
    with served_stage() as (stage, original, group):
        dies_unheard(stage, original)
        left_over = _left_over(stage)
        stage.cycle()
        assert stage.workload()["instance_id"] == left_over
        (address,) = boto3.client("ec2").describe_addresses()["Addresses"]
        (alert,) = [call.params["Message"] for call in stage.calls_of("Publish")]
        assert alert.startswith(f"{left_over}, launched by a switch that broke off")
        assert f"{group} port 80; elastic address {address['AllocationId']}." in alert
        stage.cycle()
        assert len(stage.calls_of("Publish")) == 1


def test_a_left_over_does_not_become_the_workload_while_it_is_rescued() -> None:
    """The rescue decides what it runs on, and hands the traffic over."""
    with served_stage() as (stage, original, group):
        dies_unheard(stage, original)
        stage.sweep()
        stage.run_until_entered("WaitUntilRunning")
        _left_over(stage)
        stage.cycle()
        assert stage.workload()["instance_id"] == original
        stage.finish()
        assert stage.targets(group) == {stage.workload()["instance_id"]: "healthy"}


def test_a_switch_that_hands_all_over_is_not_told_as_a_loss() -> None:
    """The machine is another one in the next cycle, and nothing is missing."""
    with served_stage() as (stage, _, _group):
        stage.force()
        stage.finish()
        stage.cycle()
        assert not stage.calls_of("Publish")
