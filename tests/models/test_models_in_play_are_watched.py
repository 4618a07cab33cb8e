"""What decides stays what was validated, and is told when it turns bad or cannot decide any more."""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from simulator.account.account import FunctionFailed
from spot_optimizer.services.refresh_market import market_forecast
from tests.models.uploads import (
    files_of,
    ledger_of,
    make_live,
    misled,
    priced_stage,
    published,
    told,
    upload,
)


@pytest.fixture(scope="module")
def stage():
    """An account with prices enough; each test puts models of its own in play."""
    with priced_stage() as opened:
        yield opened


@pytest.fixture(autouse=True)
def cold() -> None:
    """Each test begins with a function that has loaded no model."""
    market_forecast._loaded.clear()


def test_a_version_in_play_does_not_change_under_its_name(stage, trained):
    """Other files as the live version are refused; the kept ones go on deciding."""
    make_live(stage, "one", files_of(trained.folder, "one"))
    before = stage.objects("models/kept/")
    upload(stage, "one", files_of(trained.folder, "another"))
    event = told(stage, "Spot Optimizer Model")[-1]
    assert (event["version"], event["status"]) == ("one", "refused")
    assert "live already; upload other files as another version" in event["reason"]
    assert stage.objects("models/kept/") == before


def test_kept_files_that_are_changed_are_not_believed(stage, trained):
    """Somebody overwrites the metadata of the live model: the last price is forecast, and it is said."""
    make_live(stage, "one", files_of(trained.folder, "one"))
    body = files_of(trained.folder, "two")["metadata.json"]
    boto3.client("s3").put_object(
        Bucket=stage.bucket, Key="models/kept/one/metadata.json", Body=body
    )
    stage.refresh()
    stage.account.invoke("Decide", {"trigger": "schedule"})
    said = _evidence(stage)["market_degraded"]
    assert "it has been changed since it was validated" in said


def test_the_last_two_are_kept_and_older_ones_removed(stage, trained):
    """Files that are in no role any more go within a quarter of an hour, and it is told."""
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


def test_no_decision_hides_that_no_model_forecast(stage, trained):
    """Nothing to load: the last price decides, every decision says why, the metric is 1; with a model
    again it is 0 and the decision says so."""
    make_live(stage, "gone", files_of(trained.folder, "gone"))
    for name in ("metadata.json", "boosters.json.gz"):
        boto3.client("s3").delete_object(Bucket=stage.bucket, Key=f"models/kept/gone/{name}")
    stage.refresh()
    stage.account.invoke("Decide", {"trigger": "schedule"})
    assert published(stage, "ForecastDegraded")[-1][1] == 1.0
    said = _evidence(stage)
    assert "no model: last price, instability 0.5 (gone: metadata.json" in said["market_degraded"]
    stage.command(command="activate-model", version="shipped")
    stage.refresh()
    stage.account.run_for(timedelta(seconds=1))
    stage.force()
    assert published(stage, "ForecastDegraded")[-1][1] == 0.0
    assert _evidence(stage)["market_degraded"] == ""


def _evidence(stage) -> dict[str, Any]:
    """Of the newest decision of any kind in the bucket."""
    bodies = stage.objects("decisions/")
    return json.loads(bodies[max(bodies)].splitlines()[-1])["evidence"]


def test_a_share_of_the_workloads_is_decided_by_the_pending_model(stage, trained):
    """An A/B trial: each decision names its forecaster, the drawn workloads are always the same, and
    without a fresh forecast of the pending model the live one decides for all."""
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


def _forecasters(stage) -> dict[str, str]:
    """Workload -> who forecast for its decision in a new cycle."""
    stage.account.run_for(timedelta(minutes=1))
    stage.cycle()
    bodies = stage.objects("decisions/")
    rows = [json.loads(line) for line in bodies[max(bodies)].splitlines()]
    return {row["workload_id"]: row["evidence"]["forecaster"] for row in rows}


def test_the_archive_reaches_back_far_enough_for_a_young_model(stage, trained):
    """A model trained until yesterday still has to learn from, and be compared on, weeks of prices."""
    files = files_of(trained.folder, "young", trained_until="2026-03-01T00:00:00Z")
    make_live(stage, "young", files)
    status = stage.account.invoke("RefreshMarket", {"task": "status"})
    assert status["from"] <= "2026-02-09T00:00:00+00:00"
    old = files_of(trained.folder, "old", trained_until="2026-01-10T00:00:00Z")
    make_live(stage, "old", old)
    status = stage.account.invoke("RefreshMarket", {"task": "status"})
    assert status["from"] == "2026-01-10T00:00:00+00:00"


def test_a_model_that_turns_out_bad_sets_the_metric_and_is_told_once(stage, trained):
    """Its forecasts are scored as they come true: metric, event with reasons; again good after a
    better one decides."""
    make_live(stage, "misled", misled(trained.folder))
    before = len(published(stage, "ForecastWorse"))
    stage.account.run_for(timedelta(hours=20))
    worse = published(stage, "ForecastWorse")[before:]
    values = [value for _, value in worse]
    assert values[0] == 0.0, "too little has come true to judge"
    assert values[-1] == 1.0
    assert values == sorted(values)
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (alarm,) = [a for a in alarms if a.get("MetricName") == "ForecastWorse"]
    assert values[-1] >= alarm["Threshold"]
    assert worse[-1][0] == {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
    (event,) = told(stage, "Spot Optimizer Forecast")
    assert (event["model"], event["degraded"]) == ("misled", True)
    assert any("the last price is better" in reason for reason in event["reasons"])
    assert any("90 % interval held" in reason for reason in event["reasons"])
    assert event["horizons"]["6"]["skill"] < 0
    skills = {d["Horizon"]: value for d, value in published(stage, "ForecastSkill")}
    assert skills["6h"] < 0
    stage.command(command="activate-model", version="shipped")
    stage.account.run_for(timedelta(hours=2))
    assert published(stage, "ForecastWorse")[-1][1] == 0.0
