"""Tags: limits, creation, deletion, listing.

Source: EC2 user guide "Tag your Amazon EC2 resources" (50 tags a resource, keys up to 128 and
values up to 256 characters, `aws:` reserved and not counted) and API_CreateTags.
"""

from collections.abc import Mapping
from typing import Any

from simulator.limits import LIMITS
from simulator.world.errors import AwsError
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import filtered, page
from simulator.world.state import WorldState
from simulator.world.visibility import is_hidden

_KINDS = {
    "i": ("instances", "instance", "InvalidInstanceID.NotFound"),
    "vol": ("volumes", "volume", "InvalidVolume.NotFound"),
    "eni": ("interfaces", "network-interface", "InvalidNetworkInterfaceID.NotFound"),
    "eipalloc": ("addresses", "elastic-ip", "InvalidAllocationID.NotFound"),
    "subnet": ("subnets", "subnet", "InvalidSubnetID.NotFound"),
    "rtb": ("route_tables", "route-table", "InvalidRouteTableID.NotFound"),
    "sg": ("security_groups", "security-group", "InvalidGroup.NotFound"),
    "ami": ("images", "image", "InvalidAMIID.NotFound"),
    "sir": ("spot_requests", "spot-instances-request", "InvalidSpotInstanceRequestID.NotFound"),
    "lt": ("launch_templates", "launch-template", "InvalidLaunchTemplateId.NotFound"),
}


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    """Check the tags of a request and return them as key -> value."""
    found: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if key.lower().startswith("aws:"):
            raise AwsError(
                "InvalidParameterValue",
                f"Tag keys starting with 'aws:' are reserved for internal use: {key}",
            )
        if not 1 <= len(key) <= 128:
            raise AwsError(
                "InvalidParameterValue",
                f"Tag key '{key}' exceeds the maximum length of 128 characters or is empty",
            )
        if len(value) > 256:
            raise AwsError(
                "InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters"
            )
        if key in found:
            raise AwsError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        found[key] = value
    check_tag_count(found)
    return found


def check_tag_count(tags: Mapping[str, str]) -> None:
    """Raise TagLimitExceeded above 50 tags, those of AWS not counted."""
    if sum(not key.startswith("aws:") for key in tags) > LIMITS.tags_per_resource:
        raise AwsError(
            "TagLimitExceeded", "The maximum number of tags for a resource is limited to 50."
        )


def specified_tags(
    specifications: list[Params], allowed: frozenset[str]
) -> dict[str, dict[str, str]]:
    """TagSpecifications of a request as resource type -> tags."""
    found: dict[str, dict[str, str]] = {}
    for item in specifications:
        kind = item.get("ResourceType", "")
        if kind not in allowed:
            raise AwsError(
                "InvalidParameterValue",
                f"'{kind}' is not a valid taggable resource type for this operation.",
            )
        if kind in found:
            raise AwsError(
                "InvalidParameterValue", f"Duplicate resource type '{kind}' in tag specifications"
            )
        found[kind] = tag_map(item.get("Tags", []))
    return found


def resource_kind(resource_id: str) -> tuple[str, str, str] | None:
    """(collection, resource type, not-found code) by the id's prefix."""
    return _KINDS.get(resource_id.rpartition("-")[0])


@operation("ec2", "CreateTags")
def create_tags(state: WorldState, params: Params) -> Reply:
    """API_CreateTags: all or nothing; existing keys are overwritten."""
    new = tag_map(params.get("Tags", []))
    for resource_id in params["Resources"]:
        _require(state, resource_id)
        check_tag_count({**state.tags.get(resource_id, {}), **new})
    for resource_id in params["Resources"]:
        state.tags.setdefault(resource_id, {}).update(new)
    return {}


@operation("ec2", "DeleteTags")
def delete_tags(state: WorldState, params: Params) -> Reply:
    """API_DeleteTags: a tag given with a value goes only if the value matches; without tags all
    go except those of AWS. Unknown keys are no error."""
    for resource_id in params["Resources"]:
        _require(state, resource_id)
    for resource_id in params["Resources"]:
        tags = state.tags.get(resource_id, {})
        if "Tags" not in params:
            state.tags[resource_id] = {k: v for k, v in tags.items() if k.startswith("aws:")}
            continue
        tag_map([{"Key": tag["Key"]} for tag in params["Tags"]])
        for tag in params["Tags"]:
            if tag["Key"] in tags and tag.get("Value") in (None, tags[tag["Key"]]):
                del tags[tag["Key"]]
    return {}


@operation("ec2", "DescribeTags")
def describe_tags(state: WorldState, params: Params) -> Reply:
    """API_DescribeTags: filters key, value, resource-id, resource-type and tag:<key>."""
    rows: list[dict[str, Any]] = []
    for resource_id in sorted(state.tags):
        if is_hidden(state, resource_id, "tags"):
            continue
        kind = resource_kind(resource_id)
        for key, value in sorted(state.tags[resource_id].items()):
            row = {"Key": key, "Value": value, "ResourceId": resource_id}
            rows.append({**row, "ResourceType": kind[1] if kind else None, "Tags": [row]})
    paths = {
        "key": "Key",
        "value": "Value",
        "resource-id": "ResourceId",
        "resource-type": "ResourceType",
    }
    kept = [{k: v for k, v in r.items() if k != "Tags"} for r in filtered(rows, params, paths)]
    shown, token = page(state, "DescribeTags", kept, params)
    return {"Tags": shown, "NextToken": token}


def _require(state: WorldState, resource_id: str) -> None:
    if resource_id == state.vpc_id:
        return
    kind = resource_kind(resource_id)
    if kind is None:
        raise AwsError("InvalidID", f"The ID '{resource_id}' is not valid")
    if resource_id not in getattr(state, kind[0]) or is_hidden(state, resource_id):
        raise AwsError(kind[2], f"The {kind[1]} ID '{resource_id}' does not exist")
