"""Termination and stop protection, and other obstacles that take a call of their own: a filter on
adopted instances.

What such a call shows is known only of instances that this cycle has read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from spot_optimizer.switching.adoption import Adopted, Adoption, Refused
from spot_optimizer.vocabulary import TAG_PREFIX


@dataclass(frozen=True, slots=True)
class Protections:
    """What DescribeInstanceAttribute (or GetLaunchTemplateData), and the spot request, show of one
    instance."""

    termination: bool
    """``disableApiTermination``"""
    stop: bool
    """``disableApiStop``"""
    joins_ecs_cluster: bool = False
    """Whether its user data configures an ECS container agent."""
    spot_block_minutes: int = 0
    """``BlockDurationMinutes`` of its spot request; 0 for any other instance."""


def refuse_protected(
    adopted: Iterable[Adopted], protections: Mapping[str, Protections]
) -> Adoption:
    """The instances that their protection allows to manage, and those that it does not.

    ``protections``: by instance id; an instance that is missing there is not judged.
    """
    allowed: list[Adopted] = []
    refused: list[Refused] = []
    for each in adopted:
        protection = protections.get(each.instance_id, Protections(False, False))
        reasons = _reasons(each, protection)
        if reasons:
            refused.append(Refused(each.instance_id, each.workload_id, "; ".join(reasons)))
        elif protection.termination:
            warning = (
                "spot instances cannot have termination protection: a spot replacement has none"
            )
            allowed.append(replace(each, warnings=(*each.warnings, warning)))
        else:
            allowed.append(each)
    return Adoption(tuple(allowed), tuple(refused))


def _reasons(adopted: Adopted, protection: Protections) -> list[str]:
    reasons = []
    if protection.termination and adopted.settings.auto_terminate:
        reasons.append(
            f"turn its termination protection off, or tag it {TAG_PREFIX}auto-terminate = false: a switch"
            " terminates the original, and its termination protection is on"
        )
    if protection.stop:
        reasons.append("turn its stop protection off: a replacement cannot be given it")
    if protection.joins_ecs_cluster:
        reasons.append(
            "it is an ECS container instance (its user data joins a cluster), whose tasks must be drained"
            " first"
        )
    if protection.spot_block_minutes:
        reasons.append(
            f"it is a spot block of {protection.spot_block_minutes} minutes, which EC2 ends then: a"
            " replacement would keep it running"
        )
    return reasons
