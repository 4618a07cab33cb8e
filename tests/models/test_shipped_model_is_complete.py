"""The bundled model loads, is small and describes itself."""

import numpy as np

from models.artifact_files import read_model, read_simple_rules
from models.model_card import MODEL_CARD
from models.training import SIMPLE_RULES
from spot_optimizer.forecast.model_artifact import (
    BOOSTERS,
    CALIBRATION,
    METADATA,
    SHIPPED,
)
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES, booster_names
from spot_optimizer.market.prices import PriceChanges
from tests.models.small_markets import DAY_S, HOUR_S, START_S, small_market

SIZE_MAX_MB = 5


def test_shipped_model_is_text_and_numbers_and_small() -> None:
    """LightGBM's text, JSON and a table; reading them runs no code; below 5 MB."""
    files = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert set(files) == {METADATA, BOOSTERS, CALIBRATION, SIMPLE_RULES, MODEL_CARD}
    assert sum(files.values()) < SIZE_MAX_MB * 2**20


def test_shipped_model_loads_with_every_booster_and_threshold() -> None:
    """Checksums match, and its features are those of this version."""
    model = read_model(SHIPPED)
    assert set(model.boosters) == set(booster_names())
    assert set(model.metadata.thresholds) == {
        *(f"change_{hours}h" for hours in HORIZONS_H),
        *(f"rise_{round(100 * rise)}" for rise in RISES),
    }
    assert read_simple_rules(SHIPPED).cadence.shape == (len(HORIZONS_H), 21, 8)
    card = (SHIPPED / MODEL_CARD).read_text(encoding="utf-8")
    assert card.startswith(f"# {model.metadata.name}\n")


def test_shipped_model_is_less_sure_of_tomorrow_than_of_the_next_hour() -> None:
    """In a market that changes every five to seven hours the band of a day is wider."""
    model = read_model(SHIPPED)
    changes = PriceChanges().merge(small_market(17), {})[0]
    forecaster = ModelForecaster(model, model.calibration, {})
    bands = []
    for hours in (1, 24):
        forecast = forecaster.forecast(changes, START_S + 16 * DAY_S, hours * HOUR_S)
        bands.append(forecast.p95 - forecast.p05)
    assert np.median(bands[1]) > np.median(bands[0])
    assert np.median(bands[1]) >= 0.0002
