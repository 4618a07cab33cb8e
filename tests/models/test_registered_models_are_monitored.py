"""The live model is exactly what was validated, and weak or missing forecasts are reported."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.account.account import FunctionFailed
from simulator.stage import Stage
from spot_optimizer.services.refresh_market import kept_models
from tests.models.conftest import Trained
from tests.models.uploads import (
    events_of,
    files_of,
    ledger_of,
    make_live,
    misled,
    priced_stage,
    published,
    upload,
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An account with enough prices; each test makes models of its own live."""
    with priced_stage() as opened:
        yield opened


@pytest.fixture(autouse=True)
def cold() -> None:
    """Each test starts with a function that has loaded no model."""
    kept_models._loaded.clear()


def test_registered_version_cannot_be_replaced(stage: Stage, trained: Trained) -> None:
    """Different files for the live version are refused; the kept ones stay in use."""
    make_live(stage, "one", files_of(trained.folder, "one"))
    before = stage.objects("models/kept/")
    upload(stage, "one", files_of(trained.folder, "another"))
    event = events_of(stage, "Spot Optimizer Model")[-1]
    assert (event["version"], event["status"]) == ("one", "refused")
    assert "already live; upload other files as another version" in event["reason"]
    assert stage.objects("models/kept/") == before


def test_changed_files_of_a_kept_model_are_not_used(stage: Stage, trained: Trained) -> None:
    """If the live model's metadata is overwritten, the last price is forecast, with the reason."""
    make_live(stage, "one", files_of(trained.folder, "one"))
    body = files_of(trained.folder, "two")["metadata.json"]
    boto3.client("s3").put_object(
        Bucket=stage.bucket, Key="models/kept/one/metadata.json", Body=body
    )
    stage.refresh()
    stage.account.invoke("Decide", {"trigger": "schedule"})
    reason = _evidence(stage)["market_degraded"]
    assert "it was changed after validation" in reason


def test_last_two_models_are_kept_and_older_ones_removed(stage: Stage, trained: Trained) -> None:
    """Files of other models are removed within 15 minutes, and an event reports it."""
    make_live(stage, "one", files_of(trained.folder, "one"))
    for version in ("two", "three"):
        upload(stage, version, files_of(trained.folder, version))
        stage.command(command="activate-model", version=version)
    stage.account.run_for(timedelta(minutes=40))
    stage.account.invoke("RefreshMarket", {"task": "gaps"})
    kept = {key.split("/")[2] for key in stage.objects("models/kept/")}
    assert kept == {"two", "three"}
    assert ledger_of(stage).registry().live.version == "three"
    with pytest.raises(FunctionFailed, match="allowed are 'two', 'shipped'"):
        stage.command(command="activate-model", version="one")


def test_every_decision_reports_that_no_model_forecast(stage: Stage, trained: Trained) -> None:
    """Without a usable model the last price is used, every decision says why, and the metric is 1;
    with a model again it is 0 and the decision names it."""
    make_live(stage, "gone", files_of(trained.folder, "gone"))
    for name in ("metadata.json", "boosters.json.gz"):
        boto3.client("s3").delete_object(Bucket=stage.bucket, Key=f"models/kept/gone/{name}")
    stage.refresh()
    stage.account.invoke("Decide", {"trigger": "schedule"})
    assert published(stage, "ForecastDegraded")[-1][1] == 1.0
    evidence = _evidence(stage)
    assert (
        "no model: last price, instability 0.5 (gone: metadata.json" in evidence["market_degraded"]
    )
    stage.command(command="activate-model", version="shipped")
    stage.refresh()
    stage.account.run_for(timedelta(seconds=1))
    stage.force()
    assert published(stage, "ForecastDegraded")[-1][1] == 0.0
    assert _evidence(stage)["market_degraded"] == ""


def _evidence(stage: Stage) -> dict[str, Any]:
    """Evidence of the newest decision of any kind in the bucket."""
    bodies = stage.objects("decisions/")
    evidence: dict[str, Any] = json.loads(bodies[max(bodies)].splitlines()[-1])["evidence"]
    return evidence


