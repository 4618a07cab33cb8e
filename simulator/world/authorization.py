"""What calls of EC2 demand of IAM, with the tags that their resources have at that moment.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2"; EC2
user guide, "Grant permission to tag Amazon EC2 resources during creation" (``ec2:CreateTags`` with
``ec2:CreateAction``), "Tag Spot Instance requests" (RunInstances on ``spot-instances-request``),
"Example policies to control access": launching demands RunInstances on everything that the launch
uses or creates, a template's own choices included; there, "Launch templates": ``ec2:LaunchTemplate`` is
the template's ARN, missing in launches without one, whatever the request overrides. That CreateFleet has
it too is assumed: the reference lists it with the resource types, not by action. "Grant permissions to
pass an IAM role to EC2";
EBS user guide, "Requirements for Amazon EBS encryption", "Permissions for IAM users".
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from simulator.permissions.demand import Demand, demand, tag_context
from simulator.permissions.services import Unmapped
from simulator.world.errors import AwsError
from simulator.world.fleets import merged_candidates
from simulator.world.keys import customer_key
from simulator.world.launch import merged_request
from simulator.world.launch_templates import find_template
from simulator.world.operations import Params
from simulator.world.state import WorldState
from simulator.world.tagging import resource_kind

__all__ = ["demands_of", "demands_of_overrides"]

_NEW = "*"
_KNOWS_ITS_TEMPLATE = frozenset(
    {
        "image",
        "instance",
        "key-pair",
        "launch-template",
        "network-interface",
        "security-group",
        "snapshot",
        "subnet",
        "volume",
    }
)
"""Resource types of launches with the condition key ``ec2:LaunchTemplate`` (the same reference)."""
_KMS_ACTIONS = (
    "Decrypt",
    "DescribeKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
)


def demands_of(state: WorldState, operation: str, params: Params) -> tuple[Demand, ...]:
    """The demands of a call. A missing resource demands nothing: the world refuses the call later.

    Raises:
        Unmapped: of a call that is not in the table here.
    """
    table = _WITH_RESOURCES.get(operation)
    if table is not None:
        return _as_far_as_it_is_there(table(_Asked(state, operation, params)))
    if operation.startswith("Describe"):
        return (Demand(f"ec2:{operation}"),)
    raise Unmapped(f"what ec2.{operation} demands of IAM is not known")


def demands_of_overrides(
    state: WorldState, params: Params
) -> Iterator[tuple[Params, tuple[Demand, ...]]]:
    """What each override of an instant fleet demands: the launch is its caller's own RunInstances.

    Its refusals come as errors of the override, not of the call (API_CreateFleet, ``Errors``).
    """
    spot = params["TargetCapacitySpecification"].get("SpotTargetCapacity")
    for row, override, merged in merged_candidates(state, params):
        if spot:
            merged = {**merged, "InstanceMarketOptions": {"MarketType": "spot"}}
        named = {**merged, "LaunchTemplate": row}
        asked = _Asked(
            state,
            "RunInstances",
            named,
            created_by="CreateFleet",
            launch_template=row["LaunchTemplateId"],
        )
        yield (
            {"LaunchTemplateSpecification": row, "Overrides": override},
            _as_far_as_it_is_there(_launch(asked, named)),
        )


def _as_far_as_it_is_there(demands: Iterator[Demand]) -> tuple[Demand, ...]:
    found: list[Demand] = []
    try:
        found.extend(demands)
    except AwsError:
        return tuple(found)
    return tuple(found)


@dataclass(frozen=True)
class _Asked:
    """One call, and how its demands are written; ``launch_template`` is the id of a launch's template."""

    state: WorldState
    operation: str
    params: Params
    created_by: str = ""
    launch_template: str = ""

    def arn(self, kind: str, resource_id: str) -> str:
        # Images and snapshots are of no account ("Resource types defined by Amazon EC2").
        account = "" if kind in ("image", "snapshot") else self.state.account_id
        return f"arn:aws:ec2:{self.state.region}:{account}:{kind}/{resource_id}"

    def on(
        self,
        resource_id: str,
        *,
        requested: Mapping[str, str] | None = None,
        keys: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Iterator[Demand]:
        """The call's action on something by its id; nothing if there is no such resource."""
        kind = resource_kind(resource_id)
        if kind is None or resource_id not in getattr(self.state, kind[0]):
            return
        yield self.of_kind(kind[1], resource_id, requested=requested, keys=keys)

    def of_kind(
        self,
        kind: str,
        resource_id: str = _NEW,
        *,
        requested: Mapping[str, str] | None = None,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        action: str | None = None,
    ) -> Demand:
        """An action, by default the call's own, on an existing or a new resource."""
        context = {
            "ec2:Region": (self.state.region,),
            **tag_context(requested=requested, present=self.state.tags.get(resource_id)),
            **(keys or {}),
        }
        if self.launch_template and action is None and kind in _KNOWS_ITS_TEMPLATE:
            context["ec2:LaunchTemplate"] = (self.arn("launch-template", self.launch_template),)
        name = f"ec2:{action or self.operation}"
        return demand(name, self.arn(kind, resource_id), context)

    def created(
        self, kind: str, tags: Mapping[str, str], keys: Mapping[str, tuple[str, ...]] | None = None
    ) -> Iterator[Demand]:
        """Something that the call creates, with the tags that it gives it."""
        yield self.of_kind(kind, requested=tags, keys=keys)
        if tags:
            by = {"ec2:CreateAction": (self.created_by or self.operation,)}
            yield self.of_kind(kind, requested=tags, keys=by, action="CreateTags")


def _tags_by_kind(params: Params) -> dict[str, dict[str, str]]:
    return {
        each["ResourceType"]: {tag["Key"]: tag["Value"] for tag in each.get("Tags", [])}
        for each in params.get("TagSpecifications", [])
    }


def _run_instances(asked: _Asked) -> Iterator[Demand]:
    merged, _ = merged_request(asked.state, asked.params)
    if "LaunchTemplate" in merged:
        template = find_template(asked.state, merged["LaunchTemplate"])
        asked = replace(asked, launch_template=template.template_id)
    yield from _launch(asked, merged)


def _launch(asked: _Asked, merged: Params) -> Iterator[Demand]:
    state, tags = asked.state, _tags_by_kind(merged)
    spot = "InstanceMarketOptions" in merged
    instance_keys = {
        "ec2:InstanceType": (merged.get("InstanceType", "m1.small"),),
        "ec2:InstanceMarketType": ("spot" if spot else "on-demand",),
    }
    if asked.launch_template:
        yield asked.of_kind("launch-template", asked.launch_template)
    yield asked.of_kind("image", merged["ImageId"])
    yield from asked.created("instance", tags.get("instance", {}), instance_keys)
    yield from asked.created("volume", tags.get("volume", {}))
    if spot:
        yield from asked.created("spot-instances-request", tags.get("spot-instances-request", {}))
    yield from _network(asked, merged, tags.get("network-interface", {}))
    if merged.get("KeyName"):
        yield asked.of_kind("key-pair", merged["KeyName"])
    for mapping in merged.get("BlockDeviceMappings", []):
        if snapshot := mapping.get("Ebs", {}).get("SnapshotId"):
            yield asked.of_kind("snapshot", snapshot)
    for license_specification in merged.get("LicenseSpecifications", []):
        arn = license_specification["LicenseConfigurationArn"]
        yield demand("ec2:RunInstances", arn, {"ec2:Region": (state.region,)})
    yield from _passed_role(asked, merged)
    yield from _keys_of_volumes(asked, merged)


def _network(asked: _Asked, merged: Params, tags: Mapping[str, str]) -> Iterator[Demand]:
    for item in merged.get("NetworkInterfaces") or [merged]:
        if interface := item.get("NetworkInterfaceId"):
            yield from asked.on(interface)
            continue
        yield from asked.created("network-interface", tags)
        if subnet := item.get("SubnetId"):
            yield asked.of_kind("subnet", subnet)
        for group in item.get("Groups") or item.get("SecurityGroupIds") or ():
            yield asked.of_kind("security-group", group)


def _passed_role(asked: _Asked, merged: Params) -> Iterator[Demand]:
    """The role of an instance profile has its name, as where the console made both (IAM User Guide,
    "Use instance profiles")."""
    profile = merged.get("IamInstanceProfile")
    if profile:
        name = profile.get("Name") or profile["Arn"].rpartition("/")[2]
        to = {"iam:PassedToService": ("ec2.amazonaws.com",)}
        yield demand("iam:PassRole", f"arn:aws:iam::{asked.state.account_id}:role/{name}", to)


def _keys_of_volumes(asked: _Asked, merged: Params) -> Iterator[Demand]:
    """Of customer managed keys; the policy of ``aws/ebs`` lets all of the account use it."""
    through = {"kms:ViaService": (f"ec2.{asked.state.region}.amazonaws.com",)}
    for mapping in merged.get("BlockDeviceMappings", []):
        arn = customer_key(asked.state, mapping.get("Ebs", {}).get("KmsKeyId"))
        if arn is None:
            continue
        for_resource = {**through, "kms:GrantIsForAWSResource": ("true",)}
        yield demand("kms:CreateGrant", arn, for_resource)
        yield from (demand(f"kms:{action}", arn, through) for action in _KMS_ACTIONS)


def _create_fleet(asked: _Asked) -> Iterator[Demand]:
    tags = _tags_by_kind(asked.params)
    yield from asked.created("fleet", tags.get("fleet", {}))
    images = {
        (row["LaunchTemplateId"], merged["ImageId"])
        for row, _, merged in merged_candidates(asked.state, asked.params)
    }
    for config in asked.params["LaunchTemplateConfigs"]:
        template = find_template(asked.state, config["LaunchTemplateSpecification"])
        by_template = replace(asked, launch_template=template.template_id)
        yield from by_template.created("instance", tags.get("instance", {}))
        yield by_template.of_kind("volume")
        yield by_template.of_kind("launch-template", template.template_id)
        for template_id, image_id in sorted(images):
            if template_id == template.template_id:
                yield by_template.of_kind("image", image_id)
        for override in config.get("Overrides") or ():
            if subnet := override.get("SubnetId"):
                yield by_template.of_kind("subnet", subnet)


def _change_tags(asked: _Asked) -> Iterator[Demand]:
    tags = {tag["Key"]: tag.get("Value", "") for tag in asked.params.get("Tags", [])}
    for resource_id in asked.params["Resources"]:
        yield from asked.on(resource_id, requested=tags)


def _each_of(name: str) -> Callable[[_Asked], Iterator[Demand]]:
    def demands(asked: _Asked) -> Iterator[Demand]:
        for resource_id in asked.params[name]:
            yield from asked.on(resource_id)

    return demands


def _instance_attribute(asked: _Asked) -> Iterator[Demand]:
    yield from asked.on(asked.params["InstanceId"])


def _launch_template_data(asked: _Asked) -> Iterator[Demand]:
    """Its own action, and those of what it looks up (API_GetLaunchTemplateData)."""
    instance = asked.state.instances.get(asked.params["InstanceId"])
    if instance is None:
        return
    yield from asked.on(instance.instance_id)
    yield asked.of_kind("instance", instance.instance_id, action="DescribeInstanceAttribute")
    yield Demand("ec2:DescribeVolumes")
    if instance.lifecycle == "spot":
        yield Demand("ec2:DescribeSpotInstanceRequests")
    if instance.spec.cpu_credits is not None:
        yield Demand("ec2:DescribeInstanceCreditSpecifications")


def _associate_address(asked: _Asked) -> Iterator[Demand]:
    """The address, and the instance with the interface that it comes to."""
    params, state = asked.params, asked.state
    yield from asked.on(params["AllocationId"])
    interface = params.get("NetworkInterfaceId")
    if instance := state.instances.get(params.get("InstanceId", "")):
        yield from asked.on(instance.instance_id)
        interface = interface or next(iter(instance.interface_ids), None)
    if interface:
        yield from asked.on(interface)


def _create_launch_template(asked: _Asked) -> Iterator[Demand]:
    yield from asked.created(
        "launch-template", _tags_by_kind(asked.params).get("launch-template", {})
    )


def _of_launch_template(asked: _Asked) -> Iterator[Demand]:
    named: dict[str, Any] = {
        key: asked.params.get(key) for key in ("LaunchTemplateId", "LaunchTemplateName")
    }
    yield from asked.on(find_template(asked.state, named).template_id)


_WITH_RESOURCES: Mapping[str, Callable[[_Asked], Iterator[Demand]]] = {
    "AssociateAddress": _associate_address,
    "CancelSpotInstanceRequests": _each_of("SpotInstanceRequestIds"),
    "CreateFleet": _create_fleet,
    "CreateLaunchTemplate": _create_launch_template,
    "CreateLaunchTemplateVersion": _of_launch_template,
    "CreateTags": _change_tags,
    "DeleteLaunchTemplate": _of_launch_template,
    "DeleteLaunchTemplateVersions": _of_launch_template,
    "DeleteTags": _change_tags,
    "DescribeInstanceAttribute": _instance_attribute,
    "GetLaunchTemplateData": _launch_template_data,
    "RunInstances": _run_instances,
    "StopInstances": _each_of("InstanceIds"),
    "TerminateInstances": _each_of("InstanceIds"),
}
