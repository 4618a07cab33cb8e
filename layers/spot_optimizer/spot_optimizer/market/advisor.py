"""Parse the Spot Advisor file: how often AWS interrupted each instance type in the last month."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OPERATING_SYSTEM = "Linux"
BUCKETS = range(5)
"""0 to 4 = <5, 5-10, 10-15, 15-20, >20 % interrupted a month."""


class AdvisorFileChanged(ValueError):
    """The file has a different structure; the text names the path, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class AdvisorFile:
    """The Spot Advisor's entries of a region for Linux."""

    buckets: Mapping[str, int]
    """Instance type -> bucket."""
    unreadable: Mapping[str, str]
    """Instance type -> why its entry is dropped."""


def parse_advisor(data: bytes, region: str) -> AdvisorFile:
    """The entries of ``region``. Raises AdvisorFileChanged.

    Unreadable entries are dropped; if most are unreadable, the file has a different structure. It is
    undocumented. Its structure, the same from 2022 to 2025, is
    ``spot_advisor.<region>.<operating system>.<type>.r``; ``ranges`` defines each ``r``. The ranges are
    checked, because a different definition would silently reverse a safety rule.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AdvisorFileChanged(f"Spot Advisor file is not JSON: {error}") from error
    _check_ranges(document)
    entries = document
    path = ""
    for key in ("spot_advisor", region, OPERATING_SYSTEM):
        path = f"{path}.{key}".lstrip(".")
        entries = _member(entries, key, path)
    if not isinstance(entries, dict):
        raise AdvisorFileChanged(f"{path} is a {type(entries).__name__}, allowed is an object")
    buckets: dict[str, int] = {}
    unreadable: dict[str, str] = {}
    for name, entry in entries.items():
        try:
            buckets[name] = _bucket(entry, f"{path}.{name}")
        except AdvisorFileChanged as reason:
            unreadable[name] = str(reason)
    if len(unreadable) > len(buckets):
        first = next(iter(unreadable.values()))
        raise AdvisorFileChanged(f"{first}, and {len(unreadable)} of {len(entries)} entries so")
    return AdvisorFile(buckets, unreadable)


def _member(parent: Any, key: str, path: str) -> Any:
    if not isinstance(parent, dict) or key not in parent:
        there = ", ".join(sorted(parent)) if isinstance(parent, dict) else type(parent).__name__
        raise AdvisorFileChanged(f"{path} is missing; there is {there or 'nothing'}")
    return parent[key]


def _bucket(entry: Any, path: str) -> int:
    bucket = _member(entry, "r", f"{path}.r")
    if type(bucket) is not int or bucket not in BUCKETS:
        raise AdvisorFileChanged(f"{path}.r = {bucket!r}, allowed are 0 to {BUCKETS[-1]}")
    return bucket


def _check_ranges(document: Any) -> None:
    ranges = _member(document, "ranges", "ranges")
    try:
        by_rate = [entry["index"] for entry in sorted(ranges, key=lambda entry: entry["max"])]
    except (TypeError, KeyError) as error:
        raise AdvisorFileChanged(f"ranges = {ranges!r}, allowed are index and max each") from error
    if by_rate != list(BUCKETS):
        raise AdvisorFileChanged(f"ranges rise in the order {by_rate}, allowed is {list(BUCKETS)}")
