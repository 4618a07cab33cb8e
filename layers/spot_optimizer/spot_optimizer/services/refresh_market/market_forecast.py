"""Which forecast the snapshot is made with: the model's, or the fallback and why."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from spot_optimizer.aws.data_bucket import (
    KEPT_MODELS,
    LESSONS,
    DataBucket,
)
from spot_optimizer.codec import DamagedState
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.daily_lessons import HISTORY_S, Lessons, is_long_enough
from spot_optimizer.forecast.forecaster import Forecaster, unknown_instability
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.model_artifact import (
    METADATA,
    SHIPPED,
    Metadata,
    Model,
    UnusableModel,
    load_model,
    parse_metadata,
)
from spot_optimizer.forecast.model_comparison import REHEARSAL_S
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.model_registry import (
    SHIPPED_VERSION,
    Registry,
    Slot,
)
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DAY_S

STALE_AFTER_DAYS = 3.0
"""A model that has not learned from its market for so long is not believed."""

_LOADED_MAX = 3
_loaded: dict[bytes, Model] = {}
"""Metadata -> model, for as long as the execution environment lives."""


@dataclass(frozen=True)
class MarketForecast:
    """What ``build_snapshot`` wants to know of the forecast."""

    forecaster: Forecaster
    instability: Floats
    degraded: str
    version: str
    """Of the model; ``last-price`` where none forecasts."""


@dataclass(frozen=True)
class Past:
    """The prices at hand, and what the archive has beside them: models look back further than the
    snapshot does. Read once, when it is first asked for."""

    market: Market
    changes: PriceChanges

    @cached_property
    def history(self) -> PriceChanges:
        """Of the types of ``changes``: the days that a lesson and its features look back."""
        span = (self.market.now_s - DAY_S - HISTORY_S, self.market.now_s + 1)
        types = {pool.instance_type for pool in self.changes.pools}
        return self.market.prices.read("reported", span).changes.restrict(types)


def forecast_market(past: Past, live: Slot) -> MarketForecast:
    """The live model's forecast, after the daily lesson; the last price when there is no such model.

    No trouble with a model keeps prices from being refreshed: why it was not used is on every
    decision (``degraded``) and counted (``ForecastDegraded``, 1 or 0).
    """
    changes = past.changes
    try:
        forecaster = model_forecaster(past, live)
        instability = forecaster.instability(changes, past.market.now_s)
        found = MarketForecast(forecaster, instability, "", live.version)
    except UnusableModel as error:
        logger.warning("forecasting with the last price", model=live.version, reason=str(error))
        found = MarketForecast(
            LastPrice(),
            unknown_instability(changes),
            f"no model: last price, instability 0.5 ({error})",
            LastPrice.name,
        )
    metrics.add_metric("ForecastDegraded", "Count", 1 if found.degraded else 0)
    return found


def trial_forecast(past: Past, registry: Registry) -> MarketForecast | None:
    """The pending model's forecast where it decides for some workloads; None where it does not, or
    cannot: then the live one decides for all."""
    slot = registry.pending
    if slot is None or not registry.trial_share:
        return None
    try:
        forecaster = model_forecaster(past, slot)
        instability = forecaster.instability(past.changes, past.market.now_s)
    except UnusableModel as error:
        logger.warning("no trial", model=slot.version, reason=str(error))
        return None
    return MarketForecast(forecaster, instability, "", slot.version)


def forecasters_to_score(
    past: Past, forecast: MarketForecast, registry: Registry
) -> dict[str, Forecaster]:
    """Who is scored, by version: what decides, the pending model beside it, and the last price."""
    found: dict[str, Forecaster] = {forecast.version: forecast.forecaster}
    if registry.pending is not None:
        try:
            beside = model_forecaster(past, registry.pending)
            beside.instability(past.changes, past.market.now_s)  # a model may load and yet fail
            found[registry.pending.version] = beside
        except UnusableModel as error:
            logger.warning(
                "the pending model is not scored",
                model=registry.pending.version,
                reason=str(error),
            )
    found.setdefault(LastPrice.name, LastPrice())
    return found


def history_since(store: DataBucket, registry: Registry, now: datetime) -> datetime | None:
    """How far back the archive should reach: to the last moment of which the live model knew
    anything, and at least as far as models are compared over. None, as far as AWS answers, without
    a model."""
    try:
        metadata = _metadata(model_reader(store, registry.live))
    except UnusableModel:
        return None
    return min(metadata.trained_until, now - timedelta(seconds=REHEARSAL_S + DAY_S))


def model_forecaster(past: Past, slot: Slot) -> ModelForecaster:
    """A kept model with what it has learned here, after today's lesson. Raises UnusableModel.

    What needs no booster is looked at first: loading them takes a second.
    """
    market = past.market
    read = model_reader(market.store, slot)
    metadata = _metadata(read)
    lessons = _lessons(market.store, slot, metadata)
    _check(metadata, lessons, past.history, market.now_s)
    model = kept_model(market.store, slot)
    continued = (lessons or Lessons.none(model)).continued(
        model, past.history, market.on_demand_usd_per_hour, market.now_s
    )
    if continued is not lessons:
        market.store.write(_lessons_key(slot), continued.to_bytes())
    return ModelForecaster(
        model, continued.calibration, market.on_demand_usd_per_hour, past.history
    )


def kept_model(store: DataBucket, slot: Slot) -> Model:
    """The model of a version that is kept, loaded once. Raises UnusableModel."""
    read = model_reader(store, slot)
    body = read(METADATA) or b""
    model = _loaded.pop(body, None) or load_model(read, load_booster)
    _loaded[body] = model
    while len(_loaded) > _LOADED_MAX:
        _loaded.pop(next(iter(_loaded)))
    return model


def model_reader(store: DataBucket, slot: Slot) -> Callable[[str], bytes | None]:
    """Reads the files of a version. Raises UnusableModel where they are not those that were
    validated."""
    if slot.version == SHIPPED_VERSION:
        return _read_shipped
    folder = f"{KEPT_MODELS}{slot.version}/"
    metadata = store.read(f"{folder}{METADATA}")
    if metadata is None:
        raise UnusableModel(f"{slot.version}: {METADATA}: there is no such file")
    if hashlib.sha256(metadata).hexdigest() != slot.sha256:
        raise UnusableModel(
            f"{slot.version}: {METADATA}: it has been changed since it was validated"
        )

    def read(name: str) -> bytes | None:
        return metadata if name == METADATA else store.read(f"{folder}{name}")

    return read


def _read_shipped(name: str) -> bytes | None:
    path = SHIPPED / name
    return path.read_bytes() if path.is_file() else None


def _metadata(read: Callable[[str], bytes | None]) -> Metadata:
    body = read(METADATA)
    if body is None:
        raise UnusableModel("none is live and none was shipped")
    return parse_metadata(body)


def _lessons_key(slot: Slot) -> str:
    return f"{LESSONS}/{slot.version}.npz"


def _lessons(store: DataBucket, slot: Slot, metadata: Metadata) -> Lessons | None:
    """What this model has learned here, None where it has not."""
    body = store.read(_lessons_key(slot))
    if body is None:
        return None
    try:
        lessons = Lessons.from_bytes(body)
    except DamagedState as error:
        logger.warning("lessons of the model lost, it begins anew", reason=str(error))
        return None
    return lessons if lessons.model == metadata.checksum else None


def _check(metadata: Metadata, lessons: Lessons | None, changes: PriceChanges, now_s: int) -> None:
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
