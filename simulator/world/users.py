"""What users of the account do to their instances."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from simulator.world.addresses import new_address, point
from simulator.world.catalog import instance_types
from simulator.world.instances import USER_INITIATED, create, terminate
from simulator.world.launch import resolve
from simulator.world.model import (
    LIFECYCLES,
    DataVolume,
    Instance,
    Target,
)
from simulator.world.operations import Params
from simulator.world.state import WorldState
from simulator.world.view import WorldView
from simulator.world.volumes import changed_device, mapping_of, volume_at

_CREDIT_MODES = ("standard", "unlimited")


class UserActions(WorldView):
    """Launches and changes, without calls of the API."""

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
        if lifecycle not in LIFECYCLES:
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
            *(mapping_of(volume) for volume in volumes),
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


def _market(persistent: bool) -> Params:
    options = {
        "SpotInstanceType": "persistent" if persistent else "one-time",
        "InstanceInterruptionBehavior": "stop" if persistent else "terminate",
    }
    return {"MarketType": "spot", "SpotOptions": options}
