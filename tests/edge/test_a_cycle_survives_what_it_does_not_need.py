"""A damaged item or a failing service does not prevent the decisions about other workloads."""

from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from simulator.call_log import Fault
from simulator.stage import SEED, Stage, open_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A deployed product with one on-demand workload that would save on spot."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        opened.launch("web", lifecycle="on-demand")
        opened.adopt()
        yield opened


def test_a_failing_event_bus_stops_no_switch(stage: Stage) -> None:
    """The decision is on the ledger; only the event is missing, and the log says so."""
    stage.faults.append(Fault("PutEvents", caller="Decide"))
    assert list(stage.cycle()["started"]) == ["web"]
    assert stage.faults[0].met


def test_usage_that_cannot_be_read_stops_no_switch(stage: Stage) -> None:
    """Without CloudWatch, decisions use the usage that is known."""
    stage.launch("new", lifecycle="on-demand")
    fault = Fault("GetMetricData", code="InternalServiceError", caller="Decide")
    stage.faults.append(fault)
    assert set(stage.cycle()["started"]) == {"new", "web"}
    assert fault.met


def test_instances_that_cannot_be_read_stop_no_switch() -> None:
    """The next cycle reads again whether volumes have changed."""
    with open_stage() as stage:
        stage.launch("web", lifecycle="on-demand")
        still = stage.launch("still", tags={"spot-optimizer:mode": "manual"})
        stage.adopt()
        stage.world.modify_volume(still, "/dev/xvda", Size=30)
        fault = Fault("DescribeVolumes", code="InternalError", caller="Decide")
        stage.faults.append(fault)
        stage.account.run_for(timedelta(hours=1))
        assert fault.met
        assert stage.switches("web")
        stage.faults.clear()
        stage.cycle()
        assert stage.item("PLANS", "still")["launch_template"]["version"] == 2


def test_a_damaged_workload_item_stops_no_other_and_is_repaired(stage: Stage) -> None:
    """The workload of an item that was deleted and written incompletely is adopted again."""
    stage.launch("other", lifecycle="on-demand")
    stage.cycle()
    table = boto3.resource("dynamodb").Table(stage.account.outputs["LedgerTable"])
    table.put_item(Item={"pk": "WORKLOADS", "sk": "other", "status": "managed"})
    summary = stage.cycle()
    assert summary["workloads"] == 2
    assert stage.workload("other")["home_type"] == "m5.large"


def test_inputs_that_cannot_be_kept_stop_no_cycle(stage: Stage) -> None:
    """The inputs of a cycle and the copies of the market are kept for explanations only."""
    for caller in ("Decide", "RefreshMarket"):
        stage.faults.append(
            Fault(
                "PutObject",
                code="InternalError",
                caller=caller,
                when=lambda params: params["Key"].startswith("inputs/"),
            )
        )
    assert list(stage.cycle()["started"]) == ["web"]
    assert all(fault.met for fault in stage.faults)
    assert stage.item("PLANS", "web")["pools"]
