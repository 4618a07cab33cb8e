"""Which forecast the snapshot is made with: the model's, or the fallback and why."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from spot_optimizer.aws.archive import Archive
from spot_optimizer.forecast.artifact import (
    METADATA,
    SHIPPED,
    Metadata,
    Model,
    UnusableModel,
    load_model,
    parse_metadata,
)
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.forecaster import Forecaster, unknown_instability
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.recalibration import DAY_S, HISTORY_S, Lessons, is_long_enough
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.services.market_prices import Market
from spot_optimizer.stored import DamagedState
from spot_optimizer.telemetry import logger, metrics

LESSONS = "market/lessons.npz"
LIVE_MODEL = "models/live/"
"""Begins the keys of the files of the model that forecasts (forecast/artifact.py)."""

STALE_AFTER_DAYS = 3.0
"""A model that has not learned from its market for so long is not believed."""

_loaded: dict[bytes, Model] = {}
"""Metadata -> model, for as long as the execution environment lives."""


@dataclass(frozen=True)
class MarketForecast:
    """What ``build_snapshot`` wants to know of the forecast."""

    forecaster: Forecaster
    instability: Floats
    degraded: str


def forecast_market(market: Market, changes: PriceChanges) -> MarketForecast:
    """The model's forecast for the pools of ``changes``, after the daily lesson; the last price when
    there is no such model.

    The model looks back further than the prices at hand reach: the archive has the rest.

    No trouble with a model keeps prices from being refreshed: why it was not used is on every
    decision (``degraded``) and counted (``ForecastDegraded``, 1 or 0).
    """
    try:
        forecaster = _forecaster(market, changes)
        found = MarketForecast(forecaster, forecaster.instability(changes, market.now_s), "")
    except UnusableModel as error:
        logger.warning("forecasting with the last price", reason=str(error))
        found = MarketForecast(
            LastPrice(),
            unknown_instability(changes),
            f"no model: last price, instability 0.5 ({error})",
        )
    metrics.add_metric("ForecastDegraded", "Count", 1 if found.degraded else 0)
    return found


def trained_until(store: Archive) -> datetime | None:
    """The last moment of which the model in use knew anything, None without a model."""
    body = _reader(store)(METADATA)
    try:
        return parse_metadata(body).trained_until if body is not None else None
    except UnusableModel:
        return None


def _forecaster(market: Market, changes: PriceChanges) -> ModelForecaster:
    """Raises UnusableModel. What needs no booster is looked at first: loading them takes a second."""
    read = _reader(market.store)
    body = read(METADATA)
    if body is None:
        raise UnusableModel("none is live and none was shipped")
    metadata = parse_metadata(body)
    lessons = _lessons(market.store, metadata)
    history = _history(market, changes)
    _check(metadata, lessons, history, market.now_s)
    model = _loaded.get(body) or load_model(read, load_booster)
    _loaded.clear()
    _loaded[body] = model
    continued = (lessons or Lessons.none(model)).continued(
        model, history, market.on_demand_usd_per_hour, market.now_s
    )
    if continued is not lessons:
        market.store.write(LESSONS, continued.to_bytes())
    return ModelForecaster(
        model, continued.calibration, market.on_demand_usd_per_hour, history
    )


def _history(market: Market, changes: PriceChanges) -> PriceChanges:
    """Of the types of ``changes``: what archive and prices at hand say of the days to look back."""
    span = (market.now_s - DAY_S - HISTORY_S, market.now_s + 1)
    types = {pool.instance_type for pool in changes.pools}
    return market.prices.read("reported", span).changes.restrict(types)


def _reader(store: Archive) -> Callable[[str], bytes | None]:
    """Reads the files of the live model, or of the shipped one where none is live."""
    live = store.read(f"{LIVE_MODEL}{METADATA}")

    def read_live(name: str) -> bytes | None:
        return live if name == METADATA else store.read(f"{LIVE_MODEL}{name}")

    def read_shipped(name: str) -> bytes | None:
        path = SHIPPED / name
        return path.read_bytes() if path.is_file() else None

    return read_shipped if live is None else read_live


def _lessons(store: Archive, metadata: Metadata) -> Lessons | None:
    """What this model has learned here, None where it has not."""
    body = store.read(LESSONS)
    if body is None:
        return None
    try:
        lessons = Lessons.from_bytes(body)
    except DamagedState as error:
        logger.warning("lessons of the model lost, it begins anew", reason=str(error))
        return None
    return lessons if lessons.model == metadata.checksum else None


def _check(
    metadata: Metadata, lessons: Lessons | None, changes: PriceChanges, now_s: int
) -> None:
    """Raises UnusableModel where the model knows too little of the market of now."""
    if is_long_enough(changes, now_s):
        return  # the lesson of the last day is there, or comes now
    if lessons is None:
        raise UnusableModel(
            f"{metadata.name} has not learned from this market yet: it needs "
            f"{HISTORY_S // DAY_S} days of prices"
        )
    age_days = lessons.age_days(now_s)
    if age_days > STALE_AFTER_DAYS:
        raise UnusableModel(
            f"{metadata.name} is stale: it last learned from this market {age_days:.1f} days "
            f"ago, allowed are {STALE_AFTER_DAYS:g}"
        )
