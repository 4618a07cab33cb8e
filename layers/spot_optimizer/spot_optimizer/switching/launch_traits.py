"""What a machine has, but only some types or lifecycles take at a launch."""

from dataclasses import dataclass

from spot_optimizer.switching.instance_record import (
    FLEET_TAG,
    SWITCH_TAG,
    Record,
    is_burstable,
    lifecycle_of,
    tags_of,
)
from spot_optimizer.vocabulary import Lifecycle


@dataclass(frozen=True, slots=True)
class LaunchTraits:
    """The options of a launch that the workload's template cannot hold; no secrets."""

    cpu_credits: str | None = None
    """``standard`` or ``unlimited``, for T types; None where it has never been known."""
    shutdown_behavior: str | None = None
    """``stop`` or ``terminate``: what a shutdown from inside does, on-demand."""
    capacity_reservation_preference: str | None = None
    """``open`` or ``none``, on-demand."""


def launch_traits(
    source: Record,
    instance: Record,
    cpu_credits: str | None,
    previous: LaunchTraits | None = None,
) -> LaunchTraits:
    """The machine's traits, from GetLaunchTemplateData's ``LaunchTemplateData``, the instance, and
    its credit mode (DescribeInstanceCreditSpecifications).

    What the instance of today cannot show (an m5 has no credit mode, a spot instance no shutdown
    behaviour) stays as it was in ``previous``, so that a detour loses nothing. A machine that a
    rescue's fleet launched runs in the account's default credit mode, whatever the workload had: its
    own mode counts only where none was known before.
    """
    before = previous or LaunchTraits()
    if before.cpu_credits and {SWITCH_TAG, FLEET_TAG} <= tags_of(instance).keys():
        cpu_credits = before.cpu_credits
    burstable = is_burstable(instance["InstanceType"])
    on_demand = lifecycle_of(instance) is Lifecycle.ON_DEMAND
    reservation = instance.get("CapacityReservationSpecification") or {}
    preference = reservation.get("CapacityReservationPreference")
    return LaunchTraits(
        (cpu_credits if burstable else None) or before.cpu_credits,
        (source.get("InstanceInitiatedShutdownBehavior") if on_demand else None)
        or before.shutdown_behavior,
        (preference if on_demand else None) or before.capacity_reservation_preference,
    )
