"""A replacement goes only where its load balancers serve it, and where a machine like it can be."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
from typer.testing import CliRunner

from cli.main import app
from simulator.call_log import Fault
from simulator.deployed import HOME, REGION, STACK, ZONES
from simulator.stage import TYPES, Stage, open_stage
from spot_optimizer.aws.ledger.keys import plan_key
from spot_optimizer.services.hand_over.actions import TARGET_DEADLINE, UNSERVED_MAX

HERE, SERVED, UNSERVED = ZONES
CHEAPEST_UNSERVED = {(HOME, UNSERVED): 0.01, (HOME, SERVED): 0.02}
"""Both are worth a switch; without its load balancer everybody would go to the third zone."""
WORDS = "its load balancer does not serve this zone"


@contextmanager
def served_stage(
    zones: tuple[str, ...] = (HERE, SERVED), **group: Any
) -> Iterator[tuple[Stage, str, str]]:
    """A workload behind a load balancer with these zones, taken in; (stage, instance, target group)."""
    with open_stage(CHEAPEST_UNSERVED) as stage:
        arn = stage.world.create_target_group("shop", zones=zones, **group)
        original = stage.launch(target_group_arn=arn)
        stage.take_in()
        yield stage, original, arn


def plan(stage: Stage, workload: str = "web") -> dict[str, Any]:
    """The standing plan."""
    return stage.item("PLANS", workload)


def zones_of(texts: list[str]) -> set[str]:
    """Zones of pools ``type/zone/subnet`` or of places ``zone/subnet``."""
    return {text.split("/")[-2] for text in texts}


def candidates(stage: Stage, workload: str = "web") -> set[str]:
    """Zones of the candidates of the workload's newest switch."""
    order = stage.switches(workload)[-1]["order"]
    return {candidate["availability_zone"] for candidate in order["candidates"]}


def zone(stage: Stage, workload: str = "web") -> str:
    """Where the workload runs."""
    found: str = stage.describe(stage.workload(workload)["instance_id"])["Placement"][
        "AvailabilityZone"
    ]
    return found


def rejected(stage: Stage, workload: str = "web") -> dict[str, str]:
    """Pool -> why the last recorded decision rejected it."""
    record = stage.history(workload, "DECISION")[-1]
    return {row["pool"]: row["reason"] for row in record["rejected"]}


def test_a_switch_goes_to_the_cheapest_zone_that_is_served() -> None:
    """The third zone is cheaper still: nothing is launched there, and the record says why."""
    with served_stage() as (stage, _, group):
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        assert candidates(stage) == {SERVED}
        assert (zone(stage), stage.targets(group)[stage.workload()["instance_id"]]) == (
            SERVED,
            "healthy",
        )
        assert WORDS in rejected(stage)[f"{HOME}/{UNSERVED}"]


def test_the_first_decision_knows_the_zones() -> None:
    """A machine is taken in while prices are known: it is moved at once, to where it is served."""
    with served_stage() as (stage, _, group):
        stage.launch("later", target_group_arn=group)
        assert "later" in stage.cycle()["started"]
        stage.finish()
        assert candidates(stage, "later") == {SERVED}


def test_a_rescue_goes_where_it_is_served() -> None:
    """The standing plan names no other zone, neither for spot nor for on-demand."""
    with served_stage() as (stage, original, group):
        stage.command(command="set-mode", workload="web", mode="manual")
        stage.cycle()
        stage.command(command="set-mode", workload="web", mode="auto")
        assert plan(stage)["served_zones"] == [HERE, SERVED]
        assert zones_of(plan(stage)["pools"]) == {HERE, SERVED}
        assert zones_of(plan(stage)["terms"]["on_demand"]) == {HERE, SERVED}
        stage.world.interrupt(original)
        assert stage.finish().status == "SUCCEEDED"
        assert stage.targets(group)[stage.workload()["instance_id"]] == "healthy"


