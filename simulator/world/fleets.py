"""Fleets of type instant: one call that tries many pools.

Sources: API_CreateFleet (for an instant fleet what could not be launched is in Errors, with HTTP
200), EC2 user guide "Allocation strategies for Spot Instances" (capacity-optimized-prioritized
honors priorities on a best-effort basis, capacity first), and aws-samples/aws-plugin-for-slurm #19: two
subnets of one zone are duplicate instance pools.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.world import network
from simulator.world.capacity import check_capacity, check_quota, scarcity
from simulator.world.errors import AwsError, NotModelled, reject_unmodelled
from simulator.world.launch import (
    check_free_addresses,
    launch_many,
    merged_tags,
    named_zone,
    resolve,
)
from simulator.world.launch_templates import find_template, find_version, made, once
from simulator.world.model import Instance, LaunchSpec
from simulator.world.operations import Params, Reply, attributed_operation, operation
from simulator.world.state import WorldState
from simulator.world.tagging import specified_tags

_MODELLED = (
    "ClientToken",
    "SpotOptions",
    "OnDemandOptions",
    "LaunchTemplateConfigs",
    "TargetCapacitySpecification",
    "Type",
    "TagSpecifications",
)
_OVERRIDES = ("InstanceType", "SubnetId", "AvailabilityZone", "Priority", "MaxPrice", "ImageId")
# A launch here is all or nothing in one pool, which keeps the last three by itself.
_OPTIONS = (
    "AllocationStrategy",
    "SingleInstanceType",
    "SingleAvailabilityZone",
    "MinTargetCapacity",
)
_SPOT_STRATEGIES = (
    "lowest-price",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "price-capacity-optimized",
)
_ON_DEMAND_STRATEGIES = ("lowest-price", "prioritized")


@dataclass(frozen=True)
class _Candidate:
    """One override of one template: what the fleet may launch."""

    template_row: Params
    override: Params
    merged: Params
    aws_tags: dict[str, str]
    order: int


@attributed_operation("ec2", "CreateFleet")
def create_fleet(state: WorldState, params: Params, caller: object) -> Reply:
    """API_CreateFleet, type instant: all of the target capacity comes from the first pool, in the
    order of the strategy, that has it.

    A repeated request names the fleet and nothing else: that it "succeeds without performing any further
    actions" ("Ensuring idempotency in Amazon EC2 API requests") is no promise to repeat what was
    launched. DescribeFleets shows it.
    """
    reject_unmodelled("CreateFleet", params, _MODELLED)
    if params.get("Type") != "instant":
        raise NotModelled(f"CreateFleet: Type {params.get('Type')!r} is not modelled, only instant")
    earlier = once(state, "CreateFleet", params)
    if earlier is not None:
        return {"FleetId": earlier, "Errors": [], "Instances": []}
    lifecycle, count = _target(params["TargetCapacitySpecification"])
    candidates = _candidates(state, params)
    _refuse_duplicates(state, candidates)
    strategy = _strategy(params, lifecycle)
    if params.get("DryRun"):
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    reply = _launch(state, candidates, lifecycle, count, strategy, caller)
    made(state, "CreateFleet", params, reply["FleetId"])
    state.fleets[reply["FleetId"]] = {
        **reply,
        "Type": "instant",
        "CreateTime": state.now(),
        "FleetState": "active",
        "ActivityStatus": "fulfilled",
        "ClientToken": params.get("ClientToken", ""),
    }
    return reply


@operation("ec2", "DescribeFleets")
def describe_fleets(state: WorldState, params: Params) -> Reply:
    """API_DescribeFleets: instant fleets are in the answer only when they are named, with their Errors
    and Instances (FleetData)."""
    reject_unmodelled("DescribeFleets", params, ("FleetIds",))
    ids = params.get("FleetIds", [])
    for fleet_id in ids:
        if fleet_id not in state.fleets:
            raise AwsError("InvalidFleetId.NotFound", f"The fleet ID '{fleet_id}' does not exist")
    return {"Fleets": [state.fleets[fleet_id] for fleet_id in ids]}


def merged_candidates(state: WorldState, params: Params) -> Iterator[tuple[Params, Params, Params]]:
    """Of each override: its template's id and version, itself, and the launch that it asks for."""
    for item in _candidates(state, params):
        yield item.template_row, item.override, item.merged


def _target(capacity: Params) -> tuple[str, int]:
    total = capacity["TotalTargetCapacity"]
    spot = capacity.get("SpotTargetCapacity")
    on_demand = capacity.get("OnDemandTargetCapacity")
    default = capacity.get("DefaultTargetCapacityType", "on-demand")
    if total < 1:
        raise AwsError("InvalidTargetCapacitySpecification", "TotalTargetCapacity must be >= 1")
    if spot and on_demand:
        raise NotModelled("CreateFleet: a mix of spot and on-demand capacity is not modelled")
    lifecycle = "spot" if spot else "on-demand" if on_demand else default
    return lifecycle, total


def _strategy(params: Params, lifecycle: str) -> str:
    options = "SpotOptions" if lifecycle == "spot" else "OnDemandOptions"
    allowed = _SPOT_STRATEGIES if lifecycle == "spot" else _ON_DEMAND_STRATEGIES
    reject_unmodelled(f"CreateFleet {options}", params.get(options, {}), _OPTIONS)
    strategy: str = params.get(options, {}).get("AllocationStrategy", "lowest-price")
    if strategy not in allowed:
        raise NotModelled(
            f"CreateFleet: AllocationStrategy {strategy!r} is not modelled; allowed {allowed}"
        )
    return strategy


