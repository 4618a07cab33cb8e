"""The things of which the world consists. Descriptions are frozen; what lives changes in place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Pool(Protocol):
    """An instance type in an availability zone."""

    @property
    def instance_type(self) -> str: ...
    @property
    def availability_zone(self) -> str: ...


class PriceHistory(Protocol):
    """Spot prices as changes, USD per hour, product Linux/UNIX."""

    @property
    def pools(self) -> tuple[Any, ...]: ...
    def price_at(self, pool: Any, when: datetime) -> float | None: ...
    def changes(self, pool: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...


LIFECYCLES = ("spot", "on-demand")


@dataclass(frozen=True)
class Zone:
    """An availability zone: its name in this account and its id in all accounts."""

    name: str
    zone_id: str


@dataclass(frozen=True)
class DataVolume:
    """An extra volume of an instance that a scenario launches."""

    device_name: str
    size_gib: int
    volume_type: str = "gp3"
    iops: int | None = None
    throughput_mib_per_s: int | None = None
    encrypted: bool = False
    kms_key_id: str | None = None
    delete_on_termination: bool = False


@dataclass(frozen=True)
class BlockDevice:
    """One EBS device of a launch, with every default filled in."""

    device_name: str
    size_gib: int
    volume_type: str
    iops: int | None
    throughput_mib_per_s: int | None
    encrypted: bool
    kms_key_id: str | None
    snapshot_id: str | None
    delete_on_termination: bool


@dataclass(frozen=True)
class InterfaceSpec:
    """One network interface of a launch; interface_id names an existing one."""

    subnet_id: str
    group_ids: tuple[str, ...]
    device_index: int = 0
    interface_id: str | None = None
    description: str = ""
    delete_on_termination: bool = True
    associate_public_ip: bool | None = None
    private_ip_addresses: tuple[str, ...] = ()
    secondary_count: int = 0
    ipv6_count: int = 0


@dataclass(frozen=True)
class SpotMarket:
    """Market options of a spot launch."""

    request_type: str = "one-time"
    interruption_behavior: str = "terminate"
    max_price: str | None = None


@dataclass(frozen=True)
class LaunchSpec:
    """A launch with template, request and defaults merged and checked."""

    instance_type: str
    image_id: str
    availability_zone: str
    interfaces: tuple[InterfaceSpec, ...]
    block_devices: tuple[BlockDevice, ...]
    spot: SpotMarket | None
    tags: Mapping[str, Mapping[str, str]]
    key_name: str | None
    profile_arn: str | None
    user_data: str
    metadata_options: Mapping[str, Any]
    detailed_monitoring: bool
    ebs_optimized: bool
    tenancy: str
    cpu_credits: str | None
    cpu_options: Mapping[str, int]
    disable_api_termination: bool
    disable_api_stop: bool
    shutdown_behavior: str
    hibernation: bool
    enclave: bool
    auto_recovery: str
    private_dns: Mapping[str, Any]
    license_arns: tuple[str, ...] = ()
    client_token: str | None = None

    @property
    def lifecycle(self) -> str:
        """`spot` or `on-demand`."""
        return "on-demand" if self.spot is None else "spot"


@dataclass
class Instance:
    """An instance; its state is a function of time, held as transitions in time order."""

    instance_id: str
    spec: LaunchSpec
    reservation_id: str
    launch_time: datetime
    transitions: list[tuple[datetime, str]]
    checks_pass_at: datetime
    impaired: bool = False
    launch_index: int = 0
    disable_api_termination: bool = False
    interface_ids: list[str] = field(default_factory=list)
    volume_ids: list[str] = field(default_factory=list)
    spot_request_id: str | None = None
    launched_by: object = None
    terminated_by: object = None
    state_reason: tuple[str, str] | None = None
    transition_reason: str = ""

    @property
    def instance_type(self) -> str:
        """Its type."""
        return self.spec.instance_type

    @property
    def availability_zone(self) -> str:
        """Its availability zone."""
        return self.spec.availability_zone

    @property
    def lifecycle(self) -> str:
        """`spot` or `on-demand`."""
        return self.spec.lifecycle

    def state_at(self, when: datetime) -> str:
        """State name at `when`; `pending` before the first transition."""
        current = "pending"
        for time, state in self.transitions:
            if time > when:
                break
            current = state
        return current

    def change(self, *transitions: tuple[datetime, str]) -> None:
        """Replace what had not happened yet by these transitions."""
        first = transitions[0][0]
        self.transitions = [t for t in self.transitions if t[0] <= first] + list(transitions)

    def running_between(self, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """The spans within [start, end] in which it was running."""
        spans = []
        ends = [time for time, _ in self.transitions[1:]] + [end]
        for (begin, state), finish in zip(self.transitions, ends, strict=True):
            low, high = max(begin, start), min(finish, end)
            if state == "running" and low < high:
                spans.append((low, high))
        return spans

    def terminated_at(self) -> datetime | None:
        """When it reaches or reached `terminated`, None if it was not asked to."""
        return next((time for time, state in self.transitions if state == "terminated"), None)


@dataclass
class Volume:
    """An EBS volume."""

    volume_id: str
    device: BlockDevice
    availability_zone: str
    create_time: datetime
    instance_id: str | None = None


@dataclass
class Interface:
    """An elastic network interface; the first private address is the primary one."""

    interface_id: str
    subnet_id: str
    group_ids: list[str]
    private_ips: list[str]
    description: str
    mac_address: str
    attachment_id: str
    create_time: datetime
    instance_id: str | None = None
    device_index: int = 0
    delete_on_termination: bool = True
    auto_public_ip: str | None = None
    ipv6_addresses: tuple[str, ...] = ()


@dataclass
class Address:
    """An elastic IP address."""

    allocation_id: str
    public_ip: str
    association_id: str | None = None
    interface_id: str | None = None
    private_ip: str | None = None


@dataclass
class Subnet:
    """A subnet; `used` holds the addresses taken."""

    subnet_id: str
    vpc_id: str
    availability_zone: str
    cidr: IPv4Network
    default_for_az: bool
    ipv6_cidr: IPv6Network | None = None
    outpost_arn: str | None = None
    used: set[str] = field(default_factory=set)

    def free_addresses(self) -> int:
        """Addresses left; AWS keeps five of each subnet (VPC guide, subnet sizing)."""
        return self.cidr.num_addresses - 5 - len(self.used)


@dataclass
class RouteTable:
    """A route table and the subnets associated with it explicitly; main serves the rest."""

    route_table_id: str
    vpc_id: str
    main: bool
    subnet_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SecurityGroup:
    """A security group."""

    group_id: str
    name: str
    description: str
    vpc_id: str


@dataclass
class Image:
    """An image (AMI)."""

    image_id: str
    name: str
    architecture: str
    root_device_name: str
    root_size_gib: int
    snapshot_id: str
    creation_date: datetime
    ena_support: bool = True
    boot_mode: str | None = "uefi-preferred"
    platform: str | None = None
    deregistered: bool = False
    devices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Its EBS volumes beside the root: device name -> parameters as EbsBlockDevice spells them."""
    instance_store_devices: tuple[str, ...] = ()
    """Device names that it maps to instance store volumes; they come from the type, if it has any."""

    def snapshot_ids(self) -> set[str]:
        """The snapshots that its volumes are made from."""
        return {self.snapshot_id, *(ebs["SnapshotId"] for ebs in self.devices.values())}


