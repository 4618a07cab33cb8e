"""What AWS does by itself: interruptions, capacity, quotas, prices."""

from datetime import UTC, datetime, timedelta

from simulator.world.capacity import FAMILY_CLASSES, family_class
from simulator.world.events import InterruptionWarned, RebalanceRecommended
from simulator.world.instances import FAILED, end_by_ec2, reclaim
from simulator.world.model import (
    LIFECYCLES,
    CapacityClosure,
    CheckFailure,
    Instance,
)
from simulator.world.scheduled_events import HEALTH_TYPES, cancel, schedule
from simulator.world.view import WorldView

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class Conditions(WorldView):
    """Interrupts instances and changes what launches meet."""

    def interrupt(
        self,
        instance_id: str,
        action: str = "terminate",
        warning: timedelta = timedelta(minutes=2),
        *,
        warned: bool = True,
    ) -> None:
        """Take a spot instance back after `warning`; `warned`: subscribers receive the warning now.

        action: terminate, stop or hibernate (EC2 user guide, "Spot Instance interruptions").
        """
        if action not in ("terminate", "stop", "hibernate"):
            raise ValueError(f"action: {action!r} must be 'terminate', 'stop' or 'hibernate'")
        state, instance = self._state, self._spot(instance_id)
        now = state.now()
        if warned:
            state.publish(InterruptionWarned(now, None, instance_id, action))
        state.at(now + warning, lambda: reclaim(state, instance, action))

    def recommend_rebalance(self, instance_id: str) -> None:
        """Say that a spot instance is at an elevated risk of interruption."""
        self._spot(instance_id)
        self._state.publish(RebalanceRecommended(self._state.now(), None, instance_id))

    def schedule_event(
        self, instance_id: str, code: str, notice: timedelta, *, published: bool = True
    ) -> None:
        """Schedule an event of an instance, spot or on-demand, to happen after ``notice``.

        code: a code of API_InstanceStatusEvent. published: subscribers receive it now, as AWS Health
        sends it; DescribeInstanceStatus shows it in any case.
        """
        if code not in HEALTH_TYPES:
            raise ValueError(f"code: {code!r} must be one of {', '.join(HEALTH_TYPES)}")
        state = self._state
        schedule(
            state, self.instances[instance_id], code, state.now() + notice, published=published
        )

    def cancel_events(self, instance_id: str) -> None:
        """Cancel the scheduled events of an instance."""
        cancel(self._state, self.instances[instance_id])

    def fail_hardware(self, instance_id: str) -> None:
        """End an instance, spot or on-demand, whose host has failed."""
        end_by_ec2(self._state, self.instances[instance_id], "terminate", FAILED)

    def _spot(self, instance_id: str) -> Instance:
        instance = self.instances[instance_id]
        if instance.lifecycle != "spot":
            raise ValueError(
                f"instance_id: {instance_id} is on-demand, which EC2 does not take back"
            )
        return instance

    def close_capacity(
        self,
        instance_type: str = "*",
        availability_zone: str = "*",
        lifecycle: str = "*",
        start: datetime = _LONG_AGO,
        end: datetime = _FOREVER,
        error: str = "InsufficientInstanceCapacity",
        subnet_id: str = "*",
    ) -> None:
        """Refuse launches with `error` in matching pools and subnets (globs) from start until end."""
        allowed = (*LIFECYCLES, "*")
        if lifecycle not in allowed:
            raise ValueError(f"lifecycle: {lifecycle!r} must be one of {allowed}")
        self._state.closures.append(
            CapacityClosure(
                instance_type, availability_zone, lifecycle, start, end, error, subnet_id
            )
        )

    def reopen_capacity(self) -> None:
        """Pools that were closed have capacity again from now on."""
        self._state.closures.clear()

    def forget_fleet(self, fleet_id: str) -> None:
        """EC2 forgets this fleet; its instances keep running."""
        del self._state.fleets[fleet_id]

    def fail_status_checks(
        self,
        instance_type: str = "*",
        availability_zone: str = "*",
        start: datetime = _LONG_AGO,
        end: datetime = _FOREVER,
    ) -> None:
        """Instances launched in matching pools (globs) from start until end never pass checks."""
        self._state.check_failures.append(
            CheckFailure(instance_type, availability_zone, start, end)
        )

    def set_quota_vcpu(self, lifecycle: str, instance_type: str, vcpu_count: int) -> None:
        """Limit the vCPUs of a lifecycle in the family class to which the type belongs."""
        self.set_class_quota_vcpu(lifecycle, family_class(instance_type), vcpu_count)

    def set_class_quota_vcpu(self, lifecycle: str, quota_class: str, vcpu_count: int) -> None:
        """Limit the vCPUs of a lifecycle in a family class, one of capacity.FAMILY_CLASSES."""
        if lifecycle not in LIFECYCLES:
            raise ValueError(f"lifecycle: {lifecycle!r} must be 'spot' or 'on-demand'")
        if quota_class not in FAMILY_CLASSES:
            raise ValueError(f"quota_class: {quota_class!r} must be one of {FAMILY_CLASSES}")
        self._state.quotas_vcpu[(lifecycle, quota_class)] = vcpu_count

    def set_listed_price(self, instance_type: str, usd_per_hour: float | None) -> None:
        """From now on the price list shows this on-demand price, or (None) no longer the type."""
        if instance_type not in self._state.on_demand_usd_per_hour:
            raise ValueError(f"instance_type: {instance_type!r} has no on-demand price")
        self._state.listed_usd_per_hour[instance_type] = usd_per_hour
        self._state.caches.pop("price-list", None)
