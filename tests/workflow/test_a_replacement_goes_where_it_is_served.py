"""A replacement is launched only where its load balancers serve it, and where its subnet suits it."""

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
from spot_optimizer.services.hand_over.targets import TARGET_DEADLINE, UNSERVED_MAX

HERE, SERVED, UNSERVED = ZONES
CHEAPEST_UNSERVED = {(HOME, UNSERVED): 0.01, (HOME, SERVED): 0.02}
"""Both are worth a switch; without its load balancer a workload would be switched to the third zone."""
WORDS = "its load balancer does not serve this zone"


@contextmanager
def served_stage(
    zones: tuple[str, ...] = (HERE, SERVED), **group: Any
) -> Iterator[tuple[Stage, str, str]]:
    """An adopted workload behind a load balancer with these zones; (stage, instance, target group)."""
    with open_stage(CHEAPEST_UNSERVED) as stage:
        arn = stage.world.create_target_group("shop", zones=zones, **group)
        original = stage.launch(target_group_arn=arn)
        stage.adopt()
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
    """The zone that the workload runs in."""
    found: str = stage.describe(stage.workload(workload)["instance_id"])["Placement"][
        "AvailabilityZone"
    ]
    return found


def rejected(stage: Stage, workload: str = "web") -> dict[str, str]:
    """Pool -> why the last recorded decision rejected it."""
    record = stage.history(workload, "DECISION")[-1]
    return {row["pool"]: row["reason"] for row in record["rejected"]}


def test_switch_launches_in_the_cheapest_served_zone() -> None:
    """Nothing is launched in the third zone, which is cheaper, and the record has the reason."""
    with served_stage() as (stage, _, group):
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        assert candidates(stage) == {SERVED}
        assert (zone(stage), stage.targets(group)[stage.workload()["instance_id"]]) == (
            SERVED,
            "healthy",
        )
        assert WORDS in rejected(stage)[f"{HOME}/{UNSERVED}"]


def test_first_decision_has_the_served_zones() -> None:
    """A new workload is switched at once, to a served zone."""
    with served_stage() as (stage, _, group):
        stage.launch("later", target_group_arn=group)
        assert "later" in stage.cycle()["started"]
        stage.finish()
        assert candidates(stage, "later") == {SERVED}


def test_failover_launches_in_a_served_zone() -> None:
    """The standing plan has no other zone, neither for spot nor for on-demand."""
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


def test_group_without_a_load_balancer_restricts_no_zone() -> None:
    """No traffic reaches such a group."""
    with served_stage(has_load_balancer=False) as (stage, _, _group):
        assert list(stage.cycle()["started"]) == ["web"]
        stage.finish()
        assert zone(stage) == UNSERVED
        assert plan(stage)["served_zones"] == []


def test_own_zone_may_be_the_only_one() -> None:
    """A Network Load Balancer may have one zone: a replacement in another would not be served."""
    with served_stage((HERE,), protocol="TCP") as (stage, original, _group):
        assert not stage.cycle()["started"]
        assert zones_of(plan(stage)["pools"]) == {HERE}
        stage.world.interrupt(original)
        assert stage.finish().status == "SUCCEEDED"
        assert zone(stage) == HERE


def test_replacement_needs_a_zone_that_all_load_balancers_serve() -> None:
    """Every load balancer of the original must serve the replacement."""
    with served_stage((HERE, SERVED, UNSERVED)) as (stage, original, _group):
        other = stage.world.create_target_group("other", zones=(HERE, UNSERVED))
        boto3.client("elbv2").register_targets(TargetGroupArn=other, Targets=[{"Id": original}])
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        assert plan(stage)["served_zones"] == [HERE, UNSERVED]


