"""Questions about the market: evaluate one pool, recommend pools. Nothing is changed."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.items import WorkloadItem
from spot_optimizer.aws.ledger.pool_events import pool_events
from spot_optimizer.aws.ledger.signals import pool_signals
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.contracts.command import EvaluatePool, RecommendPools
from spot_optimizer.decision.appraisal import PoolSignal, UnknownPlace, appraise
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.pool_history import (
    INTERRUPTION_MEMORY,
    REFUSAL_MEMORY,
    PoolHistory,
    pool_history_of,
)
from spot_optimizer.decision.quiet_hours import is_quiet_hour
from spot_optimizer.decision.recommendation import NothingFits, Requirement, recommend
from spot_optimizer.market.catalog_file import catalog_from_bytes
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.setting_precedence import overridden_for_stack
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Lifecycle, Pool
from spot_optimizer.workflow.engines import UnknownEngine, load_engines, require_engines


def answer_question(
    request: EvaluatePool | RecommendPools, ledger: Ledger, env: Environment, now: datetime
) -> dict[str, Any]:
    """The answer, with the age of the market data that it is based on.

    Raises InvalidRequest for an unknown type, zone or size, and if there is no market data yet.
    """
    settings = overridden_for_stack(env.settings, ledger.stack().overrides)
    table = _table(ledger, env, now)
    market = table.market
    try:
        if isinstance(request, EvaluatePool):
            answer = _evaluate(request, table, ledger, settings, now)
        else:
            answer = _recommend(request, table, settings)
    except (UnknownPlace, NothingFits) as error:
        raise InvalidRequest(str(error)) from error
    age_minutes = (now - market.as_of).total_seconds() / 60
    return {
        **answer,
        "market": {
            "as_of": market.as_of.isoformat(),
            "age_minutes": round(age_minutes, 1),
            "stale": age_minutes > settings.snapshot_age_minutes_max,
            "pools": len(market.pools),
            "forecaster": market.forecaster,
            "degraded": market.degraded,
        },
    }


def _evaluate(
    request: EvaluatePool, table: MarketTable, ledger: Ledger, settings: Settings, now: datetime
) -> dict[str, Any]:
    if request.engine is not None:
        _refuse_unknown(request.engine)
        settings = replace(settings, engine=request.engine)
    pool = Pool(request.instance_type, request.availability_zone)
    # Include signals of this second.
    history = pool_signals(ledger, pool, now + timedelta(seconds=1))
    warnings = [s for s in history if s.kind in ("interruption", "rebalance")]
    signal = PoolSignal(warnings[-1].kind, warnings[-1].at) if warnings else None
    engines = load_engines([settings.engine])
    appraisal = asdict(appraise(pool, table, settings, now, engines, signal))
    at = appraisal.pop("signal_at")
    return {**appraisal, "signal_at": at.isoformat() if at else None}


def _refuse_unknown(engine: str) -> None:
    try:
        require_engines([engine])
    except UnknownEngine as error:
        raise InvalidRequest(f"engine = {error}") from error


def _recommend(request: RecommendPools, table: MarketTable, settings: Settings) -> dict[str, Any]:
    minutes, burstable = request.interruption_cost_minutes, request.allow_burstable
    wanted = Requirement(
        vcpu=request.vcpu,
        memory_gib=request.memory_gib,
        count=request.count,
        architecture=request.architecture,
        types=request.types,
        zones=request.zones,
        interruption_cost_minutes=(
            settings.interruption_cost_minutes if minutes is None else minutes
        ),
        allow_burstable=settings.allow_burstable if burstable is None else burstable,
    )
    return asdict(recommend(wanted, table, settings))


def _table(ledger: Ledger, env: Environment, now: datetime) -> MarketTable:
    store = DataBucket(env.data_bucket)
    body = store.read(keys.MARKET_SNAPSHOT)
    catalog = store.load(keys.MARKET_CATALOG, catalog_from_bytes)
    if body is None or catalog is None:
        raise InvalidRequest("there is no market data yet; refresh_market writes it every cycle")
    return MarketTable(
        snapshot_from_bytes(body),
        catalog,
        is_quiet_hour(now, env.region),
        _pool_history(ledger, now),
    )


def _pool_history(ledger: Ledger, now: datetime) -> PoolHistory:
    running = [
        (Pool(item.instance_type, item.availability_zone), item.launched_at)
        for item in ledger.workloads().values()
        if _runs_on_spot(item) and item.launched_at is not None
    ]
    return pool_history_of(
        now,
        refusals=pool_events(ledger, "REFUSED", now, REFUSAL_MEMORY),
        interruptions=pool_events(ledger, "INTERRUPTED", now, INTERRUPTION_MEMORY),
        running=running,
    )


def _runs_on_spot(item: WorkloadItem) -> bool:
    return item.status == "managed" and item.lifecycle is Lifecycle.SPOT
