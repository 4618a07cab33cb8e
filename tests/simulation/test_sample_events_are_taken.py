"""Every sample event is accepted by its function; invalid requests are refused with a reason."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from simulator.account import EmbeddedAccount
from simulator.account.account import FunctionFailed
from simulator.demo import demo
from simulator.markets import builtin_market
from simulator.simulation import Simulation, silent
from spot_optimizer.aws.ledger.models import ModelItem, ModelLedger
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.forecast.model_registry import Registry, Slot

EVENTS = sorted((Path(__file__).parents[2] / "events").glob("*/*.json"))


@pytest.fixture(scope="module")
def account() -> Iterator[EmbeddedAccount]:
    """The account that `invoke` sets up, shared because every event leaves it usable."""
    with Simulation(demo(), builtin_market(1, None, 1), seed=1, observer=silent()) as simulation:
        simulation.pass_time(timedelta(minutes=18))
        _upload_prices(simulation.account)
        yield simulation.account


def _upload_prices(account: EmbeddedAccount) -> None:
    """The file that the import of the samples names."""
    now = account.clock.now() - timedelta(days=1)
    rows = f"Timestamp,InstanceType,AvailabilityZone,SpotPrice\n{now},m5.large,us-east-1a,0.04\n"
    bucket = account.outputs["DataBucket"]
    boto3.client("s3").put_object(Bucket=bucket, Key="import/prices.csv", Body=rows)


def _put_models_in_play(account: EmbeddedAccount) -> None:
    """The versions that the samples name: one that decided before, one that waits."""
    bucket = account.outputs["DataBucket"]
    key = "models/uploads/2026-11/metadata.json"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")
    models = ModelLedger(Ledger(account.outputs["LedgerTable"]))
    for version in ("2026-11", "2026-12"):
        models.note_version(
            ModelItem(
                version=version,
                state="accepted",
                since=account.clock.now(),
                asked_by="me",
                comparison={"overall": 1.0},
            )
        )
    in_play = Registry(previous=Slot("2026-11"), pending=Slot("2026-12"))
    models.change(lambda _: in_play)


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_sample_event_is_accepted(account: EmbeddedAccount, event: Path) -> None:
    """The function that its folder names answers without an error."""
    _put_models_in_play(account)
    function = "".join(part.capitalize() for part in event.parent.name.split("_"))
    assert account.invoke(function, json.loads(event.read_text()))


def test_every_sample_event_is_documented() -> None:
    """The table beside the files names each."""
    table = (EVENTS[0].parents[1] / "README.md").read_text()
    assert [e for e in EVENTS if f"`{e.parent.name}/{e.name}`" not in table] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"command": "decide", "workload": "nobody", "asked_by": "me"}, "web-shop"),
        ({"command": "decide", "workload": "search"}, "asked_by"),
        ({"command": "dance", "asked_by": "me"}, "set-threshold"),
        (
            {
                "command": "set-threshold",
                "name": "cooldown_minutes",
                "value": -1,
                "asked_by": "me",
            },
            "0 to 1440",
        ),
        (
            {"command": "set-threshold", "name": "color", "value": 1, "asked_by": "me"},
            "cooldown_minutes",
        ),
        (
            {
                "command": "decide",
                "workload": "search",
                "instance_type": "c5.xlarge",
                "availability_zone": "use1-az1",
                "asked_by": "me",
            },
            "use1-az1",
        ),
    ],
    ids=["workload", "who", "command", "range", "name", "zone id"],
)
def test_invalid_request_is_refused_with_a_reason(
    account: EmbeddedAccount, body: dict[str, object], said: str
) -> None:
    """The error names the field or value and what is allowed, and the ledger is as it was."""
    before = account.table_items("Ledger")
    with pytest.raises(FunctionFailed) as failure:
        account.invoke("Command", body)
    assert failure.value.error_type == "InvalidRequest"
    assert said in str(failure.value.message)
    assert account.table_items("Ledger") == before
