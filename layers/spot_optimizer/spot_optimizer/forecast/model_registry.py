"""Which model decides, which is scored beside it, and which one can be gone back to.

Versions are folders in the data bucket. ``shipped`` is the model that came with the deployment; it
is always there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from spot_optimizer.vocabulary import VERSION_PATTERN

SHIPPED_VERSION = "shipped"
RESERVED = frozenset({SHIPPED_VERSION, "last-price"})
"""Names under which forecasts of the product itself are scored."""


class NotPossible(ValueError):
    """A change that the state of the registry does not allow; the text says what it does allow."""


@dataclass(frozen=True)
class Slot:
    """A version that is kept."""

    version: str
    sha256: str = ""
    """Of its metadata, which hold the checksums of everything else: what is loaded is what was
    validated. Empty for the shipped one, whose files come with the code."""


@dataclass(frozen=True)
class Registry:
    """The models in play. The last two that decided are kept, and one that waits."""

    live: Slot = Slot(SHIPPED_VERSION)
    """It decides."""
    previous: Slot | None = None
    """It decided before, or is what was rolled back from."""
    pending: Slot | None = None
    """Validated; it is scored beside the live one."""
    trial_share: float = 0.0
    """Share of the workloads for which the pending one decides, 0 to 1."""

    def kept(self) -> Iterator[Slot]:
        """All versions whose files must stay."""
        yield from (slot for slot in (self.live, self.previous, self.pending) if slot is not None)

    def role_of(self, version: str) -> str:
        """live, previous, pending, or empty."""
        for role in ("live", "previous", "pending"):
            slot: Slot | None = getattr(self, role)
            if slot is not None and slot.version == version:
                return role
        return ""

    def accepted(self, slot: Slot) -> "Registry":
        """With a newly validated version as the pending one, in the place of another.

        Raises NotPossible for a version that is in play already: what decides, and what was
        compared, must not change under its name.
        """
        role = self.role_of(slot.version)
        if slot.version in RESERVED:
            role = "a name of the product"
        if role:
            raise NotPossible(
                f"version = '{slot.version}' is {role} already; "
                "upload other files as another version"
            )
        return replace(self, pending=slot, trial_share=0.0)

    def activated(self, version: str) -> "Registry":
        """With ``version`` as the live one. Raises NotPossible for one that is not kept."""
        if self.live.version == version:
            raise NotPossible(f"version = '{version}' is live already")
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
        """With the previous model as the live one. Raises NotPossible without one."""
        if self.previous is None:
            raise NotPossible("there is no previous model to roll back to")
        return replace(self, live=self.previous, previous=self.live)

    def dropped(self, version: str) -> "Registry":
        """Without the pending ``version``. Raises NotPossible for any other."""
        if self.role_of(version) != "pending":
            waiting = f"'{self.pending.version}'" if self.pending else "none"
            raise NotPossible(f"version = '{version}' is not pending; pending is {waiting}")
        return replace(self, pending=None, trial_share=0.0)

    def tried(self, version: str, share: float) -> "Registry":
        """With the pending ``version`` deciding for a share of the workloads, 0 to end it. Raises
        NotPossible."""
        return replace(self.dropped(version), pending=self.pending, trial_share=share)

    def _choice(self) -> str:
        names = [slot.version for slot in (self.pending, self.previous) if slot is not None]
        others = [SHIPPED_VERSION] if self.live.version != SHIPPED_VERSION else []
        return ", ".join(f"'{name}'" for name in dict.fromkeys([*names, *others])) or "none"


def is_version(text: str) -> bool:
    """Whether ``text`` can be a version's name."""
    return re.fullmatch(VERSION_PATTERN, text) is not None
