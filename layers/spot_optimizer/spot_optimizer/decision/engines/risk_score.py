"""``risk_score``: the cheapest pool of the safest class.

Classes by the score of decision/risk.py: above 0.65 safe, 0.40 to 0.65 caution, below 0.40 avoid. A
planned switch leads to a better class, or to a lower forecast price within the class; a workload leaves
on-demand only for a safe pool.
"""

import numpy as np

from spot_optimizer.decision.engines.staged import StagedEngine
from spot_optimizer.decision.market_table import Bools
from spot_optimizer.decision.rightsizing import ROUNDING_POINTS, gain_points
from spot_optimizer.decision.selection import Selection, Stage
from spot_optimizer.decision.situation import State
from spot_optimizer.market.snapshot import Floats

SAFE_ABOVE, AVOID_BELOW = 0.65, 0.40
_ROUNDING = 1e-9
_NAMES = ("avoid", "caution", "safe")


def classes(scores: Floats) -> Floats:
    """0 avoid, 1 caution, 2 safe; the borders belong to caution."""
    return (scores >= AVOID_BELOW - _ROUNDING) + 1.0 * (scores > SAFE_ABOVE + _ROUNDING)


def _scores(selection: Selection) -> Floats:
    return 1.0 - selection.risk


def _here(selection: Selection) -> float:
    return 1.0 - selection.situation.risk


def _to_avoid(selection: Selection) -> Bools:
    avoid: Bools = classes(_scores(selection)) == 0
    return avoid


def _not_worth(selection: Selection) -> Bools:
    situation, settings = selection.situation, selection.situation.workload.settings
    there = classes(_scores(selection))
    if situation.state is State.ON_DEMAND:
        unsafe: Bools = there < 2
        return unsafe
    here = classes(np.array([_here(selection)]))[0]
    premium = 1 + settings.unsafe_premium_fraction
    better = (there > here) & (
        selection.forecast_usd_per_hour <= situation.forecast_usd_per_hour * premium + _ROUNDING
    )
    enough = gain_points(selection) >= settings.switch_gain_points - ROUNDING_POINTS
    poor: Bools = ~(better | ((there == here) & enough))
    return poor


def _score_text(selection: Selection, row: int) -> str:
    score = 1.0 - selection.situation.table.risk[row]
    return f"score {score:.2f} ({_class_name(score)})"


def _class_name(score: float) -> str:
    return _NAMES[int(classes(np.array([score]))[0])]


def _why(selection: Selection, position: int) -> str:
    situation, row = selection.situation, int(selection.ranked[position])
    here = _here(selection)
    return (
        f"{situation.table.market.pools[row]} has the {_score_text(selection, row)} at "
        f"a forecast price of {selection.forecast_usd_per_hour[position]:.4f} USD per hour, against "
        f"{here:.2f} ({_class_name(here)}) at {situation.forecast_usd_per_hour:.4f} here"
    )


RISK_SCORE = StagedEngine(
    name="risk_score",
    score_meaning="score 0 to 1, more is better",
    gates=(
        Stage(
            "to be avoided",
            _to_avoid,
            lambda selection, row: f"to be avoided: {_score_text(selection, row)}",
        ),
    ),
    scores=_scores,
    here=_here,
    rank=classes,
    worth=(
        Stage(
            "neither a better class nor enough cheaper",
            _not_worth,
            lambda selection, row: (
                f"neither a better class nor enough cheaper: {_score_text(selection, row)}"
            ),
        ),
    ),
    why=_why,
)
