"""Launch options that only some types or lifecycles accept: a template cannot have them."""

from dataclasses import dataclass

from spot_optimizer.contracts.switch import LaunchTemplateRef
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
    """Launch options that the workload's template cannot have; no secrets."""

    cpu_credits: str | None = None
    """``standard`` or ``unlimited``, for T types; None if it was never known."""
    shutdown_behavior: str | None = None
    """``stop`` or ``terminate``: what a shutdown by the operating system does, on-demand."""
    capacity_reservation_preference: str | None = None
    """``open`` or ``none``, on-demand."""


def launch_traits(
    source: Record,
    instance: Record,
    cpu_credits: str | None,
    previous: LaunchTraits | None = None,
) -> LaunchTraits:
    """The workload's traits, from GetLaunchTemplateData's ``LaunchTemplateData``, the instance, and
    its credit mode (DescribeInstanceCreditSpecifications).

    What the current instance cannot show (an m5 has no credit mode, a spot instance no shutdown
    behavior) stays as in ``previous``. An instance that a failover's fleet launched has the account's
    default credit mode, whatever the workload had: it counts only if no mode was known before.
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


def traits_of(template: LaunchTemplateRef) -> LaunchTraits:
    """The traits that a reference has in addition to the template's data."""
    return LaunchTraits(
        template.cpu_credits,
        template.shutdown_behavior,
        template.capacity_reservation_preference,
    )
