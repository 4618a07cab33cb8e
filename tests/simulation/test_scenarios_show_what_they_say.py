"""Every scenario that comes along is run whole, and what its file expects comes true."""

from dataclasses import replace

import pytest

from simulator.expectations import Expectations, ExpectedWorkload, disappointments
from simulator.markets import BUILTIN_REGION, builtin_market
from simulator.scenario_file import PlannedRun, builtin_names, builtin_run
from simulator.simulation import simulate
from simulator.summary import Summary

RUN_ELSEWHERE = ("demo", "faults_are_cured")
"""The demo's day and the faults' cures have a module of their own."""


def run_of(planned: PlannedRun) -> Summary:
    region = planned.region or BUILTIN_REGION
    market = builtin_market(planned.seed, planned.start, planned.hours, region)
    print("seed", planned.seed)
    return simulate(planned.scenario, market, seed=planned.seed)


@pytest.mark.parametrize("name", [n for n in builtin_names() if n not in RUN_ELSEWHERE])
def test_a_scenario_shows_what_it_says(name: str) -> None:
    """The stack acts as the file expects, and every invariant holds."""
    planned = builtin_run(name)
    assert planned.expected != Expectations(), "it expects nothing"
    assert disappointments(planned.expected, run_of(planned)) == []


@pytest.fixture(scope="module")
def calm() -> Summary:
    """A run in which nothing happens."""
    calm_day = builtin_run("calm_day")
    return run_of(replace(calm_day, hours=1))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (ExpectedWorkload(status="gone"), "status is managed, expected gone"),
        (ExpectedWorkload(decisions=frozenset({"SWITCH"})), "decisions are STAY, expected SWITCH"),
        (ExpectedWorkload(done=(1, 2)), "done is 0, expected 1 to 2"),
        (ExpectedWorkload(failed=(1, 1)), "failed is 0, expected 1"),
        (ExpectedWorkload(refused_launches=(3, 3)), "refused_launches is 0, expected 3"),
        (ExpectedWorkload(breaker="open"), "breaker is closed, expected open"),
        (ExpectedWorkload(lifecycle="on-demand"), "lifecycle is spot, expected on-demand"),
        (ExpectedWorkload(type="c5.*"), "type is m5.large, expected c5.*"),
        (ExpectedWorkload(failed_over=(1, 1)), "failed_over is 0, expected 1"),
        (ExpectedWorkload(taken_over=(1, 1)), "taken_over is 0, expected 1"),
        (ExpectedWorkload(signals=frozenset({"DRAIN"})), "signals are none, expected DRAIN"),
        (ExpectedWorkload(downtime_seconds=(1, 9)), "downtime_seconds is 0, expected 1 to 9"),
        (ExpectedWorkload(original="stopped"), "original is running, expected stopped"),
        (ExpectedWorkload(served=True), "served is unknown, expected true"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_expectation_that_did_not_come_true_is_told(
    calm: Summary, wrong: ExpectedWorkload, told: str
) -> None:
    """Each key is looked at, by the workload's name or a pattern."""
    assert disappointments(Expectations(workloads={"shop": wrong}), calm) == [f"shop: {told}"]
    assert f"shop: {told}" in disappointments(Expectations(workloads={"s*": wrong}), calm)


def test_the_stack_is_expected_too(calm: Summary) -> None:
    """Its breaker, apart from those of the workloads."""
    told = disappointments(Expectations(stack_breaker="open"), calm)
    assert told == ["stack_breaker is closed, expected open"]
