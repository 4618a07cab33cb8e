"""The Spot Advisor file is undocumented, so any unknown structure is refused with its path."""

import copy
import json
from typing import Any

import pytest

from spot_optimizer.market.advisor import AdvisorFileChanged, parse_advisor

FILE = {
    "ranges": [
        {"index": index, "label": label, "dots": index, "max": top}
        for index, (label, top) in enumerate(
            [("<5%", 5), ("5-10%", 11), ("10-15%", 16), ("15-20%", 22), (">20%", 100)]
        )
    ],
    "global_rate": "<10%",
    "instance_types": {"m5.large": {"cores": 2, "ram_gb": 8.0, "emr": True}},
    "spot_advisor": {
        "us-east-1": {
            "Linux": {"m5.large": {"r": 0, "s": 60}, "m6i.large": {"r": 4, "s": 58}},
            "Windows": {"m5.large": {"r": 3, "s": 40}},
        }
    },
}


def changed(*path_and_value: Any) -> bytes:
    """The file with one value replaced, or removed if the value is None."""
    *path, key, value = path_and_value
    document = copy.deepcopy(FILE)
    place: Any = document
    for step in path:
        place = place[step]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return json.dumps(document).encode()


def test_buckets_are_those_of_linux_in_the_region() -> None:
    """Windows has different buckets for the same type."""
    assert parse_advisor(json.dumps(FILE).encode(), "us-east-1") == {"m5.large": 0, "m6i.large": 4}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "ranges is missing"),
        (changed("spot_advisor", None), "spot_advisor is missing"),
        (changed("spot_advisor", "us-east-1", None), r"spot_advisor\.us-east-1 is missing"),
        (changed("spot_advisor", "us-east-1", "Linux", None), "Linux is missing; there is Windows"),
        (changed("spot_advisor", "us-east-1", "Linux", [1]), "Linux is a list"),
        (
            changed("spot_advisor", "us-east-1", "Linux", "m5.large", {"s": 1}),
            r"spot_advisor\.us-east-1\.Linux\.m5\.large\.r is missing",
        ),
        (
            changed("spot_advisor", "us-east-1", "Linux", "m5.large", "r", 5),
            r"spot_advisor\.us-east-1\.Linux\.m5\.large\.r = 5, allowed are 0 to 4",
        ),
        (changed("spot_advisor", "us-east-1", "Linux", "m5.large", "r", True), "r = True"),
        (changed("ranges", 0, "index", 4), "ranges rise in the order"),
        (changed("ranges", 0, "max", None), "ranges = "),
    ],
)
def test_unknown_structure_is_refused_with_its_path(data: bytes, path: str) -> None:
    """The error names where the file differs from the known structure."""
    with pytest.raises(AdvisorFileChanged, match=path):
        parse_advisor(data, "us-east-1")
