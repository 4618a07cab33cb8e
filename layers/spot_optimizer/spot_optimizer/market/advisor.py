"""Parse the Spot Advisor file: how often AWS interrupted each instance type in the last month."""

import json
from typing import Any

OPERATING_SYSTEM = "Linux"
BUCKETS = range(5)
"""0 to 4 = <5, 5-10, 10-15, 15-20, >20 % interrupted a month."""


class AdvisorFileChanged(ValueError):
    """The file has a different structure; the text names the path, the value and what is allowed."""


def parse_advisor(data: bytes, region: str) -> dict[str, int]:
    """Instance type -> bucket in ``region`` for Linux. Raises AdvisorFileChanged.

    The file is undocumented. Its structure, the same from 2022 to 2025, is
    ``spot_advisor.<region>.<operating system>.<type>.r``; ``ranges`` defines each ``r``. The ranges are
    checked, because a different definition would silently reverse a safety rule.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise AdvisorFileChanged(f"Spot Advisor file is not JSON: {error}") from error
    _check_ranges(document)
    entries = document
    path = ""
    for key in ("spot_advisor", region, OPERATING_SYSTEM):
        path = f"{path}.{key}".lstrip(".")
        entries = _member(entries, key, path)
    if not isinstance(entries, dict):
        raise AdvisorFileChanged(f"{path} is a {type(entries).__name__}, allowed is an object")
    return {name: _bucket(entry, f"{path}.{name}") for name, entry in entries.items()}


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
