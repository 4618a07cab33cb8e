"""The kind of a zone, by its name.

AWS Regions and Zones ("Availability Zones", "Local Zones", "Wavelength Zones"): the name of an
Availability Zone is its Region's code and a letter, ``us-west-2a``; a Local Zone has its location between
the two, ``us-west-2-lax-1a``; a Wavelength Zone is named like ``us-east-1-wl1-bos-wlz-1``. A VPC may have
subnets in all three kinds.
"""

import re

_AVAILABILITY_ZONE = re.compile(r"[a-z]+(-[a-z]+)+-\d[a-z]")
_WAVELENGTH_ZONE = re.compile(r".+-\d-wl\d+-.+")


def is_availability_zone(name: str) -> bool:
    """Whether it is an Availability Zone."""
    return _AVAILABILITY_ZONE.fullmatch(name) is not None


def is_wavelength_zone(name: str) -> bool:
    """Whether it is a Wavelength Zone, in the network of a telecommunication carrier."""
    return _WAVELENGTH_ZONE.fullmatch(name) is not None
