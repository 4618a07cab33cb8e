"""The model registry: which version is live, which is pending, and which to roll back to.

Versions are folders in the data bucket. ``shipped`` is the model that is part of the deployment; it
is always available.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from spot_optimizer.vocabulary import VERSION_PATTERN

SHIPPED_VERSION = "shipped"
RESERVED = frozenset({SHIPPED_VERSION, "last-price"})
"""Versions that uploads cannot have: the product's own forecasts are scored under these names."""


class NotPossible(ValueError):
    """The registry does not allow this change; the text says what it allows."""


@dataclass(frozen=True)
class Slot:
    """A version in the registry."""

    version: str
    sha256: str = ""
    """Checksum of its metadata, which holds the checksums of all other files: only files that were
    validated are loaded. Empty for the shipped model, whose files are part of the code."""


@dataclass(frozen=True)
class Registry:
    """The live model, the previous live model and one pending model."""

    live: Slot = Slot(SHIPPED_VERSION)
    """Its forecasts are used for decisions."""
    previous: Slot | None = None
    """It was live before; a rollback makes it live again."""
    pending: Slot | None = None
    """Validated; its forecasts are scored but not used, except in a trial."""
    trial_share: float = 0.0
    """Share of the workloads that are decided with the pending model, 0 to 1."""

    def kept(self) -> Iterator[Slot]:
        """All versions whose files must be kept."""
        yield from (slot for slot in (self.live, self.previous, self.pending) if slot is not None)

    def role_of(self, version: str) -> str:
        """``live``, ``previous``, ``pending``, or empty for a version that is not in the registry."""
        for role in ("live", "previous", "pending"):
            slot: Slot | None = getattr(self, role)
            if slot is not None and slot.version == version:
                return role
        return ""

    def accepted(self, slot: Slot) -> "Registry":
        """Make a newly validated version the pending one; it replaces another.

        Raises NotPossible if the version is already in the registry: the files of a live or
        compared model must not change under its name.
        """
        role = self.role_of(slot.version)
        if slot.version in RESERVED:
            role = "reserved"
        if role:
            raise NotPossible(
                f"version = '{slot.version}' is already {role}; "
                "upload other files as another version"
            )
        return replace(self, pending=slot, trial_share=0.0)

    def activated(self, version: str) -> "Registry":
        """Make ``version`` the live one. Raises NotPossible if it is not in the registry."""
        if self.live.version == version:
            raise NotPossible(f"version = '{version}' is already live")
        if self.pending is not None and self.pending.version == version:
            return Registry(live=self.pending, previous=self.live)
        if self.previous is not None and self.previous.version == version:
            return self.rolled_back()
        if version == SHIPPED_VERSION:
            return replace(self, live=Slot(SHIPPED_VERSION), previous=self.live)
        raise NotPossible(
            f"version = '{version}' cannot be activated; allowed are {self._choice()}"
        )

    def rolled_back(self) -> "Registry":
        """Make the previous model the live one. Raises NotPossible if there is none."""
        if self.previous is None:
            raise NotPossible("there is no previous model to roll back to")
        return replace(self, live=self.previous, previous=self.live)

    def dropped(self, version: str) -> "Registry":
        """Remove the pending ``version``. Raises NotPossible for any other."""
        if self.role_of(version) != "pending":
            pending = f"'{self.pending.version}'" if self.pending else "none"
            raise NotPossible(f"version = '{version}' is not pending; pending is {pending}")
        return replace(self, pending=None, trial_share=0.0)

    def tried(self, version: str, share: float) -> "Registry":
        """Use the pending ``version`` for a share of the workloads; 0 ends the trial. Raises
        NotPossible."""
        return replace(self.dropped(version), pending=self.pending, trial_share=share)

    def _choice(self) -> str:
        names = [slot.version for slot in (self.pending, self.previous) if slot is not None]
        others = [SHIPPED_VERSION] if self.live.version != SHIPPED_VERSION else []
        return ", ".join(f"'{name}'" for name in dict.fromkeys([*names, *others])) or "none"


def is_version(text: str) -> bool:
    """Whether ``text`` can be a version's name."""
    return re.fullmatch(VERSION_PATTERN, text) is not None
