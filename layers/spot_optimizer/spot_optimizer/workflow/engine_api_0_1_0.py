"""The engine API under the names of version 0.1.0, for users' engines that were written for it.

Old modules come into being when the first engine of a user is loaded; the old attributes are read-only
views of today's (docs/compatibility.md, "Engines"). A ``Candidate`` of an old engine has one price, the
forecast, which also stands for the current one.
"""

import sys
from importlib import import_module
from operator import attrgetter
from types import ModuleType
from typing import Any

from spot_optimizer.decision.decision import Candidate
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.selection import Selection
from spot_optimizer.decision.situation import Situation

_PACKAGE = "spot_optimizer"
_MODULES = {
    "words": ("vocabulary",),
    "decision.found": ("decision.selection",),
    "decision.hours": ("decision.quiet_hours",),
    "decision.image": ("decision.image_requirements",),
    "decision.model": ("decision.world", "decision.decision"),
    "decision.targets": ("decision.ranking",),
}
"""Old module -> where its names are today."""

_RENAMED: dict[str, dict[str, str]] = {
    "decision.found": {"Found": "Selection"},
    "decision.targets": {"find": "select"},
}
"""Old module -> old name -> name today."""

_ATTRIBUTES: tuple[tuple[type, str, str], ...] = (
    (Candidate, "price_usd_per_hour", "forecast_usd_per_hour"),
    (Outcome, "found", "selection"),
    (Selection, "price", "forecast_usd_per_hour"),
    (Situation, "cost_usd_per_hour", "forecast_usd_per_hour"),
)
"""Class, old attribute, attribute today."""


def provide_old_names() -> None:
    """Let modules and attributes be found by their old names. Idempotent."""
    for old, homes in _MODULES.items():
        sys.modules.setdefault(f"{_PACKAGE}.{old}", _module(old, homes))
    for owner, old, today in _ATTRIBUTES:
        if not hasattr(owner, old):
            setattr(owner, old, property(attrgetter(today)))


def _module(old: str, homes: tuple[str, ...]) -> ModuleType:
    made = ModuleType(f"{_PACKAGE}.{old}")
    for home in homes:
        made.__dict__.update(vars(import_module(f"{_PACKAGE}.{home}")))
    for name, today in _RENAMED.get(old, {}).items():
        setattr(made, name, vars(made)[today])
    if old == "decision.model":
        vars(made)["Candidate"] = _old_candidate
    return made


def _old_candidate(
    *, price_usd_per_hour: float, subnet_id: str | tuple[str, ...], **fields: Any
) -> Candidate:
    """A candidate with the one price that version 0.1.0 knew; its workloads had one subnet in a zone."""
    return Candidate(
        subnet_id=subnet_id if isinstance(subnet_id, str) else subnet_id[0],
        spot_usd_per_hour=price_usd_per_hour,
        forecast_usd_per_hour=price_usd_per_hour,
        **fields,
    )