def test_trial_decides_a_share_of_the_workloads_with_the_pending_model(
    stage: Stage, trained: Trained
) -> None:
    """Each decision names its forecaster, the chosen workloads are always the same, and without a
    current forecast of the pending model the live one decides for all."""
    for number in range(6):
        stage.launch(f"web-{number}")
    make_live(stage, "one", files_of(trained.folder, "one"))
    upload(stage, "two", files_of(trained.folder, "two"))
    arms = []
    for share in (0.5, 0.5, 0.8, 0.0):
        stage.command(command="try-model", version="two", share=share)
        arms.append(_forecasters(stage))
    assert set(arms[0].values()) == {"one", "two"}
    assert arms[0] == arms[1]
    first, grown = ({w for w, by in arm.items() if by == "two"} for arm in (arms[0], arms[2]))
    assert first < grown
    assert set(arms[3].values()) == {"one"}
    stage.command(command="try-model", version="two", share=1)
    assert set(_forecasters(stage).values()) == {"two"}
    key = "models/kept/two/metadata.json"
    boto3.client("s3").delete_object(Bucket=stage.bucket, Key=key)
    assert set(_forecasters(stage).values()) == {"one"}
    with pytest.raises(FunctionFailed, match="pending is 'two'"):
        stage.command(command="try-model", version="one", share=0.5)


def _forecasters(stage: Stage) -> dict[str, str]:
    """Workload -> forecaster of its decision in a new cycle."""
    stage.account.run_for(timedelta(minutes=1))
    stage.cycle()
    bodies = stage.objects("decisions/")
    rows = [json.loads(line) for line in bodies[max(bodies)].splitlines()]
    return {row["workload_id"]: row["evidence"]["forecaster"] for row in rows}


def test_archive_reaches_back_far_enough_for_a_new_model(stage: Stage, trained: Trained) -> None:
    """A model trained until yesterday still needs weeks of prices to learn from and to be compared
    on."""
    files = files_of(trained.folder, "young", trained_until="2026-03-01T00:00:00Z")
    make_live(stage, "young", files)
    status = stage.account.invoke("RefreshMarket", {"task": "status"})
    assert status["from"] <= "2026-02-09T00:00:00+00:00"
    old = files_of(trained.folder, "old", trained_until="2026-01-10T00:00:00Z")
    make_live(stage, "old", old)
    status = stage.account.invoke("RefreshMarket", {"task": "status"})
    assert status["from"] == "2026-01-10T00:00:00+00:00"


def test_weak_model_sets_the_metric_and_is_reported_once(stage: Stage, trained: Trained) -> None:
    """Its forecasts are scored as their horizons end: metric, event with reasons; good again after
    a better model is live."""
    make_live(stage, "misled", misled(trained.folder))
    before = len(published(stage, "ForecastWorse"))
    stage.account.run_for(timedelta(hours=20))
    worse = published(stage, "ForecastWorse")[before:]
    values = [value for _, value in worse]
    assert values[0] == 0.0, "too few actual prices are known for a rating"
    assert values[-1] == 1.0
    assert values == sorted(values)
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (alarm,) = [a for a in alarms if a.get("MetricName") == "ForecastWorse"]
    assert values[-1] >= alarm["Threshold"]
    assert worse[-1][0] == {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
    (event,) = events_of(stage, "Spot Optimizer Forecast")
    assert (event["model"], event["degraded"]) == ("misled", True)
    assert any("the last price is better" in reason for reason in event["reasons"])
    assert any("90 % interval contained" in reason for reason in event["reasons"])
    assert event["horizons"]["6"]["skill"] < 0
    skills = {d["Horizon"]: value for d, value in published(stage, "ForecastSkill")}
    assert skills["6h"] < 0
    stage.command(command="activate-model", version="shipped")
    stage.account.run_for(timedelta(hours=2))
    assert published(stage, "ForecastWorse")[-1][1] == 0.0