def test_without_a_load_balancer_every_zone_will_do() -> None:
    """A group that nothing sends traffic to restricts nothing."""
    with served_stage(has_load_balancer=False) as (stage, _, _group):
        assert list(stage.cycle()["started"]) == ["web"]
        stage.finish()
        assert zone(stage) == UNSERVED
        assert plan(stage)["served_zones"] == []


def test_its_own_zone_may_be_the_only_one() -> None:
    """A Network Load Balancer may have one zone: a machine in another would never be served."""
    with served_stage((HERE,), protocol="TCP") as (stage, original, _group):
        assert not stage.cycle()["started"]
        assert zones_of(plan(stage)["pools"]) == {HERE}
        stage.world.interrupt(original)
        assert stage.finish().status == "SUCCEEDED"
        assert zone(stage) == HERE


def test_two_load_balancers_leave_the_zones_that_both_serve() -> None:
    """A machine is to be served by all that it is registered with."""
    with served_stage((HERE, SERVED, UNSERVED)) as (stage, original, _group):
        other = stage.world.create_target_group("other", zones=(HERE, UNSERVED))
        boto3.client("elbv2").register_targets(TargetGroupArn=other, Targets=[{"Id": original}])
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        assert plan(stage)["served_zones"] == [HERE, UNSERVED]


def test_a_load_balancer_that_does_not_reach_the_machine_restricts_nothing() -> None:
    """It is registered there in vain already; what serves it counts."""
    with served_stage() as (stage, original, _group):
        other = stage.world.create_target_group("other", zones=(SERVED, UNSERVED))
        boto3.client("elbv2").register_targets(TargetGroupArn=other, Targets=[{"Id": original}])
        assert stage.targets(other) == {original: "unused"}
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        assert len(plan(stage)["traffic"]["registrations"]) == 2
        assert plan(stage)["served_zones"] == [HERE, SERVED]


