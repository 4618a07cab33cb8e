"""What limits launches: quotas, capacity, price pools.

Sources: EC2 user guide "Amazon EC2 instance type quotas" and "Spot Instance limits" (vCPUs by
family class, spot and on-demand apart), "Error codes for the Amazon EC2 API".
"""

from fnmatch import fnmatchcase
from typing import Final

from simulator.world.catalog import vcpus, zones_offering
from simulator.world.errors import AwsError
from simulator.world.state import WorldState

_CLASS_BY_FAMILY_START: Final = (
    ("hpc", "HPC"),
    ("inf", "Inf"),
    ("trn", "Trn"),
    ("dl", "DL"),
    ("vt", "G and VT"),
    ("u-", "High Memory"),
    ("u7", "High Memory"),
    ("mac", "Mac"),
    ("f", "F"),
    ("g", "G and VT"),
    ("p", "P"),
    ("x", "X"),
)
FAMILY_CLASSES: Final = (
    "Standard",
    *sorted({name for _, name in _CLASS_BY_FAMILY_START}),
)
"""Each has its own quota, for spot and for on-demand."""


def family_class(instance_type: str) -> str:
    """The quota bucket of a type; `Standard` holds A, C, D, H, I, M, R, T and Z."""
    for start, name in _CLASS_BY_FAMILY_START:
        if instance_type.startswith(start):
            return name
    return "Standard"


def check_quota(state: WorldState, instance_type: str, lifecycle: str, count: int) -> None:
    """Raise MaxSpotInstanceCountExceeded or VcpuLimitExceeded when the launch would pass the
    quota: spot counts while pending or running, and so does on-demand."""
    bucket = family_class(instance_type)
    limit = state.quotas_vcpu.get((lifecycle, bucket), state.limits.quota_vcpu)
    now = state.now()
    used = sum(
        vcpus(instance.instance_type)
        for instance in state.instances.values()
        if instance.lifecycle == lifecycle
        and family_class(instance.instance_type) == bucket
        and instance.state_at(now) in ("pending", "running")
    )
    if used + count * vcpus(instance_type) <= limit:
        return
    if lifecycle == "spot":
        raise AwsError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    raise AwsError(
        "VcpuLimitExceeded",
        f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows "
        "for the instance bucket that the specified instance type belongs to. Please visit "
        "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
    )


def closed_with(
    state: WorldState,
    instance_type: str,
    availability_zone: str,
    lifecycle: str,
    subnet_id: str = "",
) -> str | None:
    """The error code with which a pool refuses launches now, None when it has capacity.

    A pool without a spot price has never had spot capacity.
    """
    now = state.now()
    for closure in state.closures:
        if (
            closure.lifecycle in (lifecycle, "*")
            and closure.start <= now < closure.end
            and fnmatchcase(instance_type, closure.instance_type)
            and fnmatchcase(availability_zone, closure.availability_zone)
            and fnmatchcase(subnet_id, closure.subnet_id)
        ):
            return closure.error
    if lifecycle == "spot":
        pool = state.pools.get((instance_type, availability_zone))
        if pool is None or state.prices.price_at(pool, now) is None:
            return "InsufficientInstanceCapacity"
    return None


def check_capacity(
    state: WorldState,
    instance_type: str,
    availability_zone: str,
    lifecycle: str,
    subnet_id: str = "",
) -> None:
    """Raise the error of a closed pool, or of a subnet that is closed for it."""
    code = closed_with(state, instance_type, availability_zone, lifecycle, subnet_id)
    if code is None:
        return
    if code == "InsufficientFreeAddressesInSubnet":
        raise AwsError(code, f"There are not enough free addresses in subnet '{subnet_id}'.")
    if lifecycle == "spot":
        raise AwsError(code, "There is no Spot capacity available that matches your request.")
    others = [
        zone
        for zone in zones_offering(state, instance_type)
        if closed_with(state, instance_type, zone, lifecycle) is None
    ]
    raise AwsError(
        code,
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone "
        f"you requested ({availability_zone}). Our system will be working on provisioning "
        f"additional capacity. You can currently get {instance_type} capacity by not specifying "
        "an Availability Zone in your request"
        + (f" or choosing {', '.join(others)}." if others else "."),
    )


def scarcity(state: WorldState, instance_type: str, availability_zone: str) -> int:
    """1 where spot capacity is scarce in this hour (a fifth of the pools, drawn), else 0.

    It is what makes a capacity-optimized fleet treat priorities as best effort (API_CreateFleet,
    SpotOptionsRequest.AllocationStrategy).
    """
    hour = int(state.now().timestamp() // 3600)
    return int(state.fraction("scarcity", instance_type, availability_zone, hour) < 0.2)
