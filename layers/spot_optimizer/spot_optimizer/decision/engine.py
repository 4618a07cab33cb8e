"""One look at every workload of a region, by the engine that its settings name."""

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
from spot_optimizer.decision.situation import CannotJudge, Situation, State, situation_of
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
    """A decision for every workload that is not in mode off, in their order.

    Pure, as far as the engines are: equal arguments give equal decisions. A workload that cannot be
    judged gets STAY with the reason and stops no other. Raises ValueError if ``now`` has no time
    zone.
    """
    trial = world.trial
    tried = replace(world, market=trial.market) if trial else world
    table = table_of(world, now, region)
    tried_table = table_of(tried, now, region) if trial else None
    decisions = [
        _look_safely(tried, tried_table, workload, now, engines)
        if trial is not None and trial.decides_for(workload.workload_id)
        else _look_safely(world, table, workload, now, engines)
        for workload in world.workloads
        if workload.mode is not Mode.OFF
    ]
    return hold_back(decisions, world, now)


def table_of(world: World, now: datetime, region: str) -> MarketTable | None:
    """What all looks of a cycle share; None where there is no market data. Raises ValueError if
    ``now`` has no time zone."""
    if now.utcoffset() is None:
        raise ValueError(f"now = {now.isoformat()} has no time zone; an aware datetime is required")
    if world.market is None:
        return None
    return MarketTable(
        world.market, world.catalog, is_quiet_hour(now, region), _experience(world, now)
    )


def _experience(world: World, now: datetime) -> PoolHistory:
    return pool_history_of(
        now,
        refusals=world.refusals,
        interruptions=world.interruptions,
        running=((w.pool, w.launched_at) for w in world.workloads if w.lifecycle is Lifecycle.SPOT),
    )


def decision_id(workload_id: str, now: datetime, force: Force | None = None) -> str:
    """What names the execution of the switch; a forced decision is told from a cycle's of the same
    second."""
    return execution_name(workload_id, now, str(force))


def _look_safely(
    world: World,
    table: MarketTable | None,
    workload: WorkloadView,
    now: datetime,
    engines: Engines,
) -> Decision:
    try:
        return _look(world, table, workload, now, engines)
    except Exception as error:  # Whatever is wrong with one workload must not stop the others.
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


def _look(
    world: World,
    table: MarketTable | None,
    workload: WorkloadView,
    now: datetime,
    engines: Engines,
) -> Decision:
    force = world.force.get(workload.workload_id)
    seen = look_at(workload, table, world.catalog, now, engines, force)
    return replace(_assembled(world, workload, now, seen.outcome, seen.situation), alarm=seen.alarm)


@dataclass(frozen=True, slots=True)
class Look:
    """What an engine made of one workload, before the guards."""

    situation: Situation | None
    """None where it cannot be judged; the outcome says why."""
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
    """One look at one workload. Pure."""
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
    """What the workload's engine says; STAY and an alarm where there is none, or it fails."""
    name = situation.workload.settings.engine
    engine = engines.get(name)
    if engine is None:
        problem = f"engine '{name}' is unknown; known are {', '.join(sorted(engines))}"
    elif isinstance(engine, str):
        problem = f"engine '{name}' cannot be loaded: {engine}"
    else:
        try:
            return checked(engine.judge(situation), situation), ""
        # A user's engine may fail in any way, sys.exit among them; it costs a decision, no more.
        except (Exception, SystemExit) as error:
            problem = f"engine '{name}' failed: {type(error).__name__}: {error}"
    return Outcome(DecisionKind.STAY, Rule.NONE, f"stays where it is: {problem}"), problem


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
    moves = outcome.kind is not DecisionKind.STAY
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
        urgent=moves and situation is not None and situation.state is State.UNBEARABLE,
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
