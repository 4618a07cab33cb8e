"""Over-provisioned, under-provisioned or right, from p95 usage."""

import pytest

from spot_optimizer.decision.over_or_under_provisioned import UsageClass, classify_usage
from spot_optimizer.settings import Settings
from spot_optimizer.usage.usage import Usage
from tests.decision.worlds import NOW, TYPES

XLARGE = TYPES["m5.xlarge"]
OVER, UNDER, RIGHT = UsageClass.OVER, UsageClass.UNDER, UsageClass.RIGHT


@pytest.mark.parametrize(
    ("cpu", "memory", "verdict"),
    [
        (1.19, 6.39, OVER),
        (1.20, 6.39, RIGHT),
        (1.19, 6.40, RIGHT),
        (1.19, None, OVER),
        (1.20, None, RIGHT),
        (float("nan"), None, RIGHT),
    ],
)
def test_over_provisioned_is_cpu_below_30_and_memory_below_40_percent(
    cpu: float, memory: float | None, verdict: UsageClass
) -> None:
    """Of 4 vCPU and 16 GiB; unknown memory leaves it to the CPU."""
    usage = Usage(NOW, cpu, memory, 168.0)
    assert classify_usage(usage, XLARGE, Settings()).usage_class is verdict


@pytest.mark.parametrize(("count", "verdict"), [(3, RIGHT), (4, UNDER), (12, UNDER)])
@pytest.mark.parametrize("short", ["cpu", "memory", "both"])
def test_under_provisioned_is_four_of_twelve_means_above_80_percent(
    count: int, verdict: UsageClass, short: str
) -> None:
    """CPU or memory is enough, and the verdict says which."""
    usage = Usage(
        NOW,
        2.0,
        8.0,
        168.0,
        recent_cpu_vcpu=(3.21,) * count + (3.2,) * (12 - count) if short != "memory" else (),
        recent_memory_gib=(12.9,) * count + (12.8,) * (12 - count) if short != "cpu" else (),
    )
    result = classify_usage(usage, XLARGE, Settings())
    assert result.usage_class is verdict
    if verdict is UNDER:
        assert result.cpu_short == (short in ("cpu", "both"))
        assert result.memory_short == (short in ("memory", "both"))
        assert f"{count} of the last 12" in result.reason


def test_only_the_last_twelve_means_count() -> None:
    """A burst of two hours ago is over."""
    usage = Usage(NOW, 2.0, 8.0, 168.0, recent_cpu_vcpu=(4.0,) * 9 + (0.5,) * 12)
    assert classify_usage(usage, XLARGE, Settings()).usage_class is RIGHT


def test_a_burst_now_outweighs_a_quiet_week() -> None:
    """Both limits met: too small wins."""
    usage = Usage(NOW, 0.5, 2.0, 168.0, recent_cpu_vcpu=(4.0,) * 4)
    assert classify_usage(usage, XLARGE, Settings()).usage_class is UNDER


def test_unknown_usage_or_type_is_right_sized_and_says_so() -> None:
    """Nothing is resized on no knowledge."""
    unknown = classify_usage(None, XLARGE, Settings())
    assert (unknown.usage_class, unknown.reason) == (RIGHT, "usage unknown")
    foreign = classify_usage(Usage(NOW, 0.1, 0.1, 168.0), None, Settings())
    assert foreign.usage_class is RIGHT
    assert "unknown instance type" in foreign.reason
