"""The workloads of a cycle, with all that a decision looks at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from spot_optimizer.aws.ledger.items import (
    PAST_SWITCHES_KEPT,
    ScheduledStopItem,
    WorkloadItem,
    pool_from_text,
)
from spot_optimizer.decision.guards.state_tag import StateRule
from spot_optimizer.decision.scheduled_stop import ScheduledStop
from spot_optimizer.decision.world import PastSwitch, WorkloadView
from spot_optimizer.settings import Settings
from spot_optimizer.switching.adoption import Adopted
from spot_optimizer.switching.instance_record import Record, lifecycle_of
from spot_optimizer.usage.usage import Usage

NOT_SERVED = "its load balancer does not serve this zone; enable the zone for it"


@dataclass(frozen=True, slots=True)
class ManagedWorkload:
    """One adopted workload: its instance, what its team allows, what the ledger holds."""

    adopted: Adopted
    instance: Record
    item: WorkloadItem
    settings: Settings
    subnets: Mapping[str, tuple[str, ...]]
    """Zone -> ids of the subnets to launch in, the preferred one first."""
    refused_zones: Mapping[str, str]
    """Zone with subnets, but none to launch in -> the reason."""
    owes_hand_over: bool = False
    """Its instance still lacks target groups or addresses of the instance before it."""

    @property
    def workload_id(self) -> str:
        return self.item.workload_id

    @property
    def is_held(self) -> bool:
        """Whether nothing of it is moved, because the tag ``state`` is missing."""
        return self.item.state_rule == StateRule.HELD

    def served_in(self, zones: Iterable[str]) -> "ManagedWorkload":
        """The workload without the zones that its load balancers do not serve.

        ``zones``: the zones that they serve. The workload's own zone stays: a replacement there is
        served as the original is, and it may be the only zone left.
        """
        dropped = self.subnets.keys() - {*zones, self.instance["Placement"]["AvailabilityZone"]}
        if not dropped:
            return self
        return replace(
            self,
            subnets={z: ids for z, ids in self.subnets.items() if z not in dropped},
            refused_zones={**self.refused_zones, **dict.fromkeys(sorted(dropped), NOT_SERVED)},
        )

    @property
    def scheduled_stop_item(self) -> ScheduledStopItem | None:
        """What EC2 has announced about this run of the instance."""
        stop, instance = self.item.scheduled_stop, self.instance
        holds = stop is not None and stop.holds_for(instance["InstanceId"], instance["LaunchTime"])
        return stop if holds else None

    def view(self, usage: Usage | None, now: datetime) -> WorkloadView:
        """The workload as the pure core sees it."""
        item, instance, stop = self.item, self.instance, self.scheduled_stop_item
        return WorkloadView(
            workload_id=item.workload_id,
            instance_id=instance["InstanceId"],
            instance_type=instance["InstanceType"],
            availability_zone=instance["Placement"]["AvailabilityZone"],
            lifecycle=lifecycle_of(instance),
            launched_at=instance["LaunchTime"],
            home_type=item.home_type,
            settings=self.settings,
            mode=item.mode or self.adopted.mode,
            type_globs=self.adopted.type_globs,
            subnets=self.subnets,
            refused_zones=self.refused_zones,
            usage=usage,
            signals={pool_from_text(text): at for text, at in item.signals.items()},
            sized_up_at=item.sized_up_at,
            fallback_pending_since=item.fallback_pending_since,
            cooldown_until=item.cooldown_until,
            backoff_until=item.backoff_until,
            breaker_open=item.breaker_open_since is not None,
            live_switch_id=item.claim_switch_id if item.claim_is_live(now) else None,
            image=self.adopted.image,
            windows=self.adopted.windows,
            not_before=self.adopted.not_before,
            launch_problem=self.adopted.launch_problem,
            state_missing=self.is_held,
            moves=tuple(
                PastSwitch(each.at, each.lifecycle, each.planned)
                for each in item.past_switches
                if now - each.at < PAST_SWITCHES_KEPT
            ),
            owes_hand_over=self.owes_hand_over,
            scheduled_stop=ScheduledStop(stop.at, stop.code) if stop else None,
        )


@dataclass(frozen=True, slots=True)
class Inventory:
    """All workloads that this cycle may decide upon."""

    workloads: tuple[ManagedWorkload, ...]
    refused: int
    waiting: int
    """New and changed instances that a later cycle reads."""
    read: frozenset[str]
    """Ids of workloads whose instance is new or was changed, and was read in this cycle."""

    def at_rest(self, planned: Iterable[str]) -> dict[str, Record]:
        """Workload id -> instance, of running instances that no switch replaces at the moment and that
        are owed nothing: until then the plan says what the instance before had.

        ``planned``: ids of the workloads with a standing plan; others are not in the answer.
        """
        with_plan = frozenset(planned)
        return {
            each.workload_id: each.instance
            for each in self.workloads
            if each.item.claim_switch_id is None
            and not each.owes_hand_over
            and each.instance["State"]["Name"] == "running"
            and each.workload_id in with_plan
        }
