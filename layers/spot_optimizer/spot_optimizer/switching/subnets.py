"""Which subnet a workload is launched into, zone by zone (spec section 5)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.zones import is_availability_zone


class InvalidSubnets(ValueError):
    """The list of subnets, or what EC2 answered about them, cannot be worked with; the text says
    which field has which value and what is allowed."""


@dataclass(frozen=True, slots=True)
class SubnetChoice:
    """Where a workload may be launched."""

    by_zone: Mapping[str, str]
    """Availability zone -> subnet id."""
    refused: Mapping[str, str]
    """Availability zone with a subnet, yet none to launch in -> the reason, and what would help."""


def subnets_by_zone(
    subnets: Iterable[Record],
    route_tables: Iterable[Record],
    original_subnet_id: str,
    allowed: tuple[str, ...] = (),
    *,
    ipv6: bool = False,
) -> SubnetChoice:
    """One subnet for each zone of the original's VPC that can take a replacement.

    ``subnets`` and ``route_tables`` are DescribeSubnets and DescribeRouteTables rows of the VPC at
    least. With ``allowed`` (ids) only those count; without, only those that share the original
    subnet's route table, for another could cut the machine off. ``ipv6``: the machine has IPv6
    addresses, which only a subnet with an IPv6 block can give. Of several in a zone the one with
    most free addresses is taken, then the lowest id.

    Raises InvalidSubnets for an id that does not exist or lies in another VPC (security groups
    belong to one).
    """
    by_id = {subnet["SubnetId"]: subnet for subnet in subnets}
    original = _original(by_id, original_subnet_id)
    neighbours = [s for s in by_id.values() if s["VpcId"] == original["VpcId"]]
    if allowed:
        _check_listed(by_id, original, allowed)
        eligible = set(allowed)
        elsewhere = "no subnet of this zone is in spot-optimizer:subnets"
    else:
        main, explicit = _route_table_ids(route_tables, original["VpcId"])
        home = explicit.get(original_subnet_id, main)
        eligible = {s["SubnetId"] for s in neighbours if explicit.get(s["SubnetId"], main) == home}
        elsewhere = (
            f"no subnet of this zone has the original's route table {home};"
            " name one in spot-optimizer:subnets"
        )
    by_zone: dict[str, str] = {}
    refused: dict[str, str] = {}
    for zone in sorted({s["AvailabilityZone"] for s in neighbours}):
        here = [s for s in neighbours if s["AvailabilityZone"] == zone]
        fitting = [s for s in here if s["SubnetId"] in eligible]
        reason = _out_of_reach(zone, original["AvailabilityZone"]) or ("" if fitting else elsewhere)
        if not reason:
            fitting, reason = _usable(fitting, ipv6=ipv6)
        if reason:
            refused[zone] = reason
        else:
            best = min(fitting, key=lambda s: (-s["AvailableIpAddressCount"], s["SubnetId"]))
            by_zone[zone] = best["SubnetId"]
    return SubnetChoice(by_zone, refused)


def _original(by_id: Mapping[str, Record], subnet_id: str) -> Record:
    if subnet_id not in by_id:
        raise InvalidSubnets(f"the original's subnet '{subnet_id}' is not among the described ones")
    return by_id[subnet_id]


def _out_of_reach(zone: str, home: str) -> str:
    """Why a machine is not moved from its zone to this one, whatever subnets there are; else "".

    A Local Zone is another town, with types, disks and prices of its own, and no elastic address
    goes there: "You cannot associate an Elastic IP address with an interface in a different network
    border group" (EC2 API reference, AssociateAddress).
    """
    if zone == home or (is_availability_zone(zone) and is_availability_zone(home)):
        return ""
    if is_availability_zone(home):
        return f"{zone} is no Availability Zone of the Region but a Local or Wavelength Zone"
    return f"a machine of the Local Zone {home} stays there"


def _usable(subnets: list[Record], *, ipv6: bool) -> tuple[list[Record], str]:
    """Those of a zone's subnets that can take a replacement; or none of them, and why."""
    demands: tuple[tuple[str, Callable[[Record], bool]], ...] = (
        ("an Outpost, where there is no spot, holds", lambda s: not s.get("OutpostArn")),
        ("no IPv6 block, which the machine needs, in", lambda s: not ipv6 or _gives_ipv6(s)),
        ("no free address in", _has_room),
    )
    for lack, has in demands:
        ids = ", ".join(sorted(s["SubnetId"] for s in subnets))
        subnets = [s for s in subnets if has(s)]
        if not subnets:
            return [], f"{lack} {ids}"
    return subnets, ""


def _gives_ipv6(subnet: Record) -> bool:
    """EC2 API reference, SubnetCidrBlockState: a block is ``associating`` first, then ``associated``."""
    blocks = subnet.get("Ipv6CidrBlockAssociationSet") or ()
    return any(block["Ipv6CidrBlockState"]["State"] == "associated" for block in blocks)


def _has_room(subnet: Record) -> bool:
    return subnet["AvailableIpAddressCount"] > 0 and subnet.get("State") != "pending"


def _check_listed(by_id: Mapping[str, Record], original: Record, allowed: tuple[str, ...]) -> None:
    for subnet_id in allowed:
        if subnet_id not in by_id:
            raise InvalidSubnets(
                f"spot-optimizer:subnets: '{subnet_id}' does not exist; allowed are ids of subnets"
                f" of {original['VpcId']}, such as {original['SubnetId']}"
            )
        vpc = by_id[subnet_id]["VpcId"]
        if vpc != original["VpcId"]:
            raise InvalidSubnets(
                f"spot-optimizer:subnets: '{subnet_id}' lies in {vpc}; allowed are subnets of"
                f" {original['VpcId']}, to which the machine's security groups belong"
            )


def _route_table_ids(tables: Iterable[Record], vpc_id: str) -> tuple[str, dict[str, str]]:
    """The VPC's main route table, and subnet id -> the table explicitly associated with it.

    "Subnets in your VPC that aren't explicitly associated with a route table are implicitly
    associated with the main route table" (VPC User Guide, "Configure route tables").
    """
    main = ""
    explicit: dict[str, str] = {}
    for table in tables:
        if table["VpcId"] != vpc_id:
            continue
        for association in table.get("Associations") or ():
            if association.get("Main"):
                main = table["RouteTableId"]
            elif association.get("SubnetId"):
                explicit[association["SubnetId"]] = table["RouteTableId"]
    if not main:
        raise InvalidSubnets(f"the main route table of {vpc_id} is not among the described ones")
    return main, explicit
