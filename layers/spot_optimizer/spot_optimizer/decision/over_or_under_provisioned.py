"""Whether a workload's instance is too large, too small or right for its usage."""

from dataclasses import dataclass
from enum import StrEnum

from spot_optimizer.market.catalog import InstanceType
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage

UNDER_COUNT_MIN = 4
"""How many of the last twelve five-minute means must exceed the limit."""
RECENT_MEANS = 12
RIGHTSIZE_DOWN_HOURS_MIN = 30
"""Hours of usage data before a smaller type is considered, as AWS Compute Optimizer requires for EC2
instances (its user guide, "Resource requirements")."""


class UsageClass(StrEnum):
    """How the size of an instance fits its usage."""

    OVER = "over-provisioned"
    UNDER = "under-provisioned"
    RIGHT = "right-sized"


@dataclass(frozen=True, slots=True)
class UsageVerdict:
    """The class, the reason in words, and for UNDER what is short."""

    usage_class: UsageClass
    reason: str
    cpu_short: bool = False
    memory_short: bool = False


def classify_usage(
    usage: Usage | None, current: InstanceType | None, settings: Settings
) -> UsageVerdict:
    """The class of a workload on an instance of type ``current``.

    Too small takes precedence over too large: a burst now outweighs a quiet week. If memory usage is
    unknown, CPU usage decides.
    """
    if usage is None:
        return UsageVerdict(UsageClass.RIGHT, "usage unknown")
    if current is None:
        return UsageVerdict(UsageClass.RIGHT, "usage cannot be judged: unknown instance type")
    limit = settings.under_fraction
    cpu_count = _count_above(usage.recent_cpu_vcpu, limit * current.vcpu)
    memory_count = _count_above(usage.recent_memory_gib, limit * current.memory_gib)
    cpu_short, memory_short = cpu_count >= UNDER_COUNT_MIN, memory_count >= UNDER_COUNT_MIN
    if cpu_short or memory_short:
        what = " and ".join(
            f"{name} above {100 * limit:.0f} % in {count} of the last {RECENT_MEANS} five-minute means"
            for name, count, short in (
                ("CPU", cpu_count, cpu_short),
                ("memory", memory_count, memory_short),
            )
            if short
        )
        return UsageVerdict(UsageClass.UNDER, what, cpu_short, memory_short)
    return _over_or_right(usage, current, settings)


def _over_or_right(usage: Usage, current: InstanceType, settings: Settings) -> UsageVerdict:
    cpu = usage.cpu_p95_vcpu / current.vcpu
    text = f"CPU p95 {100 * cpu:.0f} %"
    over = cpu < settings.over_cpu_fraction
    if usage.memory_p95_gib is None:
        text += ", memory unknown"
    else:
        memory = usage.memory_p95_gib / current.memory_gib
        text += f", memory p95 {100 * memory:.0f} %"
        over = over and memory < settings.over_memory_fraction
    return UsageVerdict(UsageClass.OVER if over else UsageClass.RIGHT, f"{text} of {current.name}")


def _count_above(means: tuple[float, ...], limit: float) -> int:
    return sum(mean > limit for mean in means[-RECENT_MEANS:])
