"""Instance types and where they are offered: moto's bundled copies of AWS's own answers."""

import gzip
import json
from functools import cache
from importlib import resources
from typing import Any

from simulator.world.errors import AwsError
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered, no_paging_with_ids, page
from simulator.world.shapes import service_model
from simulator.world.state import WorldState

_LOCATION_FILES = ("region", "availability-zone", "availability-zone-id")


@cache
def instance_types() -> dict[str, dict[str, Any]]:
    """All known instance types: name -> InstanceTypeInfo (DescribeInstanceTypes). Read only."""
    types: dict[str, dict[str, Any]] = _bundled("instance_types.json.gz")
    return types


@cache
def offerings(region: str, location_type: str) -> dict[str, frozenset[str]]:
    """Location -> types offered there; location_type as in DescribeInstanceTypeOfferings."""
    found: dict[str, set[str]] = {}
    for row in _bundled(f"instance_type_offerings/{location_type}/{region}.json.gz"):
        if row["InstanceType"] in instance_types():
            found.setdefault(row["Location"], set()).add(row["InstanceType"])
    return {location: frozenset(types) for location, types in sorted(found.items())}


@cache
def zones_of(region: str) -> tuple[tuple[str, str], ...]:
    """(zone name, zone id) of the region's availability zones, by name."""
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

    names = offerings(region, "availability-zone")
    known = {zone.name: zone.zone_id for zone in RegionsAndZonesBackend.zones.get(region, [])}
    return tuple((name, known[name]) for name in names if name in known)


def vcpus(instance_type: str) -> int:
    """Default vCPU count of a type."""
    count: int = instance_types()[instance_type]["VCpuInfo"]["DefaultVCpus"]
    return count


def memory_gib(instance_type: str) -> float:
    """Memory of a type in GiB."""
    size: float = instance_types()[instance_type]["MemoryInfo"]["SizeInMiB"] / 1024
    return size


def is_offered(state: WorldState, instance_type: str, availability_zone: str) -> bool:
    """Whether a type can be launched in a zone at all."""
    found = offerings(state.region, "availability-zone").get(availability_zone, frozenset())
    return instance_type in found


def zones_offering(state: WorldState, instance_type: str) -> list[str]:
    """Names of the zones that offer a type, in order."""
    return [zone.name for zone in state.zones if is_offered(state, instance_type, zone.name)]


@operation("ec2", "DescribeInstanceTypes")
def describe_instance_types(state: WorldState, params: Params) -> Reply:
    """API_DescribeInstanceTypes: MaxResults 5 to 100, not together with InstanceTypes."""
    wanted = params.get("InstanceTypes", [])
    no_paging_with_ids(params, "InstanceTypes")
    offered = offerings(state.region, "region")[state.region]
    unknown = [name for name in wanted if name not in offered]
    if unknown:
        raise AwsError(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(unknown)}]",
        )
    names = wanted or sorted(offered)
    rows = filtered((instance_types()[name] for name in names), params, _type_filters())
    shown, token = page(state, "DescribeInstanceTypes", rows, params, largest=100)
    return {"InstanceTypes": shown, "NextToken": token}


@operation("ec2", "DescribeInstanceTypeOfferings")
def describe_instance_type_offerings(state: WorldState, params: Params) -> Reply:
    """API_DescribeInstanceTypeOfferings: by region (default), zone name or zone id."""
    location_type = params.get("LocationType", "region")
    if location_type not in _LOCATION_FILES:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({location_type}) for parameter locationType is invalid. "
            f"Valid values are {', '.join(_LOCATION_FILES)}.",
        )
    rows: list[Row] = [
        {"InstanceType": name, "LocationType": location_type, "Location": location}
        for location, types in offerings(state.region, location_type).items()
        for name in sorted(types)
    ]
    paths = {"location": "Location", "instance-type": "InstanceType"}
    kept = filtered(rows, params, paths)
    shown, token = page(state, "DescribeInstanceTypeOfferings", kept, params)
    return {"InstanceTypeOfferings": shown, "NextToken": token}


@operation("ec2", "DescribeAvailabilityZones")
def describe_availability_zones(state: WorldState, params: Params) -> Reply:
    """API_DescribeAvailabilityZones: not paged; the region has no local zones here."""
    rows: list[Row] = [
        {
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
            "RegionName": state.region,
            "ZoneName": zone.name,
            "ZoneId": zone.zone_id,
            "GroupName": f"{state.region}-zg-1",
            "NetworkBorderGroup": state.region,
            "ZoneType": "availability-zone",
            "State": "available",
        }
        for zone in state.zones
    ]
    for key, name in (("ZoneNames", "ZoneName"), ("ZoneIds", "ZoneId")):
        wanted = params.get(key, [])
        missing = set(wanted) - {row[name] for row in rows}
        if missing:
            raise AwsError(
                "InvalidParameterValue", f"Invalid availability zone: [{sorted(missing)[0]}]"
            )
        rows = [row for row in rows if not wanted or row[name] in wanted]
    paths = {
        "zone-name": "ZoneName",
        "zone-id": "ZoneId",
        "region-name": "RegionName",
        "state": "State",
        "zone-type": "ZoneType",
        "opt-in-status": "OptInStatus",
        "group-name": "GroupName",
    }
    return {"AvailabilityZones": filtered(rows, params, paths)}


@cache
def _type_filters() -> dict[str, str]:
    """Filter names of DescribeInstanceTypes, from the shape of InstanceTypeInfo.

    AWS spells the members of the reply in kebab case, lists in the singular
    (processor-info.supported-architecture is ProcessorInfo.SupportedArchitectures).
    """
    paths: dict[str, str] = {}

    def walk(shape: Any, names: tuple[str, ...], path: tuple[str, ...]) -> None:
        if shape.type_name == "list":
            walk(shape.member, names, path)
        elif shape.type_name == "structure":
            for member, inner in shape.members.items():
                is_list = inner.type_name == "list"
                walk(inner, (*names, _kebab(member, singular=is_list)), (*path, member))
        else:
            paths[".".join(names)] = ".".join(path)

    walk(service_model("ec2").shape_for("InstanceTypeInfo"), (), ())
    return paths


_WORDS = (
    ("VCpus", "-vcpus"),
    ("VCpu", "-vcpu"),
    ("MiB", "-mib"),
    ("MBps", "-mbps"),
    ("GB", "-gb"),
    ("Types", "-types"),
)


def _kebab(name: str, *, singular: bool) -> str:
    for word, spelt in _WORDS:
        name = name.replace(word, spelt)
    spelt = "".join(f"-{c.lower()}" if c.isupper() else c for c in name).strip("-")
    spelt = spelt.replace("--", "-")
    if singular:
        for plural, one in (("classes", "class"), ("strategies", "strategy"), ("s", "")):
            if spelt.endswith(plural):
                return spelt.removesuffix(plural) + one
    return spelt


def _bundled(name: str) -> Any:
    path = resources.files("moto.ec2") / "resources" / name
    return json.loads(gzip.decompress(path.read_bytes()))