@dataclass
class SpotRequest:
    """A spot instance request."""

    request_id: str
    spec: LaunchSpec
    create_time: datetime
    instance_id: str
    state: str = "active"
    status_code: str = "fulfilled"
    update_time: datetime | None = None


@dataclass
class LaunchTemplate:
    """A launch template; versions are never renumbered."""

    template_id: str
    name: str
    create_time: datetime
    created_by: str
    versions: dict[int, "LaunchTemplateVersion"] = field(default_factory=dict)
    default_version: int = 1
    latest_version: int = 0


@dataclass(frozen=True)
class LaunchTemplateVersion:
    """One immutable version of a launch template."""

    number: int
    description: str | None
    create_time: datetime
    data: Mapping[str, Any]


@dataclass
class Target:
    """A registration with a target group.

    target_id: an instance id, or an address in a group of type ip.
    availability_zone: of an address; `all` or a zone of one's choice when it is outside the VPC.
    """

    target_id: str
    port: int
    registered_at: datetime
    deregistered_at: datetime | None = None
    availability_zone: str | None = None


@dataclass
class TargetGroup:
    """A target group; target_type is `instance` or `ip`.

    enabled_zones: those of the load balancer that uses it, if one does.
    """

    arn: str
    name: str
    protocol: str
    port: int
    vpc_id: str
    has_load_balancer: bool
    deregistration_delay: timedelta
    enabled_zones: tuple[str, ...]
    target_type: str = "instance"
    targets: dict[tuple[str, int], Target] = field(default_factory=dict)


@dataclass(frozen=True)
class CapacityClosure:
    """No capacity for matching pools of a lifecycle in [start, end)."""

    instance_type: str
    availability_zone: str
    lifecycle: str
    start: datetime
    end: datetime
    error: str
    subnet_id: str = "*"
    """Only launches into this subnet; a glob."""


@dataclass(frozen=True)
class CheckFailure:
    """Instances of matching pools launched in [start, end) never pass their checks."""

    instance_type: str
    availability_zone: str
    start: datetime
    end: datetime
