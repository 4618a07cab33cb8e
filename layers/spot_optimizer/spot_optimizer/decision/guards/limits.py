"""The limits that the switches of one cycle share: switches in flight, switches into one pool, families.

Urgent switches go first, then the greatest forecast saving. A planned switch whose best pool is full
takes its next candidate, because every candidate is worth the switch; but if that one costs so much more
that the workload would leave it again, the switch waits for the next cycle.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from spot_optimizer.decision.decision import Candidate, Decision
from spot_optimizer.decision.world import World
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Lifecycle, Pool, Rule

DIVERSITY_FROM_WORKLOADS = 10
"""The share of one family is limited from this number of workloads on."""
RIGHTSIZING = (Rule.SIZE_UP, Rule.SIZE_DOWN)


def allot(decisions: Sequence[Decision], world: World) -> list[Decision]:
    """The decisions in the order of precedence, with ``held_by`` set if a limit holds them, and with the
    candidates that the limits allow. ``decisions`` are those that no other guard holds."""
    waiting = sorted(
        decisions, key=lambda d: (not d.urgent, -d.saving_forecast_usd_per_hour, d.workload_id)
    )
    settings = {w.workload_id: w.settings for w in world.workloads}
    limits = _Limits.of(waiting, world, settings)
    return [limits.take(decision, settings[decision.workload_id]) for decision in waiting]


@dataclass
class _Limits:
    """The counts so far while the switches of a cycle are admitted."""

    in_flight: int
    pool_max: int
    """Planned switches of this cycle into one pool."""
    pools: Counter[Pool] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    workloads: int = 0
    family_of: dict[str, str] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, waiting: Sequence[Decision], world: World, settings: dict[str, Settings]
    ) -> "_Limits":
        family_of = {w.workload_id: _family(w.instance_type) for w in world.workloads}
        planned = [d for d in waiting if not d.urgent and d.workload_id not in world.force]
        pool_max = 1
        if planned:
            shared = settings[planned[0].workload_id]
            others = len(waiting) - len(planned)
            room = int(shared.switches_in_flight_max) - world.stack.switches_in_flight - others
            moves = min(len(planned), max(room, 0))
            pool_max = max(1, math.floor(shared.moves_into_one_pool_fraction * moves + 1e-9))
        return cls(
            in_flight=world.stack.switches_in_flight,
            pool_max=pool_max,
            families=Counter(family_of.values()),
            workloads=len(family_of),
            family_of=family_of,
            forced=frozenset(world.force),
        )

    def take(self, decision: Decision, settings: Settings) -> Decision:
        most = int(settings.switches_in_flight_max)
        if self.in_flight >= most:
            return replace(
                decision, held_by=f"at most {most} switches in flight: waits for one of them to end"
            )
        if not decision.urgent and decision.workload_id not in self.forced:
            decision = self._spread(decision, settings)
        if not decision.held_by:
            self._count(decision)
        return decision

    def _spread(self, decision: Decision, settings: Settings) -> Decision:
        own = self.family_of[decision.workload_id]
        lasting = [self._family_is_full(c, own, settings) for c in decision.candidates]
        transient = [self._pool_is_full(c, settings) for c in decision.candidates]
        hurdles = [one or other for one, other in zip(lasting, transient, strict=True)]
        first = hurdles[0]
        if not any(hurdles):
            return decision
        open_to_it = [
            c for c, hurdle in zip(decision.candidates, lasting, strict=True) if not hurdle
        ]
        allowed = tuple(
            c for c, hurdle in zip(decision.candidates, hurdles, strict=True) if not hurdle
        )
        # The first candidate of a right-sizing becomes the home type, so no other may replace it.
        if not allowed or (first and decision.row in RIGHTSIZING):
            return replace(decision, held_by=first)
        # A pool is full for this cycle only: taking one that would be left again costs a switch.
        if _is_left_again(allowed[0], open_to_it[0], settings):
            return replace(decision, held_by=first)
        if not first:
            return replace(decision, candidates=allowed)
        planned, taken = decision.candidates[0], allowed[0]
        saving_spot = decision.saving_spot_usd_per_hour
        if saving_spot is not None:
            saving_spot += planned.spot_usd_per_hour - taken.spot_usd_per_hour
        return replace(
            decision,
            candidates=allowed,
            saving_spot_usd_per_hour=saving_spot,
            saving_forecast_usd_per_hour=decision.saving_forecast_usd_per_hour
            + (planned.forecast_usd_per_hour - taken.forecast_usd_per_hour),
            reason=f"{decision.reason}; {taken.pool} instead, because {first}",
        )

    def _pool_is_full(self, candidate: Candidate, settings: Settings) -> str:
        pool = candidate.pool
        if candidate.lifecycle is Lifecycle.ON_DEMAND or self.pools[pool] < self.pool_max:
            return ""
        share = 100 * settings.moves_into_one_pool_fraction
        return (
            f"{self.pools[pool]} switches of this cycle go to {pool}, at most {share:.0f} % of them"
        )

    def _family_is_full(self, candidate: Candidate, own: str, settings: Settings) -> str:
        family, limit = _family(candidate.instance_type), settings.family_share_max_fraction
        too_many = self.families[family] + 1 > limit * self.workloads + 1e-9
        spread = self.workloads >= DIVERSITY_FROM_WORKLOADS
        if candidate.lifecycle is Lifecycle.ON_DEMAND or family == own or not (spread and too_many):
            return ""
        return (
            f"{self.families[family]} of {self.workloads} workloads are on {family}, "
            f"at most {100 * limit:.0f} %"
        )

    def _count(self, decision: Decision) -> None:
        target, workload_id = decision.candidates[0], decision.workload_id
        self.in_flight += 1
        if not decision.urgent:
            self.pools[target.pool] += 1
        family = _family(target.instance_type)
        self.families[self.family_of[workload_id]] -= 1
        self.families[family] += 1
        self.family_of[workload_id] = family


def _family(instance_type: str) -> str:
    return instance_type.partition(".")[0]


def _is_left_again(taken: Candidate, best: Candidate, settings: Settings) -> bool:
    return best.discount_points - taken.discount_points >= settings.switch_gain_points
