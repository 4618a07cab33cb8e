"""``layered``: yield on the total cost of ownership (TCO).

``yield = 100 x (1 - tco / max_tco) x (1 - p)`` with ``tco = forecast price x (1 + waste)``: capacity
that is paid for but not needed counts twice. ``p`` is the pool's instability. ``max_tco`` is the home
type on-demand with its own waste, the most that the workload can cost; a maximum over the pools of the
market would let a pool that is never chosen change the order of the others.

Layers: compatibility, Spot Advisor (> 20 % is excluded), instability (> 0.85 is excluded), oversized
types only if cheaper, waste, rank. A signal of EC2 overrides them all: the workload leaves its pool and
does not enter it.
"""

import math

import numpy as np

from spot_optimizer.decision.engines.staged import StagedEngine
from spot_optimizer.decision.market_table import Bools
from spot_optimizer.decision.selection import (
    Selection,
    Stage,
    spot_candidate,
)
from spot_optimizer.decision.situation import Situation, State
from spot_optimizer.decision.stages import Reason, Safety, safety_codes
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.settings import Settings

_ROUNDING = 1e-9


def gates(settings: Settings) -> Safety:
    """Excludes the advisor's worst bucket and instability above the limit; prices may be volatile."""
    return Safety(math.inf, math.nextafter(settings.instability_max, math.inf))


def waste_fraction(situation: Situation, vcpu: Floats, memory_gib: Floats) -> Floats:
    """The share of an instance of this size that the workload does not need, 0 to 1: the mean of vCPU
    and memory. It needs p95 usage times the headroom, or the home type's size if usage is unknown."""
    usage, home = situation.workload.usage, situation.home
    headroom = situation.workload.settings.headroom_factor
    vcpu_need, memory_need = float(home.vcpu), home.memory_gib
    if usage is not None:
        vcpu_need = usage.cpu_p95_vcpu * headroom
        if usage.memory_p95_gib is not None:
            memory_need = usage.memory_p95_gib * headroom
    used = np.minimum(1.0, vcpu_need / vcpu) + np.minimum(1.0, memory_need / memory_gib)
    waste: Floats = 1.0 - used / 2
    return waste


def yields(situation: Situation, tco: Floats, instability: Floats) -> Floats:
    """Yield of places with these costs, in points; negative if they cost more than on-demand."""
    home = situation.home
    size = np.array([float(home.vcpu)]), np.array([home.memory_gib])
    most_usd_per_hour = situation.home_on_demand_usd_per_hour * (
        1 + waste_fraction(situation, *size)[0]
    )
    result: Floats = 100.0 * (1 - tco / most_usd_per_hour) * (1 - instability)
    return result


def _scores(selection: Selection) -> Floats:
    table, rows = selection.situation.table, selection.ranked
    waste = waste_fraction(selection.situation, table.vcpu[rows], table.memory_gib[rows])
    return yields(
        selection.situation,
        selection.forecast_usd_per_hour * (1 + waste),
        table.market.instability[rows],
    )


def _here(selection: Selection) -> float:
    situation = selection.situation
    current = situation.table.catalog.types.get(situation.workload.instance_type)
    if current is None:
        return math.nan
    waste = waste_fraction(
        situation, np.array([float(current.vcpu)]), np.array([current.memory_gib])
    )
    instability = 0.0
    if situation.state is not State.ON_DEMAND and situation.row is not None:
        instability = float(situation.table.market.instability[situation.row])
    tco = situation.forecast_usd_per_hour * (1 + waste)
    return float(yields(situation, tco, np.array([instability]))[0])


def _is_excluded(situation: Situation) -> bool:
    """Whether the engine would not enter the current spot pool."""
    if situation.state is State.ON_DEMAND or situation.row is None:
        return False
    codes = safety_codes(situation.table, gates(situation.workload.settings))
    return bool(codes[situation.row] != Reason.CANDIDATE)


def _oversized(selection: Selection) -> Bools:
    situation, home, rows = selection.situation, selection.situation.home, selection.ranked
    table = situation.table
    larger = (table.vcpu[rows] > home.vcpu) | (table.memory_gib[rows] > home.memory_gib)
    return larger & (selection.forecast_usd_per_hour >= situation.forecast_usd_per_hour)


def _too_little(selection: Selection) -> Bools:
    situation, settings = selection.situation, selection.situation.workload.settings
    assert selection.scores is not None
    if _is_excluded(situation):
        most = situation.forecast_usd_per_hour * (1 + settings.unsafe_premium_fraction)
        return ~(selection.forecast_usd_per_hour <= most + _ROUNDING)
    return ~(selection.scores - _here(selection) >= settings.switch_gain_points - _ROUNDING)


def _detail(selection: Selection, row: int) -> str:
    candidate = spot_candidate(selection.situation, row)
    return f"gain of yield too small: forecast discount {candidate.discount_points:.1f} points"


def _why(selection: Selection, position: int) -> str:
    assert selection.scores is not None
    pool = selection.situation.table.market.pools[selection.ranked[position]]
    note = ", which is excluded" if _is_excluded(selection.situation) else ""
    there, here = selection.scores[position], _here(selection)
    return f"{pool} yields {there:.1f} points against {here:.1f} here{note}"


LAYERED = StagedEngine(
    name="layered",
    score_meaning="yield in points, more is better",
    limits=gates,
    scores=_scores,
    here=_here,
    worth=(
        Stage("oversized and not cheaper", _oversized),
        Stage("gain of yield too small", _too_little, _detail),
    ),
    why=_why,
)
