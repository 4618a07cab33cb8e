"""Zone names and ids contain their region."""

import pytest

from spot_optimizer.market.zones import is_zone_id, region_of_zone


@pytest.mark.parametrize(
    ("zone", "region", "is_id"),
    [
        ("us-east-1a", "us-east-1", False),
        ("ap-southeast-2c", "ap-southeast-2", False),
        ("us-gov-west-1a", "us-gov-west-1", False),
        ("us-east-1-bos-1a", "us-east-1", False),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1", False),
        ("use1-az4", "us-east-1", True),
        ("apne2-az1", "ap-northeast-2", True),
        ("apse1-az3", "ap-southeast-1", True),
        ("cac1-az1", "ca-central-1", True),
        ("usgw1-az1", "us-gov-west-1", True),
        ("use1-bos1-az1", "us-east-1", True),
        ("us-east-1", None, False),
        ("mars", None, False),
        ("", None, False),
    ],
)
def test_region_follows_from_the_zone(zone: str, region: str | None, is_id: bool) -> None:
    """Names and ids, local and wavelength zones; a bare region or another word is no zone."""
    assert region_of_zone(zone) == region
    assert is_zone_id(zone) == is_id
