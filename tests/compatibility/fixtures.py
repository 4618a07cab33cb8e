"""The fixtures of version 0.1.0 (``make_fixtures.py``), read."""

import json
import zipfile
from functools import cache
from typing import Any

from tests.compatibility.old_version import FIXTURES

Fixture = dict[str, list[Any]]


@cache
def ledger() -> Fixture:
    """Moment -> items of the ledger, as DynamoDB holds them."""
    return _read("ledger.json")


@cache
def executions() -> Fixture:
    """State machine -> inputs of its executions."""
    return _read("executions.json")


@cache
def steps() -> Fixture:
    """Function -> ``{"request", "answer"}`` of invocations, one of each kind."""
    return _read("steps.json")


@cache
def events() -> Fixture:
    """Detail type -> details of events on the stack's bus."""
    return _read("events.json")


@cache
def objects() -> dict[str, bytes]:
    """Objects of the data bucket by their keys."""
    with zipfile.ZipFile(FIXTURES / "objects.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _read(name: str) -> Fixture:
    fixture: Fixture = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return fixture
