"""Resources of the account beside its instances: networks, images, load balancers."""

from collections.abc import Sequence
from datetime import timedelta

from simulator.world.model import (
    DataVolume,
    Image,
    RouteTable,
    SecurityGroup,
    TargetGroup,
    Zone,
)
from simulator.world.network import make_subnet
from simulator.world.state import WorldState
from simulator.world.view import WorldView
from simulator.world.volumes import mapping_of

_TARGET_TYPES = ("instance", "ip")


class Resources(WorldView):
    """Adds and removes them, without calls of the API."""

    def delete_target_group(self, target_group_arn: str) -> None:
        """Delete a target group with its registrations, as its user does (API_DeleteTargetGroup)."""
        del self._state.target_groups[target_group_arn]

    def grant_key_to_spot(self, key_arn: str) -> None:
        """Let EC2 spot use a customer managed key: ``aws kms create-grant`` for
        AWSServiceRoleForEC2Spot."""
        self._state.keys_granted_to_spot.add(key_arn)

    def disable_key(self, key_arn: str) -> None:
        """``aws kms disable-key``: nothing is encrypted or decrypted by it any more."""
        self._state.disabled_keys.add(key_arn)

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
            volume.device_name: {**mapping_of(volume)["Ebs"], "SnapshotId": state.new_id("snap")}
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
        """Nothing can be launched from the image any more; its instances keep running."""
        self._state.images[image_id].deregistered = True

    def add_snapshot(self) -> str:
        """Make a snapshot that belongs to no image; returns its id."""
        snapshot_id = self._state.new_id("snap")
        self._state.snapshots.add(snapshot_id)
        return snapshot_id

    def delete_snapshot(self, snapshot_id: str) -> None:
        """The snapshot is gone, the volumes that were made from it are not. Raises KeyError for one of
        an image, which EC2 does not delete (API_DeleteSnapshot)."""
        self._state.snapshots.remove(snapshot_id)

    def delete_instance_profile(self, arn: str) -> None:
        """The instance profile is gone; its instances keep running (IAM API, DeleteInstanceProfile)."""
        self._state.instance_profile_arns.remove(arn)

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
        """The key pair is gone; its instances keep running."""
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


def furnish(state: WorldState) -> None:
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
