"""The comparison of a replacement with its original, before the hand-over.

Any difference without an explanation undoes the switch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from spot_optimizer.switching.difference import Difference, value_differences
from spot_optimizer.switching.instance_identity import (
    InstanceIdentity,
    identity_differences,
    identity_of,
)
from spot_optimizer.switching.instance_record import Record, is_burstable, lifecycle_of
from spot_optimizer.switching.instance_state import InstanceState, state_differences, state_of
from spot_optimizer.vocabulary import Lifecycle


@dataclass(frozen=True, slots=True)
class Expected:
    """What the switch set out to launch."""

    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    cpu_credits: str | None = None
    """The workload's credit mode, which it keeps while it runs on types without (``LaunchTraits``)."""
    original_as_read: bool = False
    """The original is unchanged since it was read into its launch template."""


@dataclass(frozen=True, slots=True)
class DescribedInstance:
    """An instance, ready to be compared."""

    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle
    identity: InstanceIdentity
    state: InstanceState

    @property
    def pending(self) -> tuple[str, ...]:
        """What EC2 is still setting up, so that it cannot be compared yet."""
        return self.state.pending


def described_instance(
    instance: Record,
    volumes: Iterable[Record],
    *,
    user_data_hash: str,
    cpu_credits: str | None = None,
    shutdown_behavior: str | None = None,
    termination_protection: bool | None = None,
) -> DescribedInstance:
    """An instance from DescribeInstances and DescribeVolumes; the keywords come from other calls."""
    return DescribedInstance(
        instance_type=instance["InstanceType"],
        availability_zone=instance["Placement"]["AvailabilityZone"],
        lifecycle=lifecycle_of(instance),
        identity=identity_of(
            instance,
            user_data_hash=user_data_hash,
            cpu_credits=cpu_credits,
            shutdown_behavior=shutdown_behavior,
            termination_protection=termination_protection,
        ),
        state=state_of(instance, volumes),
    )


def differences(
    original: DescribedInstance, replacement: DescribedInstance, expected: Expected
) -> list[Difference]:
    """What differs, in a fixed order: place, identity, state.

    Only meaningful once neither instance has anything ``pending``.
    """
    place = value_differences(
        [
            ("instance type", expected.instance_type, replacement.instance_type),
            ("availability zone", expected.availability_zone, replacement.availability_zone),
            ("lifecycle", expected.lifecycle.value, replacement.lifecycle.value),
        ]
    )
    burstable = is_burstable(replacement.instance_type)
    cpu_credits = expected.cpu_credits or original.identity.cpu_credits
    as_read = expected.original_as_read
    return [
        *place,
        *identity_differences(
            original.identity,
            replacement.identity,
            cpu_credits=cpu_credits if burstable else None,
            original_as_read=as_read,
        ),
        *state_differences(original.state, replacement.state, original_as_read=as_read),
    ]