def test_its_own_zone_stays_whatever_the_plan_says() -> None:
    """A replacement is served there as the machine is, though the memory is of other zones."""
    with served_stage() as (stage, _, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        _remember(stage, "SET served_zones = :zones", {":zones": {"L": [{"S": SERVED}]}})
        stage.cycle()
        assert zones_of(plan(stage)["terms"]["on_demand"]) == {HERE, SERVED}


def _remember(stage: Stage, expression: str, values: Any = None) -> None:
    """Change the plan behind the product's back."""
    boto3.client("dynamodb").update_item(
        TableName=stage.account.outputs["LedgerTable"],
        Key=plan_key("web"),
        UpdateExpression=expression,
        **({"ExpressionAttributeValues": values} if values else {}),
    )


def test_a_person_who_names_an_unserved_zone_is_told() -> None:
    """The forced switch is refused before anything is launched."""
    with served_stage() as (stage, original, _group):
        stage.force(zone=UNSERVED)
        record = stage.history("web", "DECISION")[-1]
        assert f"no subnet to use in {UNSERVED}: {WORDS}" in record["reason"]
        assert stage.alive() == {original}


def test_an_explanation_names_the_zone_and_what_would_help() -> None:
    """On the terminal, beside the zones that it may be launched in."""
    with served_stage() as (stage, _, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        stage.cycle()
        told = CliRunner().invoke(app, ["explain", "web", "--stack", STACK, "--region", REGION])
        assert told.exit_code == 0, told.output
        assert f"not {UNSERVED}: {WORDS}; enable the zone for it" in told.output


def test_a_person_who_has_enabled_the_zone_is_obeyed_at_once() -> None:
    """A forced decision reads the load balancers itself; a cycle does within the hour."""
    with served_stage() as (stage, _, group):
        stage.world.enable_zones(group, *ZONES)
        stage.force(zone=UNSERVED)
        assert stage.finish().status == "SUCCEEDED"
        assert zone(stage) == UNSERVED


def test_a_forced_decision_reads_the_traffic_of_its_own_workload_only() -> None:
    """The others' is for the cycle to read, however little is known of it."""
    with served_stage() as (stage, _, _group):
        stage.launch("other", target_group_arn=stage.world.create_target_group("other"))
        stage.api.clear()
        stage.force(zone=UNSERVED)
        (call,) = stage.calls_of("DescribeLoadBalancers")
        assert len(call.params["LoadBalancerArns"]) == 1


def test_a_zone_that_is_enabled_later_is_noticed_within_the_hour() -> None:
    """Until then the plan keeps to what the last look has found."""
    with served_stage() as (stage, _, group):
        stage.command(command="set-mode", workload="web", mode="manual")
        stage.world.enable_zones(group, *ZONES)
        stage.cycle()
        assert plan(stage)["served_zones"] == [HERE, SERVED]
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        assert plan(stage)["served_zones"] == list(ZONES)
        stage.cycle()
        assert zones_of(plan(stage)["pools"]) == set(ZONES)


def test_a_zone_that_is_disabled_meanwhile_ends_the_switch_early() -> None:
    """The replacement is seen unused for a minute, not until the deadline; the message says what to do,
    and the next cycle knows the zones."""
    with served_stage(ZONES) as (stage, original, group):
        stage.world.enable_zones(group, HERE, SERVED)
        assert list(stage.cycle()["started"]) == ["web"]
        stage.run_until_entered("HandOver")
        began = stage.account.clock.now()
        assert stage.finish().error == "NotSwitched"
        failed = stage.switches()[-1]["outcome"]["summary"]
        assert "does not serve the zone that the replacement is in; enable that zone" in failed
        (out, *_) = stage.calls_of("DeregisterTargets")
        assert (
            UNSERVED_MAX <= out.at - began < UNSERVED_MAX + timedelta(seconds=60) < TARGET_DEADLINE
        )
        assert (stage.alive(), stage.targets(group)[original]) == ({original}, "healthy")
        stage.account.run_for(timedelta(minutes=20))
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        assert candidates(stage) == {SERVED}


def test_load_balancers_are_read_as_seldom_as_target_groups() -> None:
    """Twenty in a call, once for a new machine and once an hour; never in a quiet cycle."""
    with served_stage() as (stage, original, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        arns = [stage.world.create_target_group(f"group-{n}") for n in range(24)]
        for arn in arns:
            boto3.client("elbv2").register_targets(TargetGroupArn=arn, Targets=[{"Id": original}])
        stage.api.clear()
        stage.cycle()
        assert not stage.calls_of("DescribeLoadBalancers", "DescribeTargetGroups")
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        asked = [
            len(call.params["LoadBalancerArns"]) for call in stage.calls_of("DescribeLoadBalancers")
        ]
        assert asked == [20, 5]


def test_a_plan_of_an_older_version_learns_its_zones_in_the_next_cycle() -> None:
    """It has none: before anything is decided they are read; if that fails, before the cycle ends."""
    with served_stage() as (stage, _, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        _remember(stage, "REMOVE served_zones")
        stage.faults.append(Fault("DescribeLoadBalancers", caller="Decide", times=1))
        stage.cycle()
        assert plan(stage)["served_zones"] == [HERE, SERVED]
        stage.command(command="set-mode", workload="web", mode="auto")
        _remember(stage, "REMOVE served_zones")
        assert list(stage.cycle()["started"]) == ["web"]
        stage.finish()
        assert zone(stage) == SERVED


def test_zones_that_cannot_be_read_stop_no_cycle() -> None:
    """They are remembered as they were."""
    with served_stage() as (stage, _, _group):
        stage.faults.append(Fault("DescribeLoadBalancers", "AccessDenied", caller="Decide"))
        stage.account.run_for(timedelta(hours=1))
        assert stage.finish().status == "SUCCEEDED"
        assert len(stage.calls_of("DescribeLoadBalancers")) > 1
        assert (zone(stage), plan(stage)["served_zones"]) == (SERVED, [HERE, SERVED])


def test_a_look_in_between_forgets_nothing() -> None:
    """A forced decision and a cycle within seconds miss the same thing: that is once, not twice."""
    with served_stage() as (stage, original, group):
        stage.command(command="set-mode", workload="web", mode="manual")
        boto3.client("elbv2").deregister_targets(TargetGroupArn=group, Targets=[{"Id": original}])
        stage.account.run_for(timedelta(hours=1))
        stage.force(zone=UNSERVED)
        assert [r["target_group_arn"] for r in plan(stage)["traffic"]["registrations"]] == [group]
        stage.cycle()
        assert plan(stage)["traffic"]["registrations"] == []


def test_a_cycle_that_looks_at_once_misses_a_thing_once() -> None:
    """After a failed switch the traffic is read before the decision, and not again in the same cycle."""
    with served_stage() as (stage, original, group):
        until = stage.account.clock.now() + timedelta(minutes=30)
        stage.world.fail_status_checks(HOME, SERVED, end=until)
        stage.cycle()
        assert stage.finish().error == "NotSwitched"
        boto3.client("elbv2").deregister_targets(TargetGroupArn=group, Targets=[{"Id": original}])
        stage.cycle()
        assert [r["target_group_arn"] for r in plan(stage)["traffic"]["registrations"]] == [group]
        stage.cycle()
        assert plan(stage)["traffic"]["registrations"] == []


def _dual_stack(stage: Stage) -> dict[str, str]:
    """Subnets with IPv6 in two zones, each smaller than the zone's other one: zone -> subnet."""
    return {
        HERE: stage.world.add_subnet(HERE, "172.31.96.0/24", ipv6=True),
        SERVED: stage.world.add_subnet(SERVED, "172.31.97.0/24", ipv6=True),
    }


def test_a_machine_with_ipv6_goes_where_its_subnet_gives_it() -> None:
    """A zone without such a subnet is refused; elsewhere an emptier one without IPv6 is passed over."""
    with open_stage(CHEAPEST_UNSERVED) as stage:
        subnets = _dual_stack(stage)
        interface = {"DeviceIndex": 0, "SubnetId": subnets[HERE], "Ipv6AddressCount": 1}
        stage.launch(NetworkInterfaces=[interface])
        stage.take_in()
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        row = stage.describe(stage.workload()["instance_id"])
        assert row["SubnetId"] == subnets[SERVED]
        assert len(row["NetworkInterfaces"][0]["Ipv6Addresses"]) == 1
        assert "no IPv6 block" in rejected(stage)[f"{HOME}/{UNSERVED}"]
        assert {each.split("/")[1] for each in plan(stage)["terms"]["on_demand"]} == set(
            subnets.values()
        )


def test_an_outposts_subnet_takes_no_replacement() -> None:
    """Where a zone has another one too, that is taken, however full."""
    with open_stage(CHEAPEST_UNSERVED) as stage:
        outposts = {
            stage.world.add_subnet(UNSERVED, "172.31.128.0/18", outpost=True),
            stage.world.add_subnet(HERE, "172.31.96.0/24", outpost=True),
        }
        stage.launch()
        stage.take_in()
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        assert zone(stage) == UNSERVED
        used = {
            p.split("/")[-1] for p in (*plan(stage)["pools"], *plan(stage)["terms"]["on_demand"])
        }
        assert not used & outposts


def test_a_local_zone_takes_no_replacement() -> None:
    """Its name sorts before the Region's own: neither spot nor on-demand capacity is asked for there."""
    with open_stage() as stage:
        stage.world.add_local_zone("us-east-1-bos-1a", "use1-bos1-az1")
        stage.world.add_subnet("us-east-1-bos-1a", "172.31.96.0/24")
        stage.launch()
        stage.take_in()
        stage.cycle()
        assert zones_of(plan(stage)["terms"]["on_demand"]) == set(ZONES)
        assert len(plan(stage)["pools"]) > len(TYPES) / 2
