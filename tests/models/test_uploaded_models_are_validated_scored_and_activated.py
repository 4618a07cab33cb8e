"""An uploaded model is validated, scored beside the live one, activated and rolled back."""

from datetime import timedelta
from typing import Any

import pytest

from simulator.account.account import FunctionFailed
from spot_optimizer.forecast.model_registry import Slot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.services.refresh_market import kept_models
from tests.models.conftest import Trained
from tests.models.uploads import (
    events_of,
    files_of,
    known_version,
    ledger_of,
    make_live,
    priced_stage,
    published,
    upload,
)

HORIZONS = (1, 6, 12, 24)


@pytest.fixture(autouse=True)
def cold() -> None:
    """Each test starts with a function that has loaded no model."""
    kept_models._loaded.clear()


@pytest.fixture(scope="module")
def way(trained: Trained) -> dict[str, Any]:
    """Upload, a day of scoring, activation, rollback: what was visible after each."""
    seen: dict[str, Any] = {}
    with priced_stage() as stage:
        make_live(stage, "small", files_of(trained.folder, "small"))
        stage.refresh()
        upload(stage, "twin", files_of(trained.folder, "twin"))
        seen["uploaded"] = (ledger_of(stage).registry(), ledger_of(stage).version("twin"))
        stage.account.run_for(timedelta(hours=25, minutes=5))
        seen["scores"] = [i for i in stage.items() if i["pk"] == "FORECASTS"]
        seen["skill"] = published(stage, "ForecastSkill")
        seen["coverage"] = published(stage, "ForecastCoverage")
        seen["worse"] = published(stage, "ForecastWorse")
        seen["shown"] = stage.command(command="models")
        seen["lessons"] = stage.object("market/lessons/twin.npz")
        seen["activated"] = stage.command(command="activate-model", version="twin")
        stage.account.run_for(timedelta(hours=1))
        seen["snapshot"] = snapshot_from_bytes(stage.object("market/snapshot.npz"))
        seen["rolled back"] = stage.command(command="roll-back-model")
        stage.account.run_for(timedelta(hours=1))
        seen["snapshot again"] = snapshot_from_bytes(stage.object("market/snapshot.npz"))
        seen["events"] = events_of(stage, "Spot Optimizer Model")
        seen["changes"] = [i for i in stage.items() if i["sk"].startswith("CHANGE#")]
        seen["commands"] = [
            i for i in stage.items() if i["pk"] == "STACK" and i["sk"].startswith("COMMAND#")
        ]
    return seen


def test_good_upload_becomes_pending_by_s3_events_alone(way: dict[str, Any]) -> None:
    """Uploading the files is enough, and the comparison is on the ledger."""
    registry, item = way["uploaded"]
    assert (registry.live.version, registry.pending.version) == ("small", "twin")
    assert (item.state, item.name) == ("accepted", "twin")
    assert item.asked_by == "S3 upload by 123456789012"
    assert item.comparison["overall"] == 1.0
    assert item.comparison["forecasts"] > 1_000
    assert item.comparison["changed"] > 100


def test_every_forecast_is_scored_at_every_horizon_when_it_ends(way: dict[str, Any]) -> None:
    """One item per day, horizon and model: 24, 19, 13 and one hour of 12 pools; the first hour is
    after the model became live."""
    hours = dict.fromkeys(HORIZONS, 0)
    for item in way["scores"]:
        if item["model"] == "small":
            hours[item["horizon_hours"]] += item["forecasts"] / 12
    assert [hours[h] for h in HORIZONS] == [24, 19, 13, 1]
    models = {item["model"]: item["role"] for item in way["scores"]}
    assert models == {"small": "live", "twin": "pending", "last-price": "beside"}


def test_pending_model_is_scored_beside_the_live_one(way: dict[str, Any]) -> None:
    """The same model under another name, with lessons of its own, has the same scores."""
    figures = {}
    for item in way["scores"]:
        own = {
            k: v for k, v in item.items() if k not in ("pk", "sk", "model", "role", "expires_at_s")
        }
        if item["sk"].startswith("2026-03-03#01h"):
            figures[item["model"]] = own
    assert figures["twin"] == figures["small"]
    assert figures["twin"] != figures["last-price"]
    assert {"skill", "coverage", "coverage_of_changes", "change_brier"} <= figures["twin"].keys()


def test_skill_and_coverage_are_metrics_by_horizon_and_nothing_else(way: dict[str, Any]) -> None:
    """Two metrics with four horizons; pools or workloads as dimensions would be expensive."""
    for name in ("skill", "coverage"):
        dimensions = [dimensions for dimensions, _ in way[name]]
        assert {d["Horizon"] for d in dimensions} == {f"{h}h" for h in HORIZONS}
        assert all(d.keys() == {"service", "Horizon"} for d in dimensions)
    assert {dimensions["service"] for dimensions, _ in way["worse"]} == {"spot-optimizer"}


def test_activation_and_rollback_change_the_forecaster_from_the_next_cycle_on(
    way: dict[str, Any],
) -> None:
    """The snapshot names the forecaster; the two models swap roles."""
    assert way["activated"]["live"] == "twin"
    assert way["activated"]["previous"] == "small"
    assert way["snapshot"].forecaster == "twin"
    assert way["rolled back"]["live"] == "small"
    assert way["rolled back"]["previous"] == "twin"
    assert way["snapshot again"].forecaster == "small"
    assert (way["snapshot"].degraded, way["snapshot again"].degraded) == ("", "")


def test_every_change_is_on_the_ledger_and_the_bus_with_who_asked(way: dict[str, Any]) -> None:
    """Upload, activation and rollback, each with its requester; requests as they were sent."""
    wanted = [
        ("twin", "pending", "S3 upload by 123456789012"),
        ("twin", "activated", "ann"),
        ("small", "rolled-back", "ann"),
    ]
    for source in (way["events"], sorted(way["changes"], key=lambda item: item["sk"])):
        assert [(e["version"], e["status"], e["asked_by"]) for e in source] == wanted
    asked = [item["command"] for item in way["commands"]]
    assert sorted(asked) == ["activate-model", "models", "roll-back-model"]


def test_registry_can_be_queried(way: dict[str, Any]) -> None:
    """The registered models, every upload, and the scores of the last week."""
    shown = way["shown"]
    assert (shown["live"], shown["previous"], shown["pending"]) == ("small", None, "twin")
    assert [(u["version"], u["role"]) for u in shown["uploads"]] == [("twin", "pending")]
    assert {row["horizon_hours"] for row in shown["scores"]} == set(HORIZONS)


def test_model_waits_to_be_compared_without_enough_prices(trained: Trained) -> None:
    """It is pending but cannot be activated; with enough prices it is validated again on request."""
    with priced_stage(days=9) as stage:
        upload(stage, "early", files_of(trained.folder, "early"))
        item = known_version(stage, "early")
        assert "it takes 16 days of prices" in item.reason
        before = ledger_of(stage).registry()
        assert before.pending == Slot("early", item.sha256)
        with pytest.raises(FunctionFailed, match="not compared with the live model"):
            stage.command(command="activate-model", version="early")
        assert ledger_of(stage).registry() == before
        answer = stage.command(command="validate-model", version="early")
        assert answer["status"] == "pending"
        assert answer["comparison"] == {}
