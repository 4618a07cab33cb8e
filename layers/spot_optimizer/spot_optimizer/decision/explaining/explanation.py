"""A decision made again, with everything that led to it and what would have changed it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import Look, decide, look_at, table_of
from spot_optimizer.decision.engines.contract import Engines
from spot_optimizer.decision.explaining.rivals import (
    Counterfactual,
    more_expensive_here,
    no_longer,
    would_take,
)
from spot_optimizer.decision.explaining.tried_settings import changing_inputs, changing_settings
from spot_optimizer.decision.explaining.what_if import Case, Verdict, verdict_of
from spot_optimizer.decision.guards.hold import every_hold
from spot_optimizer.decision.kept_inputs import KeptInputs
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.selection import Selection
from spot_optimizer.decision.stages import Reason
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)

RIVALS_MAX = 6
IN_A_GROUP_MAX = 5


class NotDecided(ValueError):
    """The cycle made no decision about the workload; the text lists the workloads that it judged."""


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """The known facts of one pool; None if unknown."""

    pool: Pool
    spot_usd_per_hour: float | None
    forecast_usd_per_hour: float | None
    """Mean one hour ahead."""
    forecast_p95_usd_per_hour: float | None
    discount_points: float | None
    """Of the forecast, against the home type's on-demand price."""
    risk: float | None
    hazard_per_hour: float | None
    rise_volatility_24h: float | None
    instability: float | None
    advisor_bucket: int
    fate: str
    """The best, next best, or why it was removed."""


@dataclass(frozen=True, slots=True)
class Group:
    """The pools that one stage removed."""

    reason: str
    count: int
    usable: bool
    """Whether pools of this group could host the workload."""
    pools: tuple[PoolFacts, ...]
    """The cheapest pools of the group."""


@dataclass(frozen=True, slots=True)
class SettingUsed:
    """A threshold or flag in force, with its source."""

    name: str
    value: float | bool | str
    source: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision was made."""

    decision: Decision
    workload: WorkloadView
    forecaster: str
    degraded: str
    verdict: Verdict
    """The engine's result, before the guards and the limits of the cycle."""
    settings: tuple[SettingUsed, ...]
    guards: tuple[str, ...]
    """All guards that would have held a switch at that moment."""
    here: PoolFacts | None
    """The current spot pool."""
    pools: int
    """Number of pools in the market."""
    usable: int
    """Number of pools that could host the workload."""
    rivals: tuple[PoolFacts, ...]
    """Usable pools: the candidates in their order, then the cheapest of those that were removed."""
    groups: tuple[Group, ...]
    """The removed pools by reason; those that passed the most stages come first."""
    would_have_changed: tuple[Counterfactual, ...]


def explain(
    kept: KeptInputs,
    market: MarketSnapshot | None,
    catalog: Catalog,
    workload_id: str,
    engines: Engines,
) -> Explanation:
    """Make a cycle's decision about one workload again, and explain it. Pure.

    Raises NotDecided if the cycle made no decision about the workload.
    """
    world = kept.with_market(market, catalog)
    decisions = {
        d.workload_id: d for d in decide(world, kept.at, region=kept.region, engines=engines)
    }
    if workload_id not in decisions:
        known = ", ".join(sorted(decisions)) or "none"
        raise NotDecided(f"workload = '{workload_id}' was not judged then; judged were {known}")
    decision = decisions[workload_id]
    workload = next(w for w in world.workloads if w.workload_id == workload_id)
    table = table_of(world, kept.at, kept.region)
    force = world.force.get(workload_id)
    look = look_at(workload, table, catalog, kept.at, engines, force)
    case = Case(workload, table, kept.at, engines) if table is not None else None
    selection = look.outcome.selection
    # No price would have changed a target that a user forces.
    forced = force is not None and force.pool is not None
    rivals = _rivals(selection) if selection is not None else []
    return Explanation(
        decision=decision,
        workload=workload,
        forecaster=market.forecaster if market else "",
        degraded=market.degraded if market else "",
        verdict=verdict_of(look),
        settings=_settings(kept, workload),
        guards=_guards(decision, workload, world, kept),
        here=_here(look, table, workload),
        pools=len(market.pools) if market else 0,
        usable=int(selection.usable.sum()) if selection is not None else 0,
        rivals=tuple(_facts(selection, row) for row in rivals) if selection is not None else (),
        groups=_groups(selection) if selection is not None else (),
        would_have_changed=() if forced or case is None else tuple(_changes(case, look, rivals)),
    )


