"""EC2 deletes failovers' fleets while their instances keep running; the sweep does not read them."""

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
    """Fleet id by workload, of those that run on an EC2 Fleet's instance."""
    tags = {i: stage.world.tags_of(i) for i in stage.alive()}
    return {t["spot-optimizer:workload"]: t[FLEET_TAG] for t in tags.values() if FLEET_TAG in t}


@pytest.fixture
def failed_over() -> Iterator[Stage]:
    """A stage on which every workload has failed over to an EC2 Fleet's instance."""
    print(f"seed {SEED}")
    names = [f"w{number:02}" for number in range(MANY)]
    with ready_stage(*names, StackBreakerWorkloads=WORKLOADS_MAX) as (stage, originals):
        for original in originals.values():
            stage.world.interrupt(original)
        stage.finish()
        assert len(_fleets(stage)) == MANY
        stage.api.clear()
        yield stage


def test_a_sweep_reads_no_fleet_of_a_workloads_own_instance(failed_over: Stage) -> None:
    """However many of them EC2 has deleted; nothing is found."""
    for fleet_id in _fleets(failed_over).values():
        failed_over.world.forget_fleet(fleet_id)
    assert failed_over.sweep() == []
    assert failed_over.calls_of("DescribeFleets") == []


def test_one_deleted_fleet_does_not_cost_a_call_for_each(failed_over: Stage) -> None:
    """It makes the whole call fail; the others are found in a few calls."""
    fleets = _fleets(failed_over)
    failed_over.world.forget_fleet(fleets["w05"])
    before = _described(failed_over)
    with mock.patch.dict("os.environ", AWS_REGION=REGION):
        tokens = read_fleet_tokens(fleets.values())
    assert set(tokens) == set(fleets.values()) - {fleets["w05"]}
    assert all(tokens.values())
    assert _described(failed_over) - before <= 2 * 4 + 1  # halves of 16, twice for each


def _described(stage: Stage) -> int:
    calls = stage.account.calls
    return sum(number for call, number in calls.items() if call.operation == "DescribeFleets")
