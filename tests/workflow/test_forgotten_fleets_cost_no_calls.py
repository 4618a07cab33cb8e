"""EC2 deletes the fleets of failovers while their instances run on; the sweep does not read them."""

from collections.abc import Iterator
from unittest import mock

import pytest

from simulator.deployed import REGION
from simulator.stage import SEED, WORKLOADS_MAX, Stage
from spot_optimizer.aws.instances import read_fleet_tokens
from tests.workflow.scenarios_of_failovers import ready_stage

FLEET_TAG = "aws:ec2:fleet-id"
MANY = 16


def _fleets(stage: Stage) -> dict[str, str]:
    """Fleet id by workload, of those that run on a fleet's machine."""
    tags = {i: stage.world.tags_of(i) for i in stage.alive()}
    return {t["spot-optimizer:workload"]: t[FLEET_TAG] for t in tags.values() if FLEET_TAG in t}


@pytest.fixture
def rescued() -> Iterator[Stage]:
    """A stage on which every workload has been rescued by a fleet."""
    print(f"seed {SEED}")
    names = [f"w{number:02}" for number in range(MANY)]
    with ready_stage(*names, StackBreakerWorkloads=WORKLOADS_MAX) as (stage, originals):
        for original in originals.values():
            stage.world.interrupt(original)
        stage.finish()
        assert len(_fleets(stage)) == MANY
        stage.api.clear()
        yield stage


def test_a_sweep_reads_no_fleet_of_a_workloads_own_instance(rescued: Stage) -> None:
    """However many of them EC2 has deleted; nothing is found."""
    for fleet_id in _fleets(rescued).values():
        rescued.world.forget_fleet(fleet_id)
    assert rescued.sweep() == []
    assert rescued.calls_of("DescribeFleets") == []


def test_one_deleted_fleet_does_not_cost_a_call_for_each(rescued: Stage) -> None:
    """It makes the whole call fail; the others are found in a few calls."""
    fleets = _fleets(rescued)
    rescued.world.forget_fleet(fleets["w05"])
    before = _described(rescued)
    with mock.patch.dict("os.environ", AWS_REGION=REGION):
        tokens = read_fleet_tokens(fleets.values())
    assert set(tokens) == set(fleets.values()) - {fleets["w05"]}
    assert all(tokens.values())
    assert _described(rescued) - before <= 2 * 4 + 1  # halves of 16, twice for each


def _described(stage: Stage) -> int:
    calls = stage.account.calls
    return sum(number for call, number in calls.items() if call.operation == "DescribeFleets")