def _changes(case: Case, look: Look, rivals: Sequence[int]) -> list[Counterfactual]:
    chosen = _chosen(look)
    changes = [
        change
        for row in rivals
        if (change := no_longer(case, row) if row == chosen else would_take(case, row))
    ]
    situation = look.situation
    if situation is not None and situation.row is not None:
        spot = case.workload.lifecycle is Lifecycle.SPOT
        if spot and case.table.usable_price[situation.row]:
            changes += [c for c in (more_expensive_here(case, situation.row),) if c]
    return [*changes, *changing_settings(case), *changing_inputs(case)]


def _chosen(look: Look) -> int | None:
    if look.outcome.kind is not DecisionKind.SWITCH or look.situation is None:
        return None
    best = look.outcome.candidates[0]
    pool = best.pool
    return look.situation.table.market.index_of(pool)


def _guards(
    decision: Decision, workload: WorkloadView, world: World, kept: KeptInputs
) -> tuple[str, ...]:
    every = every_hold(decision, workload, world, kept.at)
    # Shared limits depend on the other switches of the cycle, so ``every_hold`` does not know them.
    shared = (decision.held_by,) if decision.held_by and decision.held_by not in every else ()
    return every + shared


def _settings(kept: KeptInputs, workload: WorkloadView) -> tuple[SettingUsed, ...]:
    return tuple(
        SettingUsed(
            f.name,
            getattr(workload.settings, f.name),
            kept.layers.source_of(workload.workload_id, f.name),
            f.metadata["meaning"],
        )
        for f in fields(Settings)
    )


def _rivals(selection: Selection) -> list[int]:
    """The pools left, then other usable pools, the cheapest first."""
    left = selection.ranked[:RIVALS_MAX].tolist()
    by_price = selection.situation.table.by_price
    others = by_price[selection.usable[by_price] & (selection.codes[by_price] != Reason.CURRENT)]
    rows = [*left, *(row for row in others.tolist() if row not in left)]
    return rows[:RIVALS_MAX]


def _groups(selection: Selection) -> tuple[Group, ...]:
    by_price = selection.situation.table.by_price.tolist()
    # Pools without a price are not in ``by_price``, but they count.
    priced = set(by_price)
    rows = by_price + [row for row in range(len(selection.codes)) if row not in priced]
    usable = selection.usable
    members: dict[tuple[int, str, bool], list[int]] = {}
    for row in rows:
        if selection.codes[row] in (Reason.CANDIDATE, Reason.CURRENT):
            continue
        key = (selection.code(row), selection.label(row), bool(usable[row]))
        members.setdefault(key, []).append(row)
    in_order = sorted(members, key=lambda key: (not key[2], -key[0]))
    return tuple(
        Group(
            label,
            len(members[code, label, is_usable]),
            is_usable,
            tuple(
                _facts(selection, row) for row in members[code, label, is_usable][:IN_A_GROUP_MAX]
            ),
        )
        for code, label, is_usable in in_order
    )


def _here(look: Look, table: MarketTable | None, workload: WorkloadView) -> PoolFacts | None:
    if table is None or workload.lifecycle is not Lifecycle.SPOT:
        return None
    row = table.market.index_of(workload.pool)
    home = table.catalog.on_demand_usd_per_hour.get(workload.home_type, math.nan)
    fate = look.situation.why if look.situation else look.outcome.reason
    return _facts_of(table, row, home, fate) if row is not None else None


def _facts(selection: Selection, row: int) -> PoolFacts:
    situation = selection.situation
    home = situation.home_on_demand_usd_per_hour
    position = np.flatnonzero(selection.ranked == row)
    if not len(position):
        return _facts_of(situation.table, row, home, selection.rejection(row).reason)
    return _facts_of(situation.table, row, home, "next best" if position[0] else "the best")


def _facts_of(table: MarketTable, row: int, home_on_demand: float, fate: str) -> PoolFacts:
    market = table.market
    return PoolFacts(
        pool=market.pools[row],
        spot_usd_per_hour=_known(market.price[row]),
        forecast_usd_per_hour=_known(market.forecast_mean[row]),
        forecast_p95_usd_per_hour=_known(market.forecast_p95[row]),
        discount_points=_known(100 * (1 - market.forecast_mean[row] / home_on_demand)),
        risk=_known(table.risk[row]),
        hazard_per_hour=_known(table.hazard_per_hour[row]),
        rise_volatility_24h=_known(market.rise_volatility_24h[row]),
        instability=_known(market.instability[row]),
        advisor_bucket=int(market.advisor_bucket[row]),
        fate=fate,
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
