"""``refresh_market``: collect prices, forecast them, write the market snapshot; keep their past."""

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
from spot_optimizer.services.refresh_market.forecast_scores import keep_scores
from spot_optimizer.services.refresh_market.market_forecast import (
    MarketForecast,
    Past,
    forecast_market,
    history_since,
    trial_forecast,
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
    trusted,
)
from spot_optimizer.services.refresh_market.reference_data import (
    read_advisor,
    read_catalog,
    refresh_reference,
)
from spot_optimizer.telemetry import logger, metrics


def refresh_market(
    request: RefreshMarketRequest, env: Environment, now: datetime
) -> dict[str, Any]:
    """Carry out one task; the answer counts what was received and kept."""
    store = DataBucket(env.data_bucket)
    if isinstance(request, ReadReferenceData):
        return refresh_reference(store, env, now, request.accept_prices)[1]
    catalog = read_catalog(store) or refresh_reference(store, env, now)[0]
    types = types_to_collect(catalog, Ledger(env.ledger_table).home_types())
    market = Market(store, types, catalog.on_demand_usd_per_hour, now)
    match request:
        case CollectPrices():
            return _refresh_prices(market, env)
        case HealGaps():
            return _look_after(market, env)
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
    found = collect_prices(market)
    age_max = timedelta(minutes=env.settings.snapshot_age_minutes_max)
    changes, as_of = trusted(found.book, market.now, age_max)
    past, registry = Past(market, changes), _models(env).registry()
    forecast = forecast_market(past, registry.live)
    _write_trial(past, env, as_of, registry)
    _write_snapshot(past, env, as_of, forecast, keys.MARKET_SNAPSHOT, keys.MARKET_SAFETY)
    keep_scores(past, env, registry, forecast, as_of)
    metrics.add_metric("PoolsWatched", "Count", len(changes.pools))
    return {"pools": len(changes.pools), **found.answer()}


def _look_after(market: Market, env: Environment) -> dict[str, Any]:
    """Every 15 minutes: what is missing of the last day, the archive, the models."""
    answer = heal_gaps(market)
    answer["history"] = fill_history(market, _wanted_since(market, env), slices=1)
    tidied = ModelUploads(market, env).tidy()
    return {**answer, **({"models": tidied} if tidied else {})}


def _models(env: Environment) -> ModelLedger:
    return ModelLedger(Ledger(env.ledger_table))


def _wanted_since(market: Market, env: Environment) -> datetime | None:
    return history_since(market.store, _models(env).registry(), market.now)


def _write_trial(past: Past, env: Environment, as_of: datetime, registry: Registry) -> None:
    """What the pending model says, where it decides for some workloads. What is left over of an
    older cycle is not believed: it is of other prices."""
    forecast = trial_forecast(past, registry)
    if forecast is not None:
        _write_snapshot(past, env, as_of, forecast, keys.MARKET_TRIAL, keys.MARKET_TRIAL_SAFETY)


def _write_snapshot(
    past: Past,
    env: Environment,
    as_of: datetime,
    forecast: MarketForecast,
    snapshot_key: str,
    safety_key: str,
) -> None:
    store, now = past.market.store, past.market.now
    advisor = read_advisor(store)
    snapshot, history = build_snapshot(
        past.changes,
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
    """What is damaged counts as never looked at: pools must then be seen safe anew."""
    body = store.read(key)
    try:
        return SafetyHistory.from_bytes(body) if body else SafetyHistory()
    except DamagedState as damage:
        logger.error("safety history that cannot be read begins anew", reason=str(damage))
        return SafetyHistory()