def _candidates(state: WorldState, params: Params) -> list[_Candidate]:
    tags = specified_tags(
        params.get("TagSpecifications", []), frozenset({"fleet", "instance", "volume"})
    )
    over = [
        {"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in found.items()]}
        for kind, found in tags.items()
        if kind != "fleet"
    ]
    candidates: list[_Candidate] = []
    for config in params["LaunchTemplateConfigs"]:
        named = config["LaunchTemplateSpecification"]
        template = find_template(state, named)
        version = find_version(state, template, named.get("Version"))
        row = {"LaunchTemplateId": template.template_id, "Version": str(version.number)}
        aws_tags = {
            "aws:ec2launchtemplate:id": template.template_id,
            "aws:ec2launchtemplate:version": str(version.number),
        }
        for override in config.get("Overrides") or [{}]:
            reject_unmodelled("CreateFleet override", override, _OVERRIDES)
            merged = _merged(dict(version.data), override)
            merged["TagSpecifications"] = merged_tags(merged.get("TagSpecifications", []), over)
            candidates.append(_Candidate(row, override, merged, aws_tags, len(candidates)))
    return candidates


def _refuse_duplicates(state: WorldState, candidates: list[_Candidate]) -> None:
    """A pool is a type in a zone, whatever the subnet."""
    pools = [(c.merged.get("InstanceType"), named_zone(state, c.merged)) for c in candidates]
    if len(set(pools)) < len(pools):
        raise AwsError(
            "InvalidFleetConfig", "The fleet configuration contains duplicate instance pools."
        )


def _merged(data: Params, override: Params) -> Params:
    merged = dict(data)
    for name in ("InstanceType", "ImageId"):
        if name in override:
            merged[name] = override[name]
    if "AvailabilityZone" in override:
        merged["Placement"] = {
            **data.get("Placement", {}),
            "AvailabilityZone": override["AvailabilityZone"],
        }
    if "SubnetId" in override:
        if data.get("NetworkInterfaces"):
            first, *rest = data["NetworkInterfaces"]
            merged["NetworkInterfaces"] = [{**first, "SubnetId": override["SubnetId"]}, *rest]
        else:
            merged["SubnetId"] = override["SubnetId"]
    return merged


def _launch(
    state: WorldState,
    candidates: list[_Candidate],
    lifecycle: str,
    count: int,
    strategy: str,
    caller: object,
) -> Reply:
    fleet_id = f"fleet-{state.digest('fleet', state.count('fleet')).hex()}"
    launched: list[Params] = []
    failed: list[Params] = []
    for candidate in sorted(candidates, key=lambda item: _rank(state, item, strategy)):
        if count == 0:
            break
        try:
            spec = _resolve(state, candidate, lifecycle, fleet_id)
            check_quota(state, spec.instance_type, lifecycle, count)
            check_capacity(
                state,
                spec.instance_type,
                spec.availability_zone,
                lifecycle,
                spec.interfaces[0].subnet_id,
            )
            check_free_addresses(state, spec, count)
        except AwsError as error:
            failed.append(
                {
                    **_common(candidate, lifecycle),
                    "ErrorCode": error.code,
                    "ErrorMessage": error.message,
                }
            )
            continue
        instances = launch_many(state, spec, count, caller)
        launched.append(_launched_row(state, candidate, instances))
        count = 0
    return {"FleetId": fleet_id, "Errors": failed, "Instances": launched}


def _rank(state: WorldState, candidate: _Candidate, strategy: str) -> tuple[Any, ...]:
    priority = candidate.override.get("Priority", float("inf"))
    instance_type = candidate.merged.get("InstanceType", "")
    zone = named_zone(state, candidate.merged) or ""
    pool = state.pools.get((instance_type, zone))
    price = state.prices.price_at(pool, state.now()) if pool else None
    cost = float("inf") if price is None else price
    scarce = scarcity(state, instance_type, zone)
    return {
        "capacity-optimized-prioritized": (scarce, priority, candidate.order),
        "capacity-optimized": (scarce, cost, candidate.order),
        "price-capacity-optimized": (scarce, cost, candidate.order),
        "prioritized": (priority, candidate.order),
        "lowest-price": (cost, candidate.order),
    }[strategy]


def _resolve(state: WorldState, candidate: _Candidate, lifecycle: str, fleet_id: str) -> LaunchSpec:
    merged = dict(candidate.merged)
    if "InstanceMarketOptions" in merged:
        raise AwsError(
            "InvalidParameterCombination",
            "A launch template with market options cannot be used with a fleet: the fleet "
            "decides on the lifecycle.",
        )
    if "SubnetId" in candidate.override:
        network.find_subnet(state, candidate.override["SubnetId"])
        # The subnet decides on the zone; the template's own zone would contradict it.
        placement = dict(merged.get("Placement", {}))
        if "AvailabilityZone" not in candidate.override:
            placement.pop("AvailabilityZone", None)
        merged["Placement"] = placement
    if lifecycle == "spot":
        merged["InstanceMarketOptions"] = {"MarketType": "spot"}
    # Not the token of the CreateFleet call: a fleet makes its own tokens for its instances.
    merged["ClientToken"] = f"{fleet_id}-0"
    return resolve(state, merged, {**candidate.aws_tags, "aws:ec2:fleet-id": fleet_id})


def _common(candidate: _Candidate, lifecycle: str) -> Params:
    return {
        "LaunchTemplateAndOverrides": {
            "LaunchTemplateSpecification": candidate.template_row,
            "Overrides": candidate.override,
        },
        "Lifecycle": lifecycle,
    }


def _launched_row(state: WorldState, candidate: _Candidate, instances: list[Instance]) -> Params:
    first = instances[0]
    image = state.images[first.spec.image_id]
    return {
        **_common(candidate, first.lifecycle),
        "InstanceIds": [item.instance_id for item in instances],
        "InstanceType": first.instance_type,
        "Platform": image.platform,
    }
