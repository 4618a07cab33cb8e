"""Every bundled scenario runs to its end, and the expectations of its file come true."""

import pytest

from simulator.expectations import Expectations, ExpectedWorkload, disappointments
from simulator.markets import BUILTIN_REGION, builtin_market
from simulator.scenario_file import builtin_names, builtin_run
from simulator.scenario_schema import PlannedRun
from simulator.simulation import simulate
from simulator.summary import Summary

RUN_ELSEWHERE = ("demo", "faults_are_cured")
"""The demo and the faults' cures have their own modules."""


def run_of(planned: PlannedRun) -> Summary:
    region = planned.region or BUILTIN_REGION
    market = builtin_market(planned.seed, planned.start, planned.hours, region)
    print("seed", planned.seed)
    return simulate(planned.scenario, market, seed=planned.seed)


@pytest.mark.parametrize("name", [n for n in builtin_names() if n not in RUN_ELSEWHERE])
def test_scenario_meets_its_expectations(name: str) -> None:
    """The stack acts as the file expects, and every invariant holds."""
    planned = builtin_run(name)
    assert planned.expected != Expectations(), "it has no expectations"
    assert disappointments(planned.expected, run_of(planned)) == []


@pytest.fixture(scope="module")
def calm() -> Summary:
    """A run in which nothing happens."""
    calm_day = builtin_run("calm_day")
    return run_of(calm_day.model_copy(update={"hours": 1}))


@pytest.mark.parametrize(
    ("wrong", "line"),
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
def test_unfulfilled_expectation_is_reported(
    calm: Summary, wrong: ExpectedWorkload, line: str
) -> None:
    """Each key is checked, by the workload's name or by a pattern."""
    assert disappointments(Expectations(workloads={"shop": wrong}), calm) == [f"shop: {line}"]
    assert f"shop: {line}" in disappointments(Expectations(workloads={"s*": wrong}), calm)


def test_expectation_about_the_stack_breaker_is_checked(calm: Summary) -> None:
    """The stack's breaker is separate from those of the workloads."""
    lines = disappointments(Expectations(stack_breaker="open"), calm)
    assert lines == ["stack_breaker is closed, expected open"]
