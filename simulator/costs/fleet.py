"""Typical workloads of an account, for estimating the cost of a stack."""

from simulator.scenario import Curve, Scenario, WorkloadSpec

__all__ = ["INTERRUPTED_PER_MONTH", "MIX", "typical_fleet"]

_TYPES = (
    ("m5.large", 2, 8),
    ("c5.xlarge", 4, 8),
    ("r5.large", 2, 16),
    ("m6i.xlarge", 4, 16),
    ("t3.medium", 2, 4),
    ("c6i.large", 2, 4),
    ("m5.2xlarge", 8, 32),
    ("r6i.xlarge", 4, 32),
    ("m6a.large", 2, 8),
    ("c5.2xlarge", 8, 16),
)
_ON_DEMAND_EVERY = 10
_BUSY_EVERY = 4
"""One workload in so many uses three quarters of its CPU, and is therefore judged every hour."""
_MEMORY_EVERY = 2
"""One workload in so many has the CloudWatch agent."""

INTERRUPTED_PER_MONTH = 0.10
"""Share of the workloads that EC2 interrupts in a month: the Spot Advisor's second bucket."""

MIX = (
    "ten types, one in ten on-demand at first, one in four uses 75 % of its CPU and the others half,"
    " every second with the CloudWatch agent; EC2 interrupts one in ten a month"
)


def typical_fleet(workloads: int) -> Scenario:
    """So many workloads that act."""
    return Scenario(
        name=f"{workloads} workloads",
        workloads=tuple(_workload(number) for number in range(workloads)),
        parameters={"DryRun": "false"},
    )


def _workload(number: int) -> WorkloadSpec:
    name, vcpu, memory_gib = _TYPES[number % len(_TYPES)]
    turn = number // len(_TYPES)
    busy = (number + turn) % _BUSY_EVERY == 0
    with_agent = (number + turn) % _MEMORY_EVERY == 0
    return WorkloadSpec(
        name=f"w-{number:05d}",
        shows="",
        instance_type=name,
        lifecycle="on-demand" if (number + turn) % _ON_DEMAND_EVERY == 0 else "spot",
        placement="cheapest",
        cpu_vcpu=Curve.flat(vcpu * (0.75 if busy else 0.5)),
        memory_gib=Curve.flat(memory_gib * 0.5) if with_agent else None,
        tags={"state": "stateless"},
    )