def test_load_balancer_that_does_not_serve_the_original_restricts_no_zone() -> None:
    """The registration is already unused; the load balancers that serve the original count."""
    with served_stage() as (stage, original, _group):
        other = stage.world.create_target_group("other", zones=(SERVED, UNSERVED))
        boto3.client("elbv2").register_targets(TargetGroupArn=other, Targets=[{"Id": original}])
        assert stage.targets(other) == {original: "unused"}
        stage.account.run_for(timedelta(hours=1))
        stage.cycle()
        assert len(plan(stage)["traffic"]["registrations"]) == 2
        assert plan(stage)["served_zones"] == [HERE, SERVED]


def test_own_zone_stays_allowed_whatever_the_plan_has() -> None:
    """A replacement is served there like the original, even if the plan has other zones."""
    with served_stage() as (stage, _, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        _update_plan(stage, "SET served_zones = :zones", {":zones": {"L": [{"S": SERVED}]}})
        stage.cycle()
        assert zones_of(plan(stage)["terms"]["on_demand"]) == {HERE, SERVED}


def _update_plan(stage: Stage, expression: str, values: Any = None) -> None:
    """Change the plan on the ledger directly."""
    boto3.client("dynamodb").update_item(
        TableName=stage.account.outputs["LedgerTable"],
        Key=plan_key("web"),
        UpdateExpression=expression,
        **({"ExpressionAttributeValues": values} if values else {}),
    )


def test_forced_switch_to_an_unserved_zone_is_refused() -> None:
    """Nothing is launched, and the reason names the zone."""
    with served_stage() as (stage, original, _group):
        stage.force(zone=UNSERVED)
        record = stage.history("web", "DECISION")[-1]
        assert f"no subnet to use in {UNSERVED}: {WORDS}" in record["reason"]
        assert stage.alive() == {original}


def test_explanation_names_the_unserved_zone_and_the_cure() -> None:
    """It is printed with the zones that are allowed."""
    with served_stage() as (stage, _, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        stage.cycle()
        result = CliRunner().invoke(app, ["explain", "web", "--stack", STACK, "--region", REGION])
        assert result.exit_code == 0, result.output
        assert f"not {UNSERVED}: {WORDS}; enable the zone for it" in result.output


def test_forced_switch_to_a_newly_enabled_zone_succeeds_at_once() -> None:
    """A forced decision reads the load balancers itself; a cycle does within an hour."""
    with served_stage() as (stage, _, group):
        stage.world.enable_zones(group, *ZONES)
        stage.force(zone=UNSERVED)
        assert stage.finish().status == "SUCCEEDED"
        assert zone(stage) == UNSERVED


def test_forced_decision_reads_only_its_own_load_balancers() -> None:
    """The next cycle reads those of other workloads."""
    with served_stage() as (stage, _, _group):
        stage.launch("other", target_group_arn=stage.world.create_target_group("other"))
        stage.api.clear()
        stage.force(zone=UNSERVED)
        (call,) = stage.calls_of("DescribeLoadBalancers")
        assert len(call.params["LoadBalancerArns"]) == 1


def test_newly_enabled_zone_is_read_within_an_hour() -> None:
    """Until then the plan keeps the zones of the last reading."""
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


def test_zone_that_is_disabled_during_a_switch_undoes_it_early() -> None:
    """The replacement is unused for a minute, not until the deadline; the message has the cure, and the
    next cycle has the new zones."""
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


def test_load_balancers_are_read_as_rarely_as_target_groups() -> None:
    """Twenty per call, once for a new instance and once an hour; never in a quiet cycle."""
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


def test_plan_of_an_older_version_gets_its_zones_in_the_next_cycle() -> None:
    """They are read before the decision; if that fails, before the cycle ends."""
    with served_stage() as (stage, _, _group):
        stage.command(command="set-mode", workload="web", mode="manual")
        _update_plan(stage, "REMOVE served_zones")
        stage.faults.append(Fault("DescribeLoadBalancers", caller="Decide", times=1))
        stage.cycle()
        assert plan(stage)["served_zones"] == [HERE, SERVED]
        stage.command(command="set-mode", workload="web", mode="auto")
        _update_plan(stage, "REMOVE served_zones")
        assert list(stage.cycle()["started"]) == ["web"]
        stage.finish()
        assert zone(stage) == SERVED


def test_zones_that_cannot_be_read_stop_no_cycle() -> None:
    """The plan keeps those of the last reading."""
    with served_stage() as (stage, _, _group):
        stage.faults.append(Fault("DescribeLoadBalancers", "AccessDenied", caller="Decide"))
        stage.account.run_for(timedelta(hours=1))
        assert stage.finish().status == "SUCCEEDED"
        assert len(stage.calls_of("DescribeLoadBalancers")) > 1
        assert (zone(stage), plan(stage)["served_zones"]) == (SERVED, [HERE, SERVED])


def test_forced_decision_between_cycles_forgets_nothing() -> None:
    """A forced decision and a cycle within seconds miss a registration once, not twice."""
    with served_stage() as (stage, original, group):
        stage.command(command="set-mode", workload="web", mode="manual")
        boto3.client("elbv2").deregister_targets(TargetGroupArn=group, Targets=[{"Id": original}])
        stage.account.run_for(timedelta(hours=1))
        stage.force(zone=UNSERVED)
        assert [r["target_group_arn"] for r in plan(stage)["traffic"]["registrations"]] == [group]
        stage.cycle()
        assert plan(stage)["traffic"]["registrations"] == []


def test_cycle_that_reads_at_once_misses_a_registration_once() -> None:
    """After a failed switch it reads load balancing before the decision, and not again afterwards."""
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


def test_instance_with_ipv6_is_launched_in_a_subnet_with_ipv6() -> None:
    """A zone without one is refused; elsewhere an emptier subnet without IPv6 is skipped."""
    with open_stage(CHEAPEST_UNSERVED) as stage:
        subnets = _dual_stack(stage)
        interface = {"DeviceIndex": 0, "SubnetId": subnets[HERE], "Ipv6AddressCount": 1}
        stage.launch(NetworkInterfaces=[interface])
        stage.adopt()
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        row = stage.describe(stage.workload()["instance_id"])
        assert row["SubnetId"] == subnets[SERVED]
        assert len(row["NetworkInterfaces"][0]["Ipv6Addresses"]) == 1
        assert "no IPv6 block" in rejected(stage)[f"{HOME}/{UNSERVED}"]
        assert {each.split("/")[1] for each in plan(stage)["terms"]["on_demand"]} == set(
            subnets.values()
        )


def test_subnet_on_an_outpost_gets_no_replacement() -> None:
    """If a zone has another subnet, that is used, however full."""
    with open_stage(CHEAPEST_UNSERVED) as stage:
        outposts = {
            stage.world.add_subnet(UNSERVED, "172.31.128.0/18", outpost=True),
            stage.world.add_subnet(HERE, "172.31.96.0/24", outpost=True),
        }
        stage.launch()
        stage.adopt()
        assert list(stage.cycle()["started"]) == ["web"]
        assert stage.finish().status == "SUCCEEDED"
        assert zone(stage) == UNSERVED
        used = {
            p.split("/")[-1] for p in (*plan(stage)["pools"], *plan(stage)["terms"]["on_demand"])
        }
        assert not used & outposts


def test_local_zone_gets_no_replacement() -> None:
    """Its name sorts before the Region's zones: neither spot nor on-demand is launched there."""
    with open_stage() as stage:
        stage.world.add_local_zone("us-east-1-bos-1a", "use1-bos1-az1")
        stage.world.add_subnet("us-east-1-bos-1a", "172.31.96.0/24")
        stage.launch()
        stage.adopt()
        stage.cycle()
        assert zones_of(plan(stage)["terms"]["on_demand"]) == set(ZONES)
        assert len(plan(stage)["pools"]) > len(TYPES) / 2
