"""A decision about every workload of a region, by the engine that its settings name."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engines.contract import Engines, checked
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.evidence import evidence_of, known_inputs
from spot_optimizer.decision.execution_names import execution_name
from spot_optimizer.decision.forced import forced_outcome
from spot_optimizer.decision.guards.hold import hold_back
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.pool_history import PoolHistory, pool_history_of
from spot_optimizer.decision.quiet_hours import is_quiet_hour
from spot_optimizer.decision.ranking import FAILOVER_PLAN_MAX, select
from spot_optimizer.decision.rightsizing import want_when_urgent
from spot_optimizer.decision.situation import CannotJudge, Situation, situation_of
from spot_optimizer.decision.world import (
    Force,
    WorkloadView,
    World,
)
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
    Rule,
)


def decide(
    world: World, now: datetime, *, region: str, engines: Engines = BUILT_IN
) -> list[Decision]:
    """Decide for every workload whose mode is not ``off``, in their order.

    Equal arguments give equal decisions if the engines are pure. A workload that cannot be judged gets
    STAY with the reason, and does not affect the others. Raises ValueError if ``now`` has no time zone.
    """
    trial = world.trial
    tried = replace(world, market=trial.market) if trial else world
    table = table_of(world, now, region)
    tried_table = table_of(tried, now, region) if trial else None
    decisions = [
        _decide_safely(tried, tried_table, workload, now, engines)
        if trial is not None and trial.decides_for(workload.workload_id)
        else _decide_safely(world, table, workload, now, engines)
        for workload in world.workloads
        if workload.mode is not Mode.OFF
    ]
    return hold_back(decisions, world, now)


def table_of(world: World, now: datetime, region: str) -> MarketTable | None:
    """What the decisions of a cycle share; None if there is no market data. Raises ValueError if
    ``now`` has no time zone."""
    if now.utcoffset() is None:
        raise ValueError(f"now = {now.isoformat()} has no time zone; an aware datetime is required")
    if world.market is None:
        return None
    return MarketTable(
        world.market, world.catalog, is_quiet_hour(now, region), _pool_history(world, now)
    )


def _pool_history(world: World, now: datetime) -> PoolHistory:
    return pool_history_of(
        now,
        refusals=world.refusals,
        interruptions=world.interruptions,
        running=((w.pool, w.launched_at) for w in world.workloads if w.lifecycle is Lifecycle.SPOT),
    )


def decision_id(workload_id: str, now: datetime, force: Force | None = None) -> str:
    """The id of the decision, which names the execution of its switch; a forced decision and a cycle's
    decision of the same second have different ids."""
    return execution_name(workload_id, now, str(force))


def _decide_safely(
    world: World,
    table: MarketTable | None,
    workload: WorkloadView,
    now: datetime,
    engines: Engines,
) -> Decision:
    try:
        return _decide(world, table, workload, now, engines)
    except Exception as error:  # A defect of one workload must not stop the others.
        return Decision(
            decision_id=decision_id(workload.workload_id, now),
            workload_id=workload.workload_id,
            instance_id=workload.instance_id,
            at=now,
            kind=DecisionKind.STAY,
            row=Rule.NONE,
            reason=f"cannot be judged: {type(error).__name__}: {error}",
            home_type_after=workload.home_type,
            failover_plan_current=False,
        )


def _decide(
    world: World,
    table: MarketTable | None,
    workload: WorkloadView,
    now: datetime,
    engines: Engines,
) -> Decision:
    force = world.force.get(workload.workload_id)
    look = look_at(workload, table, world.catalog, now, engines, force)
    return replace(_assembled(world, workload, now, look.outcome, look.situation), alarm=look.alarm)


@dataclass(frozen=True, slots=True)
class Look:
    """What an engine decided about one workload, before the guards."""

    situation: Situation | None
    """None if the workload cannot be judged; the outcome says why."""
    outcome: Outcome
    alarm: str = ""


def look_at(
    workload: WorkloadView,
    table: MarketTable | None,
    catalog: Catalog,
    now: datetime,
    engines: Engines,
    force: Force | None = None,
) -> Look:
    """Judge one workload by its engine, or check the target that a user forces. Pure."""
    situation, problem = None, ""
    try:
        situation = situation_of(workload, _trusted(table, workload, now), now)
    except CannotJudge as refusal:
        problem = str(refusal)
    if force is not None and force.pool is not None:
        return Look(situation, forced_outcome(workload, force, force.pool, table, catalog))
    if situation is None:
        return Look(None, Outcome(DecisionKind.STAY, Rule.NONE, problem))
    return Look(situation, *_judged(situation, engines))


def _judged(situation: Situation, engines: Engines) -> tuple[Outcome, str]:
    """What the workload's engine returns; STAY and an alarm if there is none or it fails."""
    name = situation.workload.settings.engine
    engine = engines.get(name)
    if engine is None:
        problem = f"engine '{name}' is unknown; known are {', '.join(sorted(engines))}"
    elif isinstance(engine, str):
        problem = f"engine '{name}' cannot be loaded: {engine}"
    else:
        try:
            return checked(engine.judge(situation), situation), ""
        # A user's engine may fail in any way, also by sys.exit; that costs one decision, no more.
        except (Exception, SystemExit) as error:
            problem = f"engine '{name}' failed: {type(error).__name__}: {error}"
    return Outcome(DecisionKind.STAY, Rule.NONE, f"stays: {problem}"), problem


