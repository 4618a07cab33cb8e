"""refresh_market forecasts with the live model if it can; if not, the snapshot says why."""

import hashlib
from datetime import timedelta

import boto3
import numpy as np
import pytest

from simulator.deployed import START, ZONES
from simulator.market.history import Pool, PriceHistory
from simulator.stage import TYPES, Stage, open_stage
from spot_optimizer.aws.ledger.models import ModelLedger
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.forecast.daily_lessons import Lessons
from spot_optimizer.forecast.model_registry import Registry, Slot
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.services.refresh_market import kept_models
from tests.models.conftest import Trained

POOLS = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]


@pytest.fixture(autouse=True)
def cold() -> None:
    """Each test starts with a function that has loaded no model."""
    kept_models._loaded.clear()


def moving_market(days: int) -> PriceHistory:
    """Each pool changes every six hours at its own time, up and down, for this many days."""
    first = int((START - timedelta(days=days)).timestamp())
    times = np.arange(first, first + (days + 2) * 86_400, 6 * 3600) + 3 * 3600
    index = np.repeat(np.arange(len(POOLS)), len(times))
    prices = np.tile(0.03 + 0.0001 * np.abs((np.arange(len(times)) % 10) - 5), len(POOLS))
    return PriceHistory.from_rows(POOLS, index, np.tile(times, len(POOLS)) + 1500 * index, prices)


def put_live(stage: Stage, trained: Trained, damaged: str = "") -> None:
    """Make the trained model live; ``damaged`` names a file to truncate."""
    bodies = {path.name: path.read_bytes() for path in trained.folder.iterdir()}
    if damaged:
        bodies[damaged] = bodies[damaged][:-9]
    for name, body in bodies.items():
        boto3.client("s3").put_object(
            Bucket=stage.bucket, Key=f"models/kept/small/{name}", Body=body
        )
    sha256 = hashlib.sha256(bodies["metadata.json"]).hexdigest()
    ledger = ModelLedger(Ledger(stage.account.outputs["LedgerTable"]))
    ledger.change(lambda _: Registry(live=Slot("small", sha256)))


def refreshed(stage: Stage) -> MarketSnapshot:
    """The snapshot that a cycle would read after one collection."""
    stage.launch()
    stage.account.invoke("Decide", {"trigger": "schedule"})
    assert stage.refresh()["pools"] > 0
    stage.account.invoke("RefreshMarket", {"task": "fill"})
    stage.refresh()
    return snapshot_from_bytes(stage.object("market/snapshot.npz"))


def test_live_model_forecasts_and_learns_once_a_day_with_enough_history(trained: Trained) -> None:
    """Name, band and instability are the model's; the lesson is stored and not repeated."""
    with open_stage(market=moving_market(18)) as stage:
        put_live(stage, trained)
        snapshot = refreshed(stage)
        assert (snapshot.forecaster, snapshot.degraded) == ("small", "")
        assert (snapshot.forecast_p05 <= snapshot.forecast_p50).all()
        assert (snapshot.forecast_p50 <= snapshot.forecast_p95).all()
        assert (snapshot.forecast_p05 < snapshot.forecast_p95).any()
        assert not (snapshot.instability == 0.5).any()
        lessons = Lessons.from_bytes(stage.object("market/lessons/small.npz"))
        assert lessons.learned_until_s == int(START.timestamp())
        assert lessons.model == trained.model.metadata.checksum
        stage.api.clear()
        stage.account.run_for(timedelta(minutes=30))
        stage.refresh()
        written = [call.params["Key"] for call in stage.calls_of("PutObject")]
        assert "market/lessons/small.npz" not in written


def test_last_price_is_forecast_with_too_little_history_and_the_reason(trained: Trained) -> None:
    """A model that has not learned from this market is not used; the decision says why."""
    with open_stage(market=moving_market(9)) as stage:
        put_live(stage, trained)
        snapshot = refreshed(stage)
        assert snapshot.forecaster == "last-price"
        assert "small has not learned from this market yet: it needs 16 days" in snapshot.degraded
        np.testing.assert_array_equal(snapshot.forecast_p50, snapshot.price)
        assert (snapshot.instability == 0.5).all()


@pytest.mark.parametrize("damaged", ["metadata.json", "boosters.json.gz"])
def test_model_that_does_not_load_stops_no_price(trained: Trained, damaged: str) -> None:
    """Prices are collected, the fallback forecasts, the damaged file is named."""
    with open_stage(market=moving_market(18)) as stage:
        put_live(stage, trained, damaged)
        snapshot = refreshed(stage)
        assert snapshot.forecaster == "last-price"
        assert damaged in snapshot.degraded
        assert np.isfinite(snapshot.price).all()


def test_model_without_lessons_is_stale_after_three_days(trained: Trained) -> None:
    """Its lessons are old and the history has become too short: the last price is forecast again."""
    with open_stage(market=moving_market(9)) as stage:
        put_live(stage, trained)
        four_days_ago = int((START - timedelta(days=4)).timestamp())
        lessons = Lessons(trained.model.metadata.checksum, four_days_ago, trained.model.calibration)
        boto3.client("s3").put_object(
            Bucket=stage.bucket, Key="market/lessons/small.npz", Body=lessons.to_bytes()
        )
        assert "small is stale: it last learned from this market 4.0 days ago" in (
            refreshed(stage).degraded
        )
