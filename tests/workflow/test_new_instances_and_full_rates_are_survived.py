"""EC2 shows new resources late, throttles and lacks capacity: the product retries as AWS recommends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from simulator.account import Call
from simulator.deployed import ZONES
from simulator.limit_table import changed
from simulator.stage import Stage, open_stage
from tests.workflow.faults import lost, step

LAUNCH = Call("ec2", "RunInstances", "lambda", "LaunchReplacement")
CANDIDATES = [(instance_type, ZONES[0], "spot") for instance_type in ("m5a.large", "m6i.large")]


@contextmanager
def ready(**limits: object) -> Iterator[Stage]:
    """A stage with one workload that has had its launch template for a minute."""
    with open_stage(limits=changed(limits)) as stage:
        stage.launch()
        stage.adopt()
        stage.cycle()
        stage.account.run_for(timedelta(minutes=1))
        yield stage


def test_missing_capacity_costs_one_request_a_pool() -> None:
    """It is a server error, for which the SDK would ask again; that would empty EC2's bucket of five."""
    with ready() as stage:
        stage.world.close_capacity(lifecycle="spot")
        stage.start(stage.order("web", *CANDIDATES))
        execution = stage.finish()
        (switch,) = stage.switches()
        assert execution.error == "NotSwitched"
        assert [r["code"] for r in switch["refusals"]] == ["InsufficientInstanceCapacity"] * 2
        assert stage.account.calls[LAUNCH] == 2


def test_a_throttled_launch_waits_in_the_state_machine() -> None:
    """No candidate is skipped for it, and the first one is launched once there is a token."""
    with ready(api_ec2_run_instances=[1, 0.1]) as stage:
        for workload in ("a", "b", "c"):
            stage.launch(workload)
        stage.account.invoke("Decide", {"trigger": "schedule"})
        stage.account.run_for(timedelta(minutes=1))
        for workload in ("a", "b", "c"):
            stage.start(stage.order(workload, *CANDIDATES))
        stage.finish()
        for workload in ("a", "b", "c"):
            (switch,) = stage.switches(workload)
            assert (switch["phase"], switch.get("refusals", [])) == ("DONE", [])
        assert stage.account.calls[LAUNCH] > 3


def test_a_template_that_is_not_seen_yet_is_waited_for() -> None:
    """A workload adopted and switched within one cycle is launched; no refusal is recorded."""
    with open_stage(limits=changed({"visible_template_s": [6, 7]})) as stage:
        stage.launch()
        stage.adopt()
        stage.start(stage.order("web", *CANDIDATES))
        assert stage.finish().status == "SUCCEEDED"
        assert stage.switches()[0].get("refusals", []) == []


@pytest.mark.parametrize("hidden", ["visible_by_id_s", "visible_in_lists_s", "visible_tags_s"])
def test_a_replacement_that_is_not_seen_yet_is_not_taken_for_dead(hidden: str) -> None:
    """Later than its status checks pass: it is waited for and taken, and swept by nobody."""
    with ready(**{hidden: [280, 290]}) as stage:
        stage.start(stage.order("web", *CANDIDATES))
        during = []
        for _ in range(6):
            stage.account.run_for(timedelta(seconds=50))
            during += stage.sweep()
        assert stage.finish().status == "SUCCEEDED"
        assert during == []
        (switch,) = stage.switches()
        assert switch["phase"] == "DONE"
        assert stage.alive() == {switch["replacement_id"]}


def test_a_lost_launch_that_is_not_listed_yet_is_swept_later(
    lose_launch: Callable[[Stage], str],
) -> None:
    """The undo finds no instance to terminate; the sweep does, once EC2 shows it with its tags."""
    with ready(visible_tags_s=[250, 260], visible_in_lists_s=[250, 260]) as stage:
        orphan = lose_launch(stage)
        assert stage.world.state_of(orphan) in ("pending", "running")
        for _ in range(3):
            stage.account.run_for(timedelta(minutes=5))
            stage.sweep()
        stage.account.run_for(timedelta(minutes=5))
        assert stage.world.state_of(orphan) == "terminated"
        assert stage.alive() == {stage.workload()["instance_id"]}


@pytest.fixture
def lose_launch() -> Callable[[Stage], str]:
    """Start a switch whose launch never answers, let it give up; the instance that it launched."""

    def lose(stage: Stage) -> str:
        before = stage.alive()
        fault = lost("Invoke", step("LaunchReplacement"))
        fault.code = "AccessDeniedException"
        stage.faults.append(fault)
        stage.start(stage.order("web", *CANDIDATES))
        stage.finish()
        stage.faults.clear()
        (orphan,) = stage.alive() - before
        return orphan

    return lose
