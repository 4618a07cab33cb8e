"""The tasks of ``refresh_market``: every request, and the steps of the two scheduled ones."""

from datetime import datetime, timedelta
from typing import Any, assert_never

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.models import ModelLedger
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.codec import DamagedState
from spot_optimizer.contracts.market import (
    AnalyseHistory,
    CollectPrices,
    FillHistory,
    HealGaps,
    HistoryStatus,
    ImportPrices,
    ModelUploaded,
    ReadReferenceData,
    RefreshMarketRequest,
    ShowPrices,
    ValidateModel,
)
from spot_optimizer.forecast.model_registry import Registry
from spot_optimizer.forecast.safety_history import SafetyHistory
from spot_optimizer.forecast.snapshot_builder import build_snapshot
from spot_optimizer.market.compatibility import types_to_collect
from spot_optimizer.market.snapshot_file import snapshot_to_bytes
from spot_optimizer.services.refresh_market.forecast_scores import update_forecast_scores
from spot_optimizer.services.refresh_market.market_forecast import (
    ForecastInputs,
    MarketForecast,
    forecast_market,
    forecast_trial,
    history_since,
)
from spot_optimizer.services.refresh_market.model_uploads import ModelUploads
from spot_optimizer.services.refresh_market.price_history import (
    SLICES_BY_HAND,
    analyse_history,
    fill_history,
    history_status,
    price_grid,
)
from spot_optimizer.services.refresh_market.price_imports import import_prices
from spot_optimizer.services.refresh_market.recent_prices import (
    Market,
    collect_prices,
    heal_gaps,
    trusted_prices,
)
from spot_optimizer.services.refresh_market.reference_data import (
    read_advisor,
    read_catalog,
    refresh_reference_data,
)
from spot_optimizer.telemetry import logger, metrics


def refresh_market(
    request: RefreshMarketRequest, env: Environment, now: datetime
) -> dict[str, Any]:
    """Carry out one task; the answer reports what was done."""
    store = DataBucket(env.data_bucket)
    if isinstance(request, ReadReferenceData):
        return refresh_reference_data(store, env, now, request.accept_prices)[1]
    catalog = read_catalog(store) or refresh_reference_data(store, env, now)[0]
    types = types_to_collect(catalog, Ledger(env.ledger_table).home_types())
    market = Market(store, types, catalog.on_demand_usd_per_hour, now)
    match request:
        case CollectPrices():
            return _refresh_prices(market, env)
        case HealGaps():
            return _maintain(market, env)
        case AnalyseHistory(since=since, until=until):
            return analyse_history(market, _wanted_since(market, env), since, until)
        case FillHistory():
            return fill_history(market, _wanted_since(market, env), SLICES_BY_HAND)
        case HistoryStatus():
            return history_status(market, _wanted_since(market, env))
        case ImportPrices(key=key, rows_are=rows_are):
            return import_prices(market, key, rows_are, env.region)
        case ShowPrices(instance_type=instance_type, since=since, until=until):
            return price_grid(market, instance_type, since, until)
        case ModelUploaded(key=key, requester=requester):
            return ModelUploads(market, env).uploaded(key, f"S3 upload by {requester}")
        case ValidateModel(version=version, asked_by=asked_by):
            return ModelUploads(market, env).validate(version, asked_by)
        case _:
            assert_never(request)


def _refresh_prices(market: Market, env: Environment) -> dict[str, Any]:
    """Every cycle: collect prices, forecast them, write the snapshots, score past forecasts."""
    # 1. Collect.
    collected = collect_prices(market)
    age_max = timedelta(minutes=env.settings.snapshot_age_minutes_max)
    changes, as_of = trusted_prices(collected.book, market.now, age_max)
    # 2. Forecast.
    inputs, registry = ForecastInputs(market, changes), _models(env).registry()
    forecast = forecast_market(inputs, registry.live)
    # 3. Write the snapshots.
    _write_trial_snapshot(inputs, env, as_of, registry)
    _write_snapshot(inputs, env, as_of, forecast, keys.MARKET_SNAPSHOT, keys.MARKET_SAFETY)
    # 4. Score.
    update_forecast_scores(inputs, env, registry, forecast, as_of)
    metrics.add_metric("PoolsWatched", "Count", len(changes.pools))
    return {"pools": len(changes.pools), **collected.answer()}


def _maintain(market: Market, env: Environment) -> dict[str, Any]:
    """Every 15 minutes: request gaps of the last day, grow the archive, tidy model uploads."""
    answer = heal_gaps(market)
    answer["history"] = fill_history(market, _wanted_since(market, env), slices=1)
    tidied = ModelUploads(market, env).tidy()
    return {**answer, **({"models": tidied} if tidied else {})}


def _models(env: Environment) -> ModelLedger:
    return ModelLedger(Ledger(env.ledger_table))


def _wanted_since(market: Market, env: Environment) -> datetime | None:
    return history_since(market.store, _models(env).registry(), market.now)


def _write_trial_snapshot(
    inputs: ForecastInputs, env: Environment, as_of: datetime, registry: Registry
) -> None:
    """The snapshot with the pending model's forecast, if it is on trial. ``decide`` ignores a trial
    snapshot of an older cycle."""
    forecast = forecast_trial(inputs, registry)
    if forecast is not None:
        _write_snapshot(inputs, env, as_of, forecast, keys.MARKET_TRIAL, keys.MARKET_TRIAL_SAFETY)


def _write_snapshot(
    inputs: ForecastInputs,
    env: Environment,
    as_of: datetime,
    forecast: MarketForecast,
    snapshot_key: str,
    safety_key: str,
) -> None:
    store, now = inputs.market.store, inputs.market.now
    advisor = read_advisor(store)
    snapshot, history = build_snapshot(
        inputs.changes,
        as_of=as_of,
        now=now,
        advisor_buckets=advisor.buckets if advisor else {},
        forecaster=forecast.forecaster,
        instability=forecast.instability,
        degraded=forecast.degraded,
        previous=_read_safety(store, safety_key),
        confirm_safe_minutes=env.settings.confirm_safe_minutes,
    )
    store.write(safety_key, history.to_bytes())
    store.write_and_keep(snapshot_key, keys.KEPT_SNAPSHOTS, snapshot_to_bytes(snapshot))


def _read_safety(store: DataBucket, key: str) -> SafetyHistory:
    """The stored history; an empty one if it is damaged: pools must then be confirmed safe again."""
    body = store.read(key)
    try:
        return SafetyHistory.from_bytes(body) if body else SafetyHistory()
    except DamagedState as damage:
        logger.error("the safety history is damaged and starts again", reason=str(damage))
        return SafetyHistory()
