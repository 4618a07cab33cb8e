"""The region of an availability zone, by its name or id."""

import re

_DIRECTIONS = {
    "n": "north",
    "s": "south",
    "e": "east",
    "w": "west",
    "c": "central",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
}
_ZONE_NAME = re.compile(
    r"(?P<region>[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d+)(-[a-z]+-\d+|-wl\d+-[a-z]+-wlz-\d+)?[a-z]?"
)
_ZONE_ID = re.compile(
    r"(?P<area>us|eu|ap|sa|ca|me|af|il|mx|cn)(?P<gov>g?)"
    r"(?P<direction>ne|nw|se|sw|n|s|e|w|c)(?P<number>\d)-[a-z0-9-]*az\d+"
)
_REGION = re.compile(r"[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d+")


def region_of_zone(zone: str) -> str | None:
    """The region of a zone name (us-east-1a, us-east-1-bos-1a) or id (use1-az4); None for others.

    Sources: AWS documentation, "Availability Zone IDs for your AWS resources" (AWS RAM User
    Guide), and "Regions and Zones" (EC2 User Guide) for local and wavelength zones.
    """
    if is_zone_id(zone):
        return _region_of_id(zone)
    match = _ZONE_NAME.fullmatch(zone)
    # A bare region looks like a zone without its letter.
    return match["region"] if match and not _REGION.fullmatch(zone) else None


def is_zone_id(zone: str) -> bool:
    """Whether this is an id such as use1-az4, which means the same zone in every account."""
    return _ZONE_ID.fullmatch(zone) is not None


def _region_of_id(zone_id: str) -> str | None:
    match = _ZONE_ID.fullmatch(zone_id)
    if match is None:
        return None
    government = "-gov" if match["gov"] else ""
    return f"{match['area']}{government}-{_DIRECTIONS[match['direction']]}-{match['number']}"
