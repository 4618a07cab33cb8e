"""What every engine is asked and answers.

An engine gets the :class:`Situation` of one workload (where it stands, what it costs, what it uses,
its settings, the market as columns) and answers with an :class:`Outcome`: STAY, SWITCH or FALLBACK,
the targets with their scores, the pools selected and rejected with reasons, and one sentence. It is
pure: no clock, no I/O, no randomness, and it writes into nothing that it was given.

The look around an engine is the same for all: what cannot be judged (no price, no catalogue entry)
never reaches it, the guards come after it, a user's forced target does not ask it.
"""

import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.situation import Situation
from spot_optimizer.market.compatibility import incompatibility
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Placement,
)


@runtime_checkable
class Engine(Protocol):
    """Judges one workload at a time; a user's own is an instance of any class that fits."""

    @property
    def name(self) -> str:
        """How settings and tags choose it; lower case letters, digits and ``_``."""

    def judge(self, situation: Situation) -> Outcome:
        """What to do with the workload."""


class InvalidOutcome(Exception):
    """An engine answered what it must not; the text says what."""


Engines = Mapping[str, Engine | str]
"""By name; text in place of an engine says why it could not be loaded."""


def checked(outcome: object, situation: Situation) -> Outcome:
    """``outcome`` if a switch may be made of it. Raises BrokenEngine.

    An engine may rank as it likes, but not send a machine where it cannot run.
    """
    if not isinstance(outcome, Outcome):
        raise InvalidOutcome(f"it answered {type(outcome).__name__}; allowed is Outcome")
    if outcome.kind not in (DecisionKind.STAY, DecisionKind.SWITCH, DecisionKind.FALLBACK):
        raise InvalidOutcome(f"it answered {outcome.kind}; allowed are STAY, SWITCH and FALLBACK")
    if (outcome.kind is DecisionKind.STAY) == bool(outcome.candidates):
        raise InvalidOutcome(f"it answered {outcome.kind} with {len(outcome.candidates)} targets")
    if not isinstance(outcome.reason, str) or not outcome.reason:
        raise InvalidOutcome("it gave no reason")
    scores = [outcome.current_score, *(c.score for c in outcome.candidates)]
    if not all(score is None or math.isfinite(score) for score in scores):
        raise InvalidOutcome(f"its scores are {scores}; allowed are finite numbers and None")
    for key, figure in outcome.figures.items():
        if not isinstance(key, str) or not isinstance(figure, float | int | str | None):
            raise InvalidOutcome(f"its figure {key} = {figure!r} is neither number, text nor None")
    for target in outcome.candidates:
        _check_place(target.placement, target.lifecycle, situation)
        for name in ("spot_usd_per_hour", "forecast_usd_per_hour"):
            if not getattr(target, name) > 0:
                raise InvalidOutcome(
                    f"its target {target.pool} has {name} = {getattr(target, name)}"
                )
    return outcome


def _check_place(place: Placement, lifecycle: Lifecycle, situation: Situation) -> None:
    table, workload, pool = situation.table, situation.workload, place.pool
    known = table.catalog.types.get(pool.instance_type)
    if known is None:
        raise InvalidOutcome(f"its target {pool} is of a type that the catalogue does not know")
    if place.subnet_id not in workload.subnets.get(place.availability_zone, ()):
        raise InvalidOutcome(
            f"its target {pool} has the subnet '{place.subnet_id}', none of the workload's"
        )
    clause = workload.image.incompatibility(known) or incompatibility(
        known, situation.home, may_burst=workload.settings.allow_burstable
    )
    if clause and known.name != situation.home.name:
        raise InvalidOutcome(f"its target {pool} cannot run the machine: {clause}")
    if (pool, lifecycle) == (workload.pool, workload.lifecycle):
        raise InvalidOutcome(f"its target {pool} is where the workload is")
