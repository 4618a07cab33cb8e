"""Interrupted workloads of the demo fail over, and no invariant is violated."""

from datetime import timedelta

from simulator.demo import demo
from simulator.ledger_items import DecisionKind, Phase
from simulator.ledger_view import LedgerView
from simulator.markets import builtin_market
from simulator.simulation import Simulation, silent

SEED = 1


def test_every_interrupted_workload_runs_again() -> None:
    """All spot instances are interrupted at once, during the first switches: the invariants are
    asserted after every event, and every managed workload in mode auto runs on another instance."""
    print(f"seed {SEED}")
    with Simulation(
        demo(), builtin_market(1, None, SEED), seed=SEED, observer=silent()
    ) as simulation:
        simulation.pass_time(timedelta(minutes=17))
        world, ledger = simulation.world, LedgerView(simulation.account)
        managed = {w.workload_id for w in ledger.workloads().values() if w.status == "managed"}
        taken = [
            i
            for i, instance in world.instances.items()
            if instance.lifecycle == "spot" and world.state_of(i) == "running"
        ]
        for instance_id in taken:
            world.interrupt(instance_id)
        simulation.pass_time(timedelta(minutes=30))
        failovers = [s for s in ledger.switches() if s.order.kind is DecisionKind.EVACUATE]
        assert failovers
        assert {s.phase for s in failovers} == {Phase.DONE}
        failed_over = {s.workload_id for s in failovers}
        for workload_id in failed_over & managed:
            item = ledger.workloads()[workload_id]
            assert world.state_of(item.instance_id) == "running"
        simulation.account.run_until_quiet()
        simulation.auditor.check_quiet()
