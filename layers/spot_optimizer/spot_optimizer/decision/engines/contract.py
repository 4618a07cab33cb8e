"""The contract of engines.

An engine gets the :class:`Situation` of one workload (its place and prices, usage, settings, the market
as columns) and returns an :class:`Outcome`: STAY, SWITCH or FALLBACK, the candidates with their scores,
the selection of pools with the reasons for rejections, and one sentence. It is pure: no clock, no I/O,
no randomness, and it does not modify its argument.

The frame around an engine is the same for all: workloads that cannot be judged (no price, no catalog
entry) and targets that a user forces do not reach it, and the guards come after it.

Public API for engines of your own, all under ``spot_optimizer.``:

- ``decision.engines.contract``: ``Engine``;
- ``decision.engines.staged``: ``StagedEngine``, ``RULE_OF_STATE``;
- ``decision.situation``: ``Situation``, ``State``; ``decision.world``: ``WorkloadView``;
- ``decision.outcome``: ``Outcome``, ``leave_unbearable``, ``fall_back``, ``resized``, ``place_of``,
  ``against``;
- ``decision.decision``: ``Candidate``, ``Rejection``;
- ``decision.ranking``: ``select``, ``on_demand_candidates``;
- ``decision.selection``: ``Selection``, ``Stage``, ``spot_candidate``;
- ``decision.rightsizing``: ``want_at_least_home``, ``want_when_urgent``, ``want_one_size_up``,
  ``want_smaller``, ``no_smaller_than_the_best``, ``gain_points``;
- ``decision.stages``: ``Want``, ``Safety``, ``Reason``; ``decision.market_table``: ``MarketTable``;
- ``vocabulary``: ``DecisionKind``, ``Rule``, ``Lifecycle``, ``Pool``, ``Placement``.
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
    """Judges one workload at a time; an instance of any class with these members is an engine."""

    @property
    def name(self) -> str:
        """The name by which settings and tags select it: lower case letters, digits and ``_``."""

    def judge(self, situation: Situation) -> Outcome:
        """What to do with the workload."""


class InvalidOutcome(Exception):
    """An engine returned an invalid outcome; the text says what is wrong with it."""


Engines = Mapping[str, Engine | str]
"""Name -> engine, or the reason why it could not be loaded."""


def checked(outcome: object, situation: Situation) -> Outcome:
    """``outcome`` if it is valid: an engine may rank pools in any way, but may not choose a place where
    the workload cannot run. Raises InvalidOutcome."""
    if not isinstance(outcome, Outcome):
        raise InvalidOutcome(f"an engine returned {type(outcome).__name__}; allowed is Outcome")
    if outcome.kind not in (DecisionKind.STAY, DecisionKind.SWITCH, DecisionKind.FALLBACK):
        raise InvalidOutcome(
            f"an engine returned {outcome.kind}; allowed are STAY, SWITCH and FALLBACK"
        )
    if (outcome.kind is DecisionKind.STAY) == bool(outcome.candidates):
        raise InvalidOutcome(
            f"an engine returned {outcome.kind} with {len(outcome.candidates)} candidates"
        )
    if not isinstance(outcome.reason, str) or not outcome.reason:
        raise InvalidOutcome("an engine returned no reason")
    scores = [outcome.current_score, *(c.score for c in outcome.candidates)]
    if not all(score is None or math.isfinite(score) for score in scores):
        raise InvalidOutcome(
            f"an engine returned the scores {scores}; allowed are finite numbers and None"
        )
    for key, figure in outcome.figures.items():
        if not isinstance(key, str) or not isinstance(figure, float | int | str | None):
            raise InvalidOutcome(
                f"an engine returned the figure {key} = {figure!r}; allowed are numbers, text and None"
            )
    for target in outcome.candidates:
        _check_place(target.placement, target.lifecycle, situation)
        for name in ("spot_usd_per_hour", "forecast_usd_per_hour"):
            if not getattr(target, name) > 0:
                raise InvalidOutcome(
                    f"an engine returned {target.pool} with {name} = {getattr(target, name)}"
                )
    return outcome


def _check_place(place: Placement, lifecycle: Lifecycle, situation: Situation) -> None:
    table, workload, pool = situation.table, situation.workload, place.pool
    known = table.catalog.types.get(pool.instance_type)
    if known is None:
        raise InvalidOutcome(f"an engine returned {pool}, whose type is not in the catalog")
    if place.subnet_id not in workload.subnets.get(place.availability_zone, ()):
        raise InvalidOutcome(
            f"an engine returned {pool} with the subnet '{place.subnet_id}', none of the workload's"
        )
    clause = workload.image.incompatibility(known) or incompatibility(
        known, situation.home, may_burst=workload.settings.allow_burstable
    )
    if clause and known.name != situation.home.name:
        raise InvalidOutcome(f"an engine returned {pool}, which cannot host the workload: {clause}")
    here = (pool, lifecycle) == (workload.pool, workload.lifecycle)
    if here and not situation.only_instance:
        raise InvalidOutcome(f"an engine returned {pool}, where the workload already runs")
