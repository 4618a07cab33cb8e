"""Choose the forecast for the snapshot: the live model's, or the fallback with the reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from spot_optimizer.aws.data_bucket import LESSONS, DataBucket
from spot_optimizer.codec import DamagedState
from spot_optimizer.forecast.daily_lessons import (
    HISTORY_S,
    Lessons,
)
from spot_optimizer.forecast.forecaster import Forecaster, unknown_instability
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.model_artifact import Metadata, UnusableModel
from spot_optimizer.forecast.model_comparison import COMPARISON_HISTORY_S
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.model_freshness import require_recent_lesson
from spot_optimizer.forecast.model_registry import Registry, Slot
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.services.refresh_market.kept_models import (
    load_kept_model,
    read_kept_metadata,
)
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DAY_S


@dataclass(frozen=True)
class MarketForecast:
    """The forecast for a snapshot."""

    forecaster: Forecaster
    instability: Floats
    degraded: str
    """Why the fallback forecasts; empty if a model does."""
    version: str
    """Version of the model; ``last-price`` for the fallback."""


@dataclass(frozen=True)
class ForecastInputs:
    """The prices that forecasts are made from."""

    market: Market
    changes: PriceChanges
    """Recent prices of the pools to forecast."""

    @cached_property
    def history(self) -> PriceChanges:
        """The same types with the archive: as far back as a lesson and its features look."""
        span = (self.market.now_s - DAY_S - HISTORY_S, self.market.now_s + 1)
        types = {pool.instance_type for pool in self.changes.pools}
        return self.market.prices.read("reported", span).changes.restrict(types)


def forecast_market(inputs: ForecastInputs, live: Slot) -> MarketForecast:
    """The live model's forecast after its daily lesson; the last price if the model is unusable.

    An unusable model never stops the refresh of prices. The reason is on every decision
    (``degraded``), and the metric ``ForecastDegraded`` is 1.
    """
    try:
        forecast = _forecast_with_model(inputs, live)
    except UnusableModel as error:
        logger.warning("forecasting with the last price", model=live.version, reason=str(error))
        forecast = MarketForecast(
            LastPrice(),
            unknown_instability(inputs.changes),
            f"no model: last price, instability 0.5 ({error})",
            LastPrice.name,
        )
    metrics.add_metric("ForecastDegraded", "Count", 1 if forecast.degraded else 0)
    return forecast


def forecast_trial(inputs: ForecastInputs, registry: Registry) -> MarketForecast | None:
    """The pending model's forecast if it is on trial. None if it is not, or if it is unusable: then
    the live model decides for all workloads."""
    slot = registry.pending
    if slot is None or not registry.trial_share:
        return None
    try:
        return _forecast_with_model(inputs, slot)
    except UnusableModel as error:
        logger.warning("no trial of the pending model", model=slot.version, reason=str(error))
        return None


def forecasters_to_score(
    inputs: ForecastInputs, forecast: MarketForecast, registry: Registry
) -> dict[str, Forecaster]:
    """Forecasters to score, by version: the one in use, the pending model and the last price."""
    forecasters: dict[str, Forecaster] = {forecast.version: forecast.forecaster}
    if registry.pending is not None:
        version = registry.pending.version
        try:
            forecasters[version] = _forecast_with_model(inputs, registry.pending).forecaster
        except UnusableModel as error:
            logger.warning("the pending model is not scored", model=version, reason=str(error))
    forecasters.setdefault(LastPrice.name, LastPrice())
    return forecasters


def history_since(store: DataBucket, registry: Registry, now: datetime) -> datetime | None:
    """How far back the archive should reach: to the end of the live model's training data, and at
    least as far as a comparison of models needs. None, as far as AWS answers, without a model."""
    try:
        metadata = read_kept_metadata(store, registry.live)
    except UnusableModel:
        return None
    return min(metadata.trained_until, now - timedelta(seconds=COMPARISON_HISTORY_S + DAY_S))


def _forecast_with_model(inputs: ForecastInputs, slot: Slot) -> MarketForecast:
    """A model's forecast. Raises UnusableModel, also if the model loads but cannot predict."""
    forecaster = _model_forecaster(inputs, slot)
    instability = forecaster.instability(inputs.changes, inputs.market.now_s)
    return MarketForecast(forecaster, instability, "", slot.version)


def _model_forecaster(inputs: ForecastInputs, slot: Slot) -> ModelForecaster:
    """A model with its lessons, including today's. Raises UnusableModel.

    Checks that need no booster come first, because loading boosters takes a second.
    """
    market = inputs.market
    metadata = read_kept_metadata(market.store, slot)
    lessons = _read_lessons(market.store, slot, metadata)
    require_recent_lesson(metadata, lessons, inputs.history, market.now_s)
    model = load_kept_model(market.store, slot)
    updated = (lessons or Lessons.none(model)).with_lesson_if_due(
        model, inputs.history, market.on_demand_usd_per_hour, market.now_s
    )
    if updated is not lessons:
        market.store.write(_lessons_key(slot), updated.to_bytes())
    return ModelForecaster(
        model, updated.calibration, market.on_demand_usd_per_hour, inputs.history
    )


def _read_lessons(store: DataBucket, slot: Slot, metadata: Metadata) -> Lessons | None:
    """The model's lessons in this market; None before the first."""
    body = store.read(_lessons_key(slot))
    if body is None:
        return None
    try:
        lessons = Lessons.from_bytes(body)
    except DamagedState as error:
        logger.warning("the model's lessons are damaged; it learns again", reason=str(error))
        return None
    return lessons if lessons.model == metadata.checksum else None


def _lessons_key(slot: Slot) -> str:
    return f"{LESSONS}/{slot.version}.npz"