def _trusted(table: MarketTable | None, workload: WorkloadView, now: datetime) -> MarketTable:
    if table is None:
        raise CannotJudge("there is no market data")
    age_minutes = (now - table.market.as_of).total_seconds() / 60
    limit = workload.settings.snapshot_age_minutes_max
    if age_minutes > limit:
        raise CannotJudge(f"market data is {age_minutes:.0f} minutes old, {limit:g} at most")
    return table


def _assembled(
    world: World,
    workload: WorkloadView,
    now: datetime,
    outcome: Outcome,
    situation: Situation | None,
) -> Decision:
    force, selection = world.force.get(workload.workload_id), outcome.selection
    switches = outcome.kind is not DecisionKind.STAY
    plan = outcome.plan
    if plan is None and situation is not None:
        plan = select(situation, want_when_urgent(situation, situation.safety))
    known = known_inputs(situation, workload)
    return Decision(
        decision_id=decision_id(workload.workload_id, now, force),
        workload_id=workload.workload_id,
        instance_id=workload.instance_id,
        at=now,
        kind=outcome.kind,
        row=outcome.row,
        reason=outcome.reason,
        candidates=outcome.candidates,
        rejected=selection.rejected() if selection else (),
        rejected_counts=selection.counts() if selection else {},
        evidence=evidence_of(world, workload, situation, now, outcome.figures),
        fallback_pending=outcome.fallback_pending,
        home_type_after=outcome.home_type_after or workload.home_type,
        forced_by=force.asked_by if force else "",
        failover_plan=plan.candidates(FAILOVER_PLAN_MAX) if plan else (),
        failover_plan_current=plan is not None,
        urgent=switches and situation is not None and situation.urgent,
        **_prices(outcome, situation),
        engine=workload.settings.engine,
        score_meaning=outcome.score_meaning,
        current_score=outcome.current_score,
        confidence=sum(known.values()) / len(known),
    )


class _Prices(TypedDict, total=False):
    current_spot_usd_per_hour: float
    current_forecast_usd_per_hour: float
    saving_spot_usd_per_hour: float
    saving_forecast_usd_per_hour: float


def _prices(outcome: Outcome, situation: Situation | None) -> _Prices:
    """Current prices and savings; without those that are unknown."""
    if situation is None or math.isnan(situation.forecast_usd_per_hour):
        return {}
    spot, forecast = situation.spot_usd_per_hour, situation.forecast_usd_per_hour
    prices = _Prices(current_spot_usd_per_hour=spot, current_forecast_usd_per_hour=forecast)
    if outcome.candidates:
        best = outcome.candidates[0]
        prices["saving_spot_usd_per_hour"] = spot - best.spot_usd_per_hour
        prices["saving_forecast_usd_per_hour"] = forecast - best.forecast_usd_per_hour
    return prices
