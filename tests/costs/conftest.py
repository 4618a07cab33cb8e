"""Two small workloads with an hourly cycle, lived through once for all claims."""

from datetime import timedelta
from typing import NamedTuple

import pytest

from simulator.costs.month import Life, Lived
from simulator.markets import builtin_market
from simulator.scenario import Curve, Scenario, WorkloadSpec

SEED = 1
BEGINNING_H = 13
"""Until forecasts of twelve hours ago are scored, each hour does more than the one before."""
PART_DAYS = 0.25


class Lives(NamedTuple):
    """A part of a time, and the time."""

    part: Lived
    whole: Lived


def workload(name: str) -> WorkloadSpec:
    """One that has few types to choose from."""
    return WorkloadSpec(
        name=name,
        instance_type="t3.nano",
        lifecycle="spot",
        cpu_vcpu=Curve.flat(1.0),
        memory_gib=Curve.flat(0.25),
        tags={"state": "stateless"},
    )


@pytest.fixture(scope="session")
def lives() -> Lives:
    """No processor time, which differs from run to run, and nothing interrupted."""
    print(f"seed {SEED}")
    fleet = Scenario(
        "two",
        (workload("a"), workload("b")),
        parameters={"DryRun": "false", "CycleMinutes": "60", "SnapshotAgeMinutesMax": "61"},
    )
    hours = BEGINNING_H + 48 * PART_DAYS
    with Life(
        fleet,
        builtin_market(SEED, None, hours + 1),
        seed=SEED,
        interrupted_per_month=0,
        seconds=lambda: 0.0,
    ) as life:
        life.begin(timedelta(hours=BEGINNING_H))
        return Lives(life.go_on(PART_DAYS), life.go_on(PART_DAYS))


@pytest.fixture(scope="session")
def part(lives: Lives) -> Lived:
    """A quarter of a day."""
    return lives.part


@pytest.fixture(scope="session")
def whole(lives: Lives) -> Lived:
    """Half a day, the first half of which is the part."""
    return lives.whole
