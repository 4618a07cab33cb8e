"""The Spot Advisor file is undocumented, so any unknown structure is refused with its path."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

REMOVED = object()
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("rsx"), inner, max_size=3)
    ),
    max_leaves=5,
)


def changed(*path_and_value: Any) -> bytes:
    """The file with one value replaced, or removed."""
    *path, key, value = path_and_value
    document = copy.deepcopy(FILE)
    place: Any = document
    for step in path:
        place = place[step]
    if value is REMOVED:
        del place[key]
    else:
        place[key] = value
    return json.dumps(document).encode()


def test_buckets_are_those_of_linux_in_the_region() -> None:
    """Windows has different buckets for the same type."""
    found = parse_advisor(json.dumps(FILE).encode(), "us-east-1")
    assert (found.buckets, found.unreadable) == ({"m5.large": 0, "m6i.large": 4}, {})


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "ranges is missing"),
        (changed("spot_advisor", REMOVED), "spot_advisor is missing"),
        (changed("spot_advisor", "us-east-1", REMOVED), r"spot_advisor\.us-east-1 is missing"),
        (
            changed("spot_advisor", "us-east-1", "Linux", REMOVED),
            "Linux is missing; there is Windows",
        ),
        (changed("spot_advisor", "us-east-1", "Linux", [1]), "Linux is a list"),
        (
            changed("spot_advisor", "us-east-1", "Linux", {"a": {"s": 1}, "b": {}, "c": {"r": 0}}),
            r"spot_advisor\.us-east-1\.Linux\.a\.r is missing; .* 2 of 3 entries so",
        ),
        (b"[" * 100_000, "not JSON"),
        (changed("ranges", 0, "index", 4), "ranges rise in the order"),
        (changed("ranges", 0, "max", REMOVED), "ranges = "),
    ],
)
def test_unknown_structure_is_refused_with_its_path(data: bytes, path: str) -> None:
    """The error names where the file differs from the known structure."""
    with pytest.raises(AdvisorFileChanged, match=path):
        parse_advisor(data, "us-east-1")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"s": 1}, r"spot_advisor\.us-east-1\.Linux\.m5\.large\.r is missing"),
        ({"r": 5}, r"Linux\.m5\.large\.r = 5, allowed are 0 to 4"),
        ({"r": True}, "r = True"),
        ({"r": "0"}, "r = '0'"),
        ([0], "r is missing; there is list"),
        (7, "there is int"),
    ],
)
def test_unreadable_entry_is_named_and_stops_no_other(entry: Any, why: str) -> None:
    """One bad type costs its own bucket only."""
    found = parse_advisor(
        changed("spot_advisor", "us-east-1", "Linux", "m5.large", entry), "us-east-1"
    )
    assert found.buckets == {"m6i.large": 4}
    assert list(found.unreadable) == ["m5.large"]
    assert re.search(why, found.unreadable["m5.large"])


@given(ANY_JSON)
@settings(max_examples=30, deadline=None)
def test_no_entry_whatever_stops_the_others(entry: Any) -> None:
    """The others are read, and a readable one counts."""
    found = parse_advisor(
        changed("spot_advisor", "us-east-1", "Linux", "bad.large", entry), "us-east-1"
    )
    good = {name: bucket for name, bucket in found.buckets.items() if name != "bad.large"}
    assert good == {"m5.large": 0, "m6i.large": 4}
