"""Switches whose launches are refused."""

from collections.abc import Callable
from datetime import datetime, timedelta

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import Stage, open_stage
from tests.workflow.faults import step
from tests.workflow.story import Story, record

RANKED = {
    ("m5.large", ZONES[0]): 0.0250,
    ("m5a.large", ZONES[0]): 0.0260,
    ("m5.large", ZONES[1]): 0.0270,
    ("m6i.large", ZONES[2]): 0.0280,
}
"""Prices that make these pools the first candidates of an on-demand instance, in this order."""


def first_two_pools_are_full() -> Story:
    """An on-demand instance returns to spot; the two best pools have no capacity."""

    def fill(stage: Stage) -> None:
        for instance_type in ("m5.large", "m5a.large"):
            stage.world.close_capacity(instance_type, ZONES[0], "spot")

    return _switch_from_on_demand(fill)


def first_zone_has_no_addresses() -> Story:
    """The subnet of the best pool's zone has no free address."""
    return _switch_from_on_demand(
        lambda stage: stage.world.close_capacity(
            availability_zone=ZONES[0],
            lifecycle="spot",
            error="InsufficientFreeAddressesInSubnet",
        )
    )


def _switch_from_on_demand(prepare: Callable[[Stage], object]) -> Story:
    with open_stage(RANKED) as stage:
        original = stage.launch(zone=ZONES[2], lifecycle="on-demand")
        stage.adopt()
        prepare(stage)
        stage.api.clear()
        stage.cycle()
        stage.finish()
        return record(stage, original=original, replacement=stage.workload()["instance_id"])


def spot_requests_are_used_up() -> Story:
    """All spot launches are refused; only the last candidate is on-demand."""
    with open_stage() as stage:
        stage.launch()
        stage.adopt()
        stage.world.close_capacity(lifecycle="spot", error="RequestResourceCountExceeded")
        stage.start(
            stage.order(
                "web",
                ("m5a.large", ZONES[1], "spot"),
                ("m6i.large", ZONES[2], "spot"),
                ("m5.large", ZONES[1], "on-demand"),
            )
        )
        stage.finish()
        return record(stage, replacement=stage.workload()["instance_id"])


def no_capacity_three_times() -> Story:
    """Three switches in a row find no capacity anywhere."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.world.close_capacity(lifecycle="spot")
        waits_minutes = []
        for number in range(3):
            stage.start(
                stage.order(
                    "web",
                    ("m5a.large", ZONES[1], "spot"),
                    ("m6i.large", ZONES[2], "spot"),
                    name=f"try-{number}",
                )
            )
            stage.finish()
            wait = _time(stage.workload()["backoff_until"]) - stage.account.clock.now()
            waits_minutes.append(wait / timedelta(minutes=1))
            stage.account.run_for(timedelta(minutes=1))
        return record(stage, original=original, waits_minutes=waits_minutes)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def refusal_cannot_be_recorded() -> Story:
    """The launch is refused, and the ledger refuses to record it."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.world.close_capacity(lifecycle="spot")
        stage.faults.append(Fault("Invoke", when=step("UpdateLedger", "refuse")))
        stage.force()
        stage.finish()
        return record(stage, original=original)
