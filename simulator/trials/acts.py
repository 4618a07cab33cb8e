"""What trials prepare, what happens in them, and what some of them expect in the end."""

from collections.abc import Callable
from datetime import timedelta

from simulator.deployed import START, TYPES, ZONES, client
from simulator.ledger_items import Phase
from simulator.market.history import Pool, PriceHistory
from simulator.trials.ground import Ground, TrialFailed
from simulator.trials.instances import on_its_way, stranger, with_everything


def one_workload(ground: Ground) -> None:
    with_everything(ground)
    stranger(ground)
    ground.adopt()


def on_demand_workload(ground: Ground) -> None:
    with_everything(ground, lifecycle="on-demand")
    stranger(ground)
    ground.adopt()
    ground.world.close_capacity("c6i.xlarge", "*", "spot")
    for zone in ZONES[:2]:
        ground.world.close_capacity("*", zone, "spot")


def unhealthy_replacement(ground: Ground) -> None:
    one_workload(ground)
    ground.world.fail_status_checks("m5a.large")


def unhealthy_without_targets(ground: Ground) -> None:
    """Only the status checks show that the replacement is unhealthy."""
    ground.launch("web")
    stranger(ground)
    ground.adopt()
    ground.world.fail_status_checks("m5a.large")


def original_stays(ground: Ground) -> None:
    with_everything(ground, auto_terminate="false")
    stranger(ground)
    ground.adopt()


def persistent(ground: Ground) -> None:
    ground.launch("web", persistent=True)
    stranger(ground)
    ground.adopt()


def fall_back(ground: Ground) -> None:
    """The fallback needs two cycles that agree."""
    ground.account.run_until(START + timedelta(minutes=30))
    ground.cycle()
    ground.account.run_for(timedelta(minutes=5))
    ground.cycle()


def with_failover_plan(ground: Ground) -> None:
    """A cycle on known prices stores the failover plan."""
    one_workload(ground)
    ground.cycle()


def without_spot_capacity(ground: Ground) -> None:
    with_failover_plan(ground)
    ground.world.close_capacity("*", "*", "spot")


def persistent_with_plan(ground: Ground) -> None:
    persistent(ground)
    ground.cycle()


def interrupted(ground: Ground) -> None:
    ground.interrupt("web")


def stopped(ground: Ground) -> None:
    ground.interrupt("web", "stop")


def interrupted_and_stopped(ground: Ground) -> None:
    """A person stops the instance in the two minutes between the warning and its end."""
    instance_id = ground.ledger.workloads()["web"].instance_id
    ground.interrupt("web")
    ground.account.run_for(timedelta(seconds=5))
    client("ec2").stop_instances(InstanceIds=[instance_id])


def interrupted_in(state: str) -> Callable[[Ground], None]:
    def act(ground: Ground) -> None:
        ground.force()
        ground.run_until_entered(state)
        ground.interrupt("web")

    return act


def overtaken(ground: Ground) -> None:
    """A switch is so slow that its claim expires; a second switch is ordered meanwhile."""
    ground.force()
    ground.run_until_entered("WaitForTargets")
    ground.expire_claim("web")
    ground.force(instance_type="m6i.large", zone=ZONES[2])


def claimed_and_dead(ground: Ground) -> None:
    """No sweep runs, and the execution that holds the claim stops: another starts once it expires."""
    ground.schedule("Sweep", enabled=False)
    ground.force()
    ground.run_until_entered("WaitForBoot")
    ground.stop_executions()
    ground.account.run_for(timedelta(hours=3, minutes=1))
    ground.force(instance_type="m6i.large", zone=ZONES[2])
    ground.account.run_for(timedelta(minutes=15))
    ground.schedule("Sweep", enabled=True)
    ground.injector.wrong_until(ground.now)


def switched(ground: Ground) -> None:
    last = ground.ledger.switches()[-1]
    if last.phase is not Phase.DONE:
        raise TrialFailed(f"{last.switch_id} is {last.phase}")


def refused_before(ground: Ground) -> None:
    """A fault may end the switch before it has tried a full pool, or the decision before the switch."""
    if not ground.injector.met and not ground.ledger.switches()[-1].refusals:
        raise TrialFailed("the switch met no pool without capacity")


def failing_repeatedly(ground: Ground) -> None:
    """Three failed switches open the breaker; a fourth is ordered even so."""
    for zone in (*ZONES, ZONES[0]):
        ground.force(zone=zone)
        ground.account.run_for(timedelta(minutes=15))


def interrupted_and_unhealthy(ground: Ground) -> None:
    """For half an hour no new instance becomes healthy; cycles run meanwhile."""
    until = ground.now + timedelta(minutes=30)
    ground.world.fail_status_checks("*", "*", ground.now, until)
    ground.injector.wrong_until(until)
    ground.interrupt("web")
    for _ in range(6):
        ground.account.run_for(timedelta(minutes=5))
        ground.cycle()


def interrupted_without_alerts(ground: Ground) -> None:
    ground.injector.deny("FailOver", "sns", "Publish")
    ground.interrupt("web")


