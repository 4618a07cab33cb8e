"""Receives events; fails on one word."""

from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    if event.get("word") == "hex":
        raise ValueError("a curse")
    return event
