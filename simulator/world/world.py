"""The world: dispatch of AWS calls, and what scenarios and tests do to it."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.limits import LIMITS, Limits
from simulator.permissions.demand import Demand
from simulator.world import (  # noqa: F401 - imported for the operations that they register
    advisor,
    classic_load_balancing,
    fleets,
    instance_queries,
    load_balancing,
    price_list,
    spot_prices,
    spot_requests,
)
from simulator.world.addresses import new_address, point
from simulator.world.advisor import SpotAdvisor
from simulator.world.authorization import demands_of, demands_of_overrides
from simulator.world.capacity import FAMILY_CLASSES, family_class
from simulator.world.catalog import instance_types, zones_of
from simulator.world.errors import AwsError, NotModelled
from simulator.world.events import InterruptionWarned, RebalanceRecommended, WorldEvent
from simulator.world.instances import USER_INITIATED, create, reclaim, terminate
from simulator.world.launch import resolve
from simulator.world.metrics import Load
from simulator.world.model import (
    CapacityClosure,
    CheckFailure,
    DataVolume,
    Image,
    Instance,
    PriceHistory,
    RouteTable,
    SecurityGroup,
    Target,
    TargetGroup,
    Zone,
)
from simulator.world.network import make_subnet
from simulator.world.operations import CHECKS_BEFORE_DRY_RUN, OPERATIONS, Params
from simulator.world.shapes import checked_reply
from simulator.world.state import WorldState
from simulator.world.volumes import changed_device, volume_at

_TARGET_TYPES = ("instance", "ip")
_LIFECYCLES = ("spot", "on-demand", "*")
_CREDIT_MODES = ("standard", "unlimited")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


_INSTANCE_ROLE = "arn:aws:iam::{}:role/workload"
INSTANCE_ROLE_ARN = _INSTANCE_ROLE.format(DEFAULT_ACCOUNT_ID)
"""The role in the instance profile of every instance that a user launches, in the default account."""


class World:
    """EC2, target groups, instance metrics, price list and Spot Advisor of one region.

    now: virtual time, timezone-aware. seed: all draws and ids follow from it. prices: the spot
    market; a pool without a price has no spot capacity. on_demand_usd_per_hour: what the price
    list shows and on-demand instances cost. advisor_buckets: Spot Advisor buckets (0 to 4) by
    type, drawn for all others. limits: its times and quotas.

    Nothing happens by timers: what is due happens at the next call or at `advance`.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        seed: int,
        account_id: str = DEFAULT_ACCOUNT_ID,
        region: str = "us-east-1",
        prices: PriceHistory,
        on_demand_usd_per_hour: Mapping[str, float],
        advisor_buckets: Mapping[str, int] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        zones = tuple(Zone(name, zone_id) for name, zone_id in zones_of(region))
        self._state = WorldState(
            now,
            seed=seed,
            account_id=account_id,
            region=region,
            zones=zones,
            prices=prices,
            on_demand_usd_per_hour=on_demand_usd_per_hour,
            limits=limits,
        )
        unknown = {pool.availability_zone for pool in prices.pools} - set(self.zones)
        if unknown:
            raise ValueError(
                f"prices: availability zones {sorted(unknown)} are not in {region}: {self.zones}"
            )
        self.advisor = SpotAdvisor(self._state, buckets=advisor_buckets)
        self.loads: dict[str, Load] = self._state.caches.setdefault("loads", {})
        _furnish(self._state)

    # For callers of AWS.

    def answers(self, service: str, operation: str) -> bool:
        """Whether this call is the world's to answer."""
        return service != "cloudwatch" or (service, operation) in OPERATIONS

    def handle(
        self, service: str, operation: str, params: Params, caller: object = None
    ) -> tuple[int, dict[str, Any]]:
        """Answer an AWS call: (HTTP status, parsed reply), an error as botocore parses it.

        params: as given to the client, validated by botocore. Raises NotModelled for what the
        world does not know, InvalidReply if it breaks AWS's own reply shapes.
        """
        state = self._state
        self.advance()
        handler = OPERATIONS.get((service, operation))
        if handler is None:
            raise NotModelled(f"{service}.{operation} is not modelled by the simulator")
        request_id = state.digest("request", state.count("request")).hex()
        try:
            if params.get("DryRun") and (service, operation) not in CHECKS_BEFORE_DRY_RUN:
                raise AwsError(
                    "DryRunOperation", "Request would have succeeded, but DryRun flag is set."
                )
            reply = handler(state, params, caller)
        except AwsError as error:
            return error.status, error.reply(request_id)
        checked = checked_reply(service, operation, reply)
        checked["ResponseMetadata"] = {
            "RequestId": request_id,
            "HTTPStatusCode": 200,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        }
        return 200, checked

    def demands(self, operation: str, params: Params) -> tuple[Demand, ...]:
        """What a call of EC2 demands of IAM, as things are now."""
        return demands_of(self._state, operation, params)

    def override_demands(self, params: Params) -> Sequence[tuple[Params, tuple[Demand, ...]]]:
        """What each override of a CreateFleet demands besides, with its row of a reply."""
        return list(demands_of_overrides(self._state, params))

    def http(
        self, url: str, asked: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a GET with headers ``asked``: (status, headers, body); only the Spot Advisor is
        there."""
        if url != advisor.URL:
            return 404, {"Content-Type": "text/plain"}, b"not found"
        self.advance()
        return self.advisor.answer(asked)

    # For drivers and scenarios.

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the availability zones."""
        return tuple(zone.name for zone in self._state.zones)

    @property
    def instance_role_arn(self) -> str:
        """The role in the instance profile of every instance that a user launches."""
        return _INSTANCE_ROLE.format(self._state.account_id)

    @property
    def instances(self) -> Mapping[str, Instance]:
        """All instances ever launched, terminated ones too."""
        self.advance()
        return MappingProxyType(self._state.instances)

    def state_of(self, instance_id: str) -> str:
        """The state of an instance now."""
        return self.instances[instance_id].state_at(self._state.now())

    def tags_of(self, resource_id: str) -> Mapping[str, str]:
        """The tags of a resource now."""
        return MappingProxyType(dict(self._state.tags.get(resource_id, {})))

    def reseed(self, seed: int) -> None:
        """Make all later draws and ids from another seed."""
        self._state.seed = seed

    def advance(self) -> None:
        """Do, and publish, what is due."""
        self._state.settle()

    def next_due(self) -> datetime | None:
        """When something is due next; None when nothing is."""
        return self._state.next_due()

    def subscribe(self, subscriber: Callable[[WorldEvent], None]) -> None:
        """Call `subscriber` with every later event."""
        self._state.subscribe(subscriber)

    def launch_instance(
        self,
        instance_type: str,
        availability_zone: str,
        *,
        lifecycle: str = "spot",
        tags: Mapping[str, str] | None = None,
        user_data: bytes = b"",
        target_group_arn: str | None = None,
        address: bool = False,
        image: str | None = None,
        metadata_http_tokens: str = "required",
        age: timedelta = timedelta(days=30),
        volumes: Sequence[DataVolume] = (),
        persistent: bool = False,
        **details: Any,
    ) -> str:
        """An instance of a user, running since `age` ago; returns its id.

        persistent: its spot request is persistent. details: further parameters of RunInstances,
        in AWS's spelling. Capacity and quotas are not asked; all else is checked as AWS does.
        """
        if lifecycle not in _LIFECYCLES[:2]:
            raise ValueError(f"lifecycle: {lifecycle!r} must be 'spot' or 'on-demand'")
        state = self._state
        request = self._own_request(instance_type, availability_zone, image, details)
        request["UserData"] = base64.b64encode(user_data).decode()
        metadata = details.get("MetadataOptions", {})
        if metadata.get("HttpEndpoint") != "disabled":
            metadata = {"HttpTokens": metadata_http_tokens, **metadata}
        request["MetadataOptions"] = metadata
        request["BlockDeviceMappings"] = [
            *details.get("BlockDeviceMappings", []),
            *(_mapping(volume) for volume in volumes),
        ]
        if lifecycle == "spot":
            request["InstanceMarketOptions"] = _market(persistent)
        pairs = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        request["TagSpecifications"] = [
            *details.get("TagSpecifications", []),
            *([{"ResourceType": "instance", "Tags": pairs}] if pairs else []),
        ]
        spec = resolve(state, request, {})
        instance = create(state, spec, None, reservation_id=state.new_id("r"))
        _backdate(state, instance, age)
        self._connect(instance, target_group_arn, address)
        return instance.instance_id

    def _own_request(
        self, instance_type: str, zone: str, image: str | None, details: Mapping[str, Any]
    ) -> Params:
        if zone not in self.zones:
            raise ValueError(f"availability_zone: {zone!r} must be one of {self.zones}")
        if instance_type not in instance_types():
            raise ValueError(f"instance_type: {instance_type!r} is not an instance type")
        architectures = instance_types()[instance_type]["ProcessorInfo"]["SupportedArchitectures"]
        fitting = [
            item.image_id
            for item in self._state.images.values()
            if item.architecture in architectures and not item.deregistered
        ]
        request: Params = {
            "ImageId": image or fitting[0],
            "InstanceType": instance_type,
            "KeyName": sorted(self._state.key_names)[0],
            "IamInstanceProfile": {"Arn": sorted(self._state.instance_profile_arns)[0]},
            **details,
        }
        if "NetworkInterfaces" not in details:
            request.setdefault("SecurityGroupIds", [next(iter(self._state.security_groups))])
        if "NetworkInterfaces" not in details and "SubnetId" not in details:
            request["Placement"] = {
                "AvailabilityZone": zone,
                **details.get("Placement", {}),
            }
        return request

    def _connect(self, instance: Instance, target_group_arn: str | None, address: bool) -> None:
        state = self._state
        if address:
            interface = state.interfaces[instance.interface_ids[0]]
            point(state, new_address(state, {}), interface, interface.private_ips[0])
        if target_group_arn is not None:
            group = state.target_groups[target_group_arn]
            target_id, zone = instance.instance_id, None
            if group.target_type == "ip":
                target_id = state.interfaces[instance.interface_ids[0]].private_ips[0]
                zone = instance.availability_zone
            group.targets[(target_id, group.port)] = Target(
                target_id, group.port, instance.launch_time, availability_zone=zone
            )

    def terminate_instance(self, instance_id: str) -> None:
        """End an instance as its user would, termination protection or not."""
        terminate(self._state, self.instances[instance_id], None, reason=USER_INITIATED)

    def interrupt(
        self,
        instance_id: str,
        action: str = "terminate",
        warning: timedelta = timedelta(minutes=2),
        *,
        warned: bool = True,
    ) -> None:
        """Take a spot instance back after `warning`; `warned`: subscribers hear of it now.

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

    def _spot(self, instance_id: str) -> Instance:
        instance = self.instances[instance_id]
        if instance.lifecycle != "spot":
            raise ValueError(
                f"instance_id: {instance_id} is on-demand, which EC2 does not take back"
            )
        return instance

    def remove_volume(self, instance_id: str, device_name: str) -> None:
        """Detach and delete a volume, as its user does once it is unmounted (API_DetachVolume)."""
        state, instance = self._state, self.instances[instance_id]
        volume = volume_at(state, instance, device_name)
        if device_name == state.images[instance.spec.image_id].root_device_name:
            raise ValueError(f"device_name: {device_name!r} is the root device of the instance")
        instance.volume_ids.remove(volume.volume_id)
        del state.volumes[volume.volume_id]
        state.tags.pop(volume.volume_id, None)

    def modify_volume(self, instance_id: str, device_name: str, **changes: Any) -> None:
        """Change size, type or speed of a volume in use: ModifyVolume's parameters, in AWS's spelling.

        DescribeVolumes shows the new values while the volume is still being optimized (EBS user guide,
        "Monitor the progress of EBS volume modifications").
        """
        volume = volume_at(self._state, self.instances[instance_id], device_name)
        volume.device = changed_device(volume.device, changes)

    def set_user_data(self, instance_id: str, user_data: bytes) -> None:
        """Change the user data of a stopped instance; of another AWS refuses it
        (API_ModifyInstanceAttribute, ``UserData``)."""
        if self.state_of(instance_id) != "stopped":
            raise ValueError(
                f"instance_id: {instance_id} is {self.state_of(instance_id)}, not stopped"
            )
        instance = self.instances[instance_id]
        instance.spec = replace(instance.spec, user_data=base64.b64encode(user_data).decode())

    def set_cpu_credits(self, instance_id: str, mode: str) -> None:
        """Change the credit mode of a burstable instance, running or not
        (API_ModifyInstanceCreditSpecification)."""
        instance = self.instances[instance_id]
        if mode not in _CREDIT_MODES or instance.spec.cpu_credits is None:
            raise ValueError(
                f"mode: {mode!r} must be one of {_CREDIT_MODES}, of a burstable instance"
            )
        instance.spec = replace(instance.spec, cpu_credits=mode)

    def protect(self, instance_id: str) -> None:
        """Switch on termination protection; AWS has none for spot instances."""
        instance = self.instances[instance_id]
        if instance.lifecycle == "spot":
            raise ValueError(f"instance_id: {instance_id} is spot, which AWS cannot protect")
        instance.disable_api_termination = True

    def create_target_group(
        self,
        name: str,
        *,
        protocol: str = "HTTP",
        port: int = 80,
        has_load_balancer: bool = True,
        deregistration_delay: timedelta = timedelta(seconds=300),
        target_type: str = "instance",
        zones: Sequence[str] | None = None,
    ) -> str:
        """A target group; target_type: `instance` or `ip`. Returns its ARN.

        zones: those that are enabled for its load balancer, all if None.
        """
        if target_type not in _TARGET_TYPES:
            raise ValueError(f"target_type: {target_type!r} must be one of {_TARGET_TYPES}")
        state = self._state
        if any(group.name == name for group in state.target_groups.values()):
            raise ValueError(f"name: a target group {name!r} is there already")
        number = state.digest("target-group", name).hex()[:16]
        place = f"{state.region}:{state.account_id}"
        arn = f"arn:aws:elasticloadbalancing:{place}:targetgroup/{name}/{number}"
        state.target_groups[arn] = TargetGroup(
            arn=arn,
            name=name,
            protocol=protocol,
            port=port,
            vpc_id=state.vpc_id,
            has_load_balancer=has_load_balancer,
            deregistration_delay=deregistration_delay,
            enabled_zones=self._enabled(protocol, self.zones if zones is None else zones),
            target_type=target_type,
        )
        return arn

    def enable_zones(self, target_group_arn: str, *zones: str) -> None:
        """The load balancer that uses a target group serves exactly these zones from now on; an
        Application Load Balancer needs two of them (its user guide, "Subnets for your load
        balancer")."""
        group = self._state.target_groups[target_group_arn]
        group.enabled_zones = self._enabled(group.protocol, zones)

    def _enabled(self, protocol: str, zones: Sequence[str]) -> tuple[str, ...]:
        least = 2 if protocol in ("HTTP", "HTTPS") else 1
        if set(zones) - set(self.zones) or len(set(zones)) < least:
            raise ValueError(f"zones: {zones!r} must be {least} or more of {self.zones}")
        return tuple(sorted(set(zones)))

    def set_classic_load_balancer(self, name: str, *instance_ids: str) -> None:
        """A Classic Load Balancer of this name serves exactly these instances."""
        unknown = set(instance_ids) - set(self.instances)
        if unknown:
            raise ValueError(f"instance_ids: {sorted(unknown)} are not there")
        self._state.classic_load_balancers[name] = instance_ids

    def close_capacity(
        self,
        instance_type: str = "*",
        availability_zone: str = "*",
        lifecycle: str = "*",
        start: datetime = _LONG_AGO,
        end: datetime = _FOREVER,
        error: str = "InsufficientInstanceCapacity",
    ) -> None:
        """Refuse launches with `error` in matching pools (globs) from start until end."""
        if lifecycle not in _LIFECYCLES:
            raise ValueError(f"lifecycle: {lifecycle!r} must be one of {_LIFECYCLES}")
        self._state.closures.append(
            CapacityClosure(instance_type, availability_zone, lifecycle, start, end, error)
        )

    def forget_fleet(self, fleet_id: str) -> None:
        """EC2 forgets this fleet; its instances keep running."""
        del self._state.fleets[fleet_id]

    def reopen_capacity(self) -> None:
        """Pools that were closed have capacity again from now on."""
        self._state.closures.clear()

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

    def add_image(
        self,
        architecture: str,
        *,
        name: str | None = None,
        ena_support: bool = True,
        boot_mode: str | None = "uefi-preferred",
        platform: str | None = None,
        root_device_name: str = "/dev/xvda",
        root_size_gib: int = 8,
        volumes: Sequence[DataVolume] = (),
        instance_store_devices: Sequence[str] = (),
    ) -> str:
        """Register an image with an EBS root, and volumes made from snapshots of their own; returns
        its id."""
        state = self._state
        devices = {
            volume.device_name: {**_mapping(volume)["Ebs"], "SnapshotId": state.new_id("snap")}
            for volume in volumes
        }
        image = Image(
            image_id=state.new_id("ami"),
            name=name or f"image-{architecture}-{state.count('image')}",
            architecture=architecture,
            root_device_name=root_device_name,
            root_size_gib=root_size_gib,
            snapshot_id=state.new_id("snap"),
            creation_date=state.now(),
            ena_support=ena_support,
            boot_mode=boot_mode,
            platform=platform,
            devices=devices,
            instance_store_devices=tuple(instance_store_devices),
        )
        state.images[image.image_id] = image
        return image.image_id

    def deregister_image(self, image_id: str) -> None:
        """Nothing can be launched from the image any more; what runs goes on."""
        self._state.images[image_id].deregistered = True

    def add_security_group(self, name: str) -> str:
        """Create a security group in the VPC; returns its id."""
        state = self._state
        group_id = state.new_id("sg")
        state.security_groups[group_id] = SecurityGroup(group_id, name, name, state.vpc_id)
        return group_id

    def delete_security_group(self, group_id: str) -> None:
        """The group is gone, even if it is in use."""
        del self._state.security_groups[group_id]

    def delete_key_pair(self, name: str) -> None:
        """The key pair is gone; instances that use it go on."""
        self._state.key_names.remove(name)

    def add_subnet(
        self,
        availability_zone: str,
        cidr: str,
        *,
        own_route_table: bool = False,
        ipv6: bool = False,
        outpost: bool = False,
    ) -> str:
        """Add a subnet (172.31.96.0 and up is free); returns its id.

        ipv6: it has an IPv6 block as well. outpost: it is on an Outpost of the zone.
        """
        state = self._state
        place = f"{state.region}:{state.account_id}"
        arn = f"arn:aws:outposts:{place}:outpost/op-{state.count('outpost'):017x}"
        subnet = make_subnet(
            state,
            availability_zone,
            cidr,
            default_for_az=False,
            ipv6=ipv6,
            outpost_arn=arn if outpost else None,
        )
        if own_route_table:
            table = RouteTable(state.new_id("rtb"), state.vpc_id, False, [subnet.subnet_id])
            state.route_tables[table.route_table_id] = table
        return subnet.subnet_id

    def add_local_zone(self, name: str, zone_id: str) -> None:
        """Opt in to a Local Zone: subnets may be there, no instance type is offered."""
        self._state.local_zones.append(Zone(name, zone_id))

    def set_quota_vcpu(self, lifecycle: str, instance_type: str, vcpu_count: int) -> None:
        """Limit the vCPUs of a lifecycle in the family class to which the type belongs."""
        self.set_class_quota_vcpu(lifecycle, family_class(instance_type), vcpu_count)

    def set_class_quota_vcpu(self, lifecycle: str, quota_class: str, vcpu_count: int) -> None:
        """Limit the vCPUs of a lifecycle in a family class, one of capacity.FAMILY_CLASSES."""
        if lifecycle not in _LIFECYCLES[:2]:
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

    def bill(self, instance_id: str, start: datetime, end: datetime) -> float:
        """USD that an instance cost in [start, end], for the time it was running.

        Spot: the integral of its pool's price (before the first known price, that price);
        on-demand: the list price. Storage and traffic are not counted.
        """
        instance = self.instances[instance_id]
        spans = instance.running_between(start, min(end, self._state.now()))
        if instance.lifecycle == "on-demand":
            prices = self._state.on_demand_usd_per_hour
            if instance.instance_type not in prices:
                raise ValueError(f"{instance.instance_type} has no on-demand price")
            hours = sum((high - low).total_seconds() for low, high in spans) / 3600
            return hours * prices[instance.instance_type]
        pool = self._state.pools.get((instance.instance_type, instance.availability_zone))
        if pool is None:
            raise ValueError(
                f"{instance.instance_type}/{instance.availability_zone} has no spot price"
            )
        times, values = self._state.prices.changes(pool)
        return sum(
            _integral(times, values, low.timestamp(), high.timestamp()) for low, high in spans
        )


def _integral(times_s: Any, usd_per_hour: Any, low_s: float, high_s: float) -> float:
    first = max(int(np.searchsorted(times_s, low_s, side="right")) - 1, 0)
    last = int(np.searchsorted(times_s, high_s, side="left"))
    edges = np.concatenate(([low_s], times_s[first + 1 : last], [high_s])).astype(float)
    prices = usd_per_hour[first : first + len(edges) - 1]
    return float(np.dot(np.diff(edges), prices) / 3600)


def _furnish(state: WorldState) -> None:
    """A default VPC with one subnet a zone on one route table, and what a launch needs."""
    state.vpc_id = state.new_id("vpc")
    state.main_route_table_id = state.new_id("rtb")
    state.route_tables[state.main_route_table_id] = RouteTable(
        state.main_route_table_id, state.vpc_id, main=True
    )
    for number, zone in enumerate(state.zones):
        make_subnet(state, zone.name, f"172.31.{16 * number}.0/20", default_for_az=True)
    group_id = state.new_id("sg")
    state.security_groups[group_id] = SecurityGroup(
        group_id, "default", "default VPC security group", state.vpc_id
    )
    state.key_names.add("team-key")
    state.instance_profile_arns.add(f"arn:aws:iam::{state.account_id}:instance-profile/workload")
    for architecture in ("x86_64", "arm64"):
        image_id = state.new_id("ami")
        state.images[image_id] = Image(
            image_id=image_id,
            name=f"al2023-{architecture}",
            architecture=architecture,
            root_device_name="/dev/xvda",
            root_size_gib=8,
            snapshot_id=state.new_id("snap"),
            creation_date=state.now(),
            boot_mode="uefi-preferred" if architecture == "x86_64" else "uefi",
        )


def _backdate(state: WorldState, instance: Instance, age: timedelta) -> None:
    started = (state.now() - age).replace(microsecond=0)
    instance.launch_time = started
    instance.transitions = [(started, "running")]
    instance.checks_pass_at = started
    for volume_id in instance.volume_ids:
        state.volumes[volume_id].create_time = started
    for interface_id in instance.interface_ids:
        state.interfaces[interface_id].create_time = started
    if instance.spot_request_id:
        state.spot_requests[instance.spot_request_id].create_time = started


def _mapping(volume: DataVolume) -> Params:
    ebs = {
        "VolumeSize": volume.size_gib,
        "VolumeType": volume.volume_type,
        "Iops": volume.iops,
        "Throughput": volume.throughput_mib_per_s,
        "Encrypted": volume.encrypted,
        "KmsKeyId": volume.kms_key_id,
        "DeleteOnTermination": volume.delete_on_termination,
    }
    kept = {name: value for name, value in ebs.items() if value is not None}
    return {"DeviceName": volume.device_name, "Ebs": kept}


def _market(persistent: bool) -> Params:
    options = {
        "SpotInstanceType": "persistent" if persistent else "one-time",
        "InstanceInterruptionBehavior": "stop" if persistent else "terminate",
    }
    return {"MarketType": "spot", "SpotOptions": options}
