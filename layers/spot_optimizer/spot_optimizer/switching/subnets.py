"""Which subnet a workload is launched into, zone by zone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.zones import is_availability_zone
from spot_optimizer.vocabulary import TAG_PREFIX

SUBNETS_PER_ZONE_MAX = 3
SUBNETS_TAG = f"{TAG_PREFIX}subnets"


class InvalidSubnets(ValueError):
    """The list of subnets, or EC2's description of them, is invalid; the text names the field, its
    value and what is allowed."""


@dataclass(frozen=True, slots=True)
class SubnetChoice:
    """Where a workload may be launched."""

    by_zone: Mapping[str, tuple[str, ...]]
    """Availability zone -> up to SUBNETS_PER_ZONE_MAX subnet ids, the preferred one first."""
    refused: Mapping[str, str]
    """Availability zone whose subnets cannot be used -> the reason, and the remedy."""
    deleted: tuple[str, ...] = ()
    """Subnets that a list names and that do not exist any more; others of the list do."""


def subnets_by_zone(
    subnets: Iterable[Record],
    route_tables: Iterable[Record],
    original_subnet_id: str,
    allowed: tuple[str, ...] = (),
    *,
    ipv6: bool = False,
    refused_lately: frozenset[str] = frozenset(),
    listed_in: str = SUBNETS_TAG,
) -> SubnetChoice:
    """The subnets to launch in, for each zone of the original's VPC that can take a replacement.

    ``subnets`` and ``route_tables`` are results of DescribeSubnets and DescribeRouteTables that
    contain at least those of the VPC. ``allowed`` (ids) restricts the choice; if it is empty, only
    subnets with the original subnet's route table are eligible, because another one could cut the
    instance off from its network. ``ipv6``: the instance has IPv6 addresses, so its subnet needs an
    IPv6 block. Of several subnets in a zone the one with the most free addresses is preferred, then the
    one with the lowest id; the next are for the case that EC2 finds no address in the first.
    ``listed_in``: the tag or parameter that ``allowed`` is from, for messages.
    ``refused_lately``: ids of subnets that refused a launch a short time ago. They are avoided, unless
    that left no subnet at all.

    A listed subnet that does not exist is left out: somebody may delete one while its workload runs.
    Raises InvalidSubnets if none of the list exists, and for one of another VPC, because security groups
    belong to one VPC.
    """
    by_id = {subnet["SubnetId"]: subnet for subnet in subnets}
    original = _original(by_id, original_subnet_id)
    neighbors = [s for s in by_id.values() if s["VpcId"] == original["VpcId"]]
    deleted = tuple(subnet_id for subnet_id in allowed if subnet_id not in by_id)
    if allowed:
        _check_listed(by_id, original, allowed, listed_in)
        eligible = set(allowed)
        elsewhere = f"no subnet of this zone is in {listed_in}"
    else:
        main, explicit = _route_table_ids(route_tables, original["VpcId"])
        home = explicit.get(original_subnet_id, main)
        if not home:
            raise InvalidSubnets(
                f"name subnets in {SUBNETS_TAG}: the main route table of {original['VpcId']},"
                f" which {original_subnet_id} has, is not among the described ones (the owner of a shared"
                " VPC sees it), so subnets with the same one are not known"
            )
        eligible = {s["SubnetId"] for s in neighbors if explicit.get(s["SubnetId"], main) == home}
        elsewhere = (
            f"no subnet of this zone has the original's route table {home};"
            f" name one in {SUBNETS_TAG}"
        )
    choice = _choice(neighbors, eligible, original, elsewhere, ipv6, refused_lately)
    if not choice.by_zone and refused_lately:
        choice = _choice(neighbors, eligible, original, elsewhere, ipv6, frozenset())
    return replace(choice, deleted=deleted)


def _choice(
    neighbors: list[Record],
    eligible: set[str],
    original: Record,
    elsewhere: str,
    ipv6: bool,
    refused_lately: frozenset[str],
) -> SubnetChoice:
    """The subnets by zone. ``elsewhere``: why a zone without an ``eligible`` subnet is refused."""
    by_zone: dict[str, tuple[str, ...]] = {}
    refused: dict[str, str] = {}
    for zone in sorted({s["AvailabilityZone"] for s in neighbors}):
        here = [s for s in neighbors if s["AvailabilityZone"] == zone]
        fitting = [s for s in here if s["SubnetId"] in eligible]
        reason = _out_of_reach(zone, original["AvailabilityZone"]) or ("" if fitting else elsewhere)
        if not reason:
            fitting, reason = _usable(fitting, original, refused_lately, ipv6=ipv6)
        if reason:
            refused[zone] = reason
        else:
            ranked = sorted(fitting, key=lambda s: (-s["AvailableIpAddressCount"], s["SubnetId"]))
            by_zone[zone] = tuple(s["SubnetId"] for s in ranked[:SUBNETS_PER_ZONE_MAX])
    return SubnetChoice(by_zone, refused)


def _original(by_id: Mapping[str, Record], subnet_id: str) -> Record:
    if subnet_id not in by_id:
        raise InvalidSubnets(f"the original's subnet '{subnet_id}' is not among the described ones")
    return by_id[subnet_id]


def _out_of_reach(zone: str, home: str) -> str:
    """Why an instance in zone ``home`` never moves to this zone, whatever its subnets; empty if it may.

    A Local Zone is in another city, with instance types, disks and prices of its own, and Elastic IP
    addresses cannot follow: "You cannot associate an Elastic IP address with an interface in a
    different network border group" (EC2 API reference, AssociateAddress).
    """
    if zone == home or (is_availability_zone(zone) and is_availability_zone(home)):
        return ""
    if is_availability_zone(home):
        return f"{zone} is not an Availability Zone but a Local or Wavelength Zone"
    return f"an instance in the Local Zone {home} stays there"


def _usable(
    subnets: list[Record], original: Record, refused_lately: frozenset[str], *, ipv6: bool
) -> tuple[list[Record], str]:
    """The subnets of a zone that can take a replacement; or none of them, and why."""
    only_ipv6 = _is_ipv6_only(original)
    kind = "not IPv6-only as" if only_ipv6 else "IPv6-only, other than"
    requirements: tuple[tuple[str, Callable[[Record], bool]], ...] = (
        ("on an Outpost, which has no spot capacity:", lambda s: not s.get("OutpostArn")),
        (f"{kind} the original's:", lambda s: _is_ipv6_only(s) is only_ipv6),
        ("no IPv6 block, which the instance needs, in", lambda s: not ipv6 or _gives_ipv6(s)),
        ("no free address in", _has_room),
        ("EC2 lately refused a launch into", lambda s: s["SubnetId"] not in refused_lately),
    )
    for lack, has in requirements:
        ids = ", ".join(sorted(s["SubnetId"] for s in subnets))
        subnets = [s for s in subnets if has(s)]
        if not subnets:
            return [], f"{lack} {ids}"
    return subnets, ""


def _gives_ipv6(subnet: Record) -> bool:
    """A block is ``associating`` first, then ``associated`` (EC2 API reference, SubnetCidrBlockState)."""
    blocks = subnet.get("Ipv6CidrBlockAssociationSet") or ()
    return any(block["Ipv6CidrBlockState"]["State"] == "associated" for block in blocks)


def _is_ipv6_only(subnet: Record) -> bool:
    return bool(subnet.get("Ipv6Native"))


def _has_room(subnet: Record) -> bool:
    """An IPv6-only subnet always has: EC2 counts free IPv4 addresses, of which it has none (AWS CLI
    reference, create-subnet, example 3: ``"AvailableIpAddressCount": 0``)."""
    room = subnet["AvailableIpAddressCount"] > 0 or _is_ipv6_only(subnet)
    return room and subnet.get("State") != "pending"


def _check_listed(
    by_id: Mapping[str, Record], original: Record, allowed: tuple[str, ...], listed_in: str
) -> None:
    existing = [subnet_id for subnet_id in allowed if subnet_id in by_id]
    if not existing:
        raise InvalidSubnets(
            f"{listed_in}: '{','.join(allowed)}' does not exist; allowed are ids of subnets"
            f" of {original['VpcId']}, such as {original['SubnetId']}"
        )
    for subnet_id in existing:
        vpc = by_id[subnet_id]["VpcId"]
        if vpc != original["VpcId"]:
            raise InvalidSubnets(
                f"{listed_in}: '{subnet_id}' belongs to {vpc}; allowed are subnets of"
                f" {original['VpcId']}, to which the instance's security groups belong"
            )


def _route_table_ids(tables: Iterable[Record], vpc_id: str) -> tuple[str, dict[str, str]]:
    """The VPC's main route table, empty if it is not described, and subnet id -> the table explicitly
    associated with it.

    "Subnets in your VPC that aren't explicitly associated with a route table are implicitly
    associated with the main route table" (VPC User Guide, "Configure route tables"). In a shared VPC, a
    participant is shown only the tables of the subnets that are shared with it.
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
    return main, explicit