def full_pools(ground: Ground) -> None:
    one_workload(ground)
    ground.world.close_capacity("m5a.large", "*", "spot")


def _stop_for_a_moment(ground: Ground) -> None:
    """Retries of what has begun find everything stopped."""
    ground.account.run_for(timedelta(milliseconds=1))
    ground.ask(command="stop")
    ground.account.run_for(timedelta(seconds=10))
    ground.ask(command="resume")
    ground.injector.wrong_until(ground.now)


def switch_stopped(ground: Ground) -> None:
    ground.force()
    _stop_for_a_moment(ground)


def failover_stopped(ground: Ground) -> None:
    ground.interrupt("web")
    _stop_for_a_moment(ground)


def interrupted_and_full_after_commit(ground: Ground) -> None:
    """The failover fails at once; a cycle runs while the original still drains."""
    ground.force()
    ground.run_until_entered("ReleaseOriginal")
    until = ground.now + timedelta(minutes=6)
    ground.world.close_capacity("*", "*", "*", ground.now, until)
    ground.injector.wrong_until(until)
    ground.interrupt("web")
    ground.account.run_for(timedelta(minutes=3))
    ground.cycle()


def stopped_and_ended_after_commit(ground: Ground) -> None:
    """A person stops the execution and terminates the new instance of the workload."""
    ground.force()
    ground.run_until_entered("ReleaseOriginal")
    ground.stop_executions()
    ground.world.terminate_instance(ground.ledger.workloads()["web"].instance_id)
    ground.given_up.add("web")
    ground.injector.wrong_until(ground.now)


def stopped_and_redriven(ground: Ground) -> None:
    """A person stops the execution and terminates the original; the replacement is adopted, and only then
    the execution is redriven."""
    ground.force()
    ground.run_until_entered("WaitForBoot")
    ground.stop_executions()
    ground.account.run_for(timedelta(minutes=1))
    ground.world.terminate_instance(ground.ledger.workloads()["web"].instance_id)
    ground.given_up.add("web")
    _adopted_and_redriven(ground)


def failover_stopped_and_redriven(ground: Ground) -> None:
    """The same for a failover; in manual mode no other failover follows it."""
    ground.interrupt("web")
    ground.account.run_for(timedelta(milliseconds=1))
    ground.run_until_entered("WaitUntilRunning")
    ground.stop_executions()
    ground.ask(command="set-mode", workload="web", mode="manual")
    ground.given_up.add("web")
    _adopted_and_redriven(ground)


def _adopted_and_redriven(ground: Ground) -> None:
    ground.account.run_for(timedelta(minutes=25))
    ground.cycle()
    ground.redrive_executions()
    ground.injector.wrong_until(ground.now)


def runs_where_the_ledger_has_it(ground: Ground) -> None:
    recorded_on = ground.ledger.workloads()["web"].instance_id
    if ground.running("web") != [recorded_on]:
        raise TrialFailed(f"web is recorded on {recorded_on}, running are {ground.running('web')}")


def interrupted_and_full(ground: Ground) -> None:
    until = ground.now + timedelta(minutes=10)
    ground.world.close_capacity("*", "*", "*", ground.now, until)
    ground.injector.wrong_until(until)
    interrupted_and_manual(ground)


def interrupted_and_manual(ground: Ground) -> None:
    """In manual mode nothing is retried."""
    ground.interrupt("web")
    ground.account.run_for(timedelta(milliseconds=1))
    ground.ask(command="set-mode", workload="web", mode="manual")
    ground.given_up.add("web")


def interrupted_and_ended(ground: Ground) -> None:
    ground.interrupt("web")
    ground.account.run_for(timedelta(seconds=5))
    for instance_id in on_its_way(ground, "web"):
        ground.world.terminate_instance(instance_id)


def interrupted_in_boot_and_ended(ground: Ground) -> None:
    """The failover adopts the replacement of a planned switch, and it ends before it runs."""
    interrupted_in("WaitForBoot")(ground)
    for instance_id in on_its_way(ground, "web"):
        ground.world.terminate_instance(instance_id)


def interrupted_and_ended_at_commit(ground: Ground) -> None:
    """A person terminates the replacement when the failover is about to commit."""
    ground.interrupt("web")
    ground.account.run_for(timedelta(seconds=5))
    ground.run_until_entered("CommitFailOver")
    replacement_id = ground.ledger.switches()[-1].replacement_id
    assert replacement_id is not None
    ground.ended.add(replacement_id)
    ground.world.terminate_instance(replacement_id)


def expensive_everywhere(market: PriceHistory) -> PriceHistory:
    pools = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
    begin = START + timedelta(minutes=20)
    return market.with_price_surge(pools, begin, begin + timedelta(days=2), 4.5)


def alerts_are_denied(ground: Ground) -> None:
    """No alert can be sent."""
    ground.injector.deny("SwitchInstance", "sns", "Publish")


def force_without_alerts(ground: Ground) -> None:
    alerts_are_denied(ground)
    ground.force()
