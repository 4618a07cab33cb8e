"""Items of the ledger as the simulator reads them: the attributes that it judges, from stored rows.

Attribute names and values are those on the wire. Nothing is taken from the product's own models, so that
an error in them cannot hide itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

Row = Mapping[str, Any]
"""An item with plain values: text, numbers, booleans, lists, dicts."""


class DecisionKind(StrEnum):
    """What a cycle or a signal decided about a workload."""

    STAY = "STAY"
    SWITCH = "SWITCH"
    FALLBACK = "FALLBACK"
    EVACUATE = "EVACUATE"
    """Failover: EC2 takes the instance."""


class Phase(StrEnum):
    """Progress of a switch, in order; FAILED is reached from any phase before COMMITTED."""

    CLAIMED = "CLAIMED"
    LAUNCHED = "LAUNCHED"
    HEALTHY = "HEALTHY"
    HANDED_OVER = "HANDED_OVER"
    COMMITTED = "COMMITTED"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class WorkloadItem:
    """The hot item of a workload."""

    workload_id: str
    instance_id: str
    status: str
    status_reason: str
    instance_type: str = ""
    availability_zone: str = ""
    home_type: str = ""
    fence: int = 0
    claim_switch_id: str | None = None
    claim_expires_at: datetime | None = None
    breaker_open_since: datetime | None = None
    backoff_until: datetime | None = None

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(
            workload_id=row["workload_id"],
            instance_id=row["instance_id"],
            status=row["status"],
            status_reason=row.get("status_reason", ""),
            instance_type=row.get("instance_type", ""),
            availability_zone=row.get("availability_zone", ""),
            home_type=row.get("home_type", ""),
            fence=row.get("fence", 0),
            claim_switch_id=row.get("claim_switch_id"),
            claim_expires_at=_time(row, "claim_expires_at"),
            breaker_open_since=_time(row, "breaker_open_since"),
            backoff_until=_time(row, "backoff_until"),
        )


@dataclass(frozen=True, slots=True)
class StackItem:
    """The item of the whole stack."""

    breaker_open_since: datetime | None = None

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(breaker_open_since=_time(row, "breaker_open_since"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance runs or is to be launched."""

    instance_type: str
    availability_zone: str
    lifecycle: str

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(row["instance_type"], row["availability_zone"], row["lifecycle"])

    @property
    def pool(self) -> str:
        return f"{self.instance_type}/{self.availability_zone}"

    def __str__(self) -> str:
        return f"{self.pool} {self.lifecycle}"


@dataclass(frozen=True, slots=True)
class Original(Place):
    """The instance that a switch leaves."""

    instance_id: str

    @classmethod
    def read(cls, row: Row) -> Self:
        place = Place.read(row)
        return cls(
            place.instance_type, place.availability_zone, place.lifecycle, row["instance_id"]
        )


@dataclass(frozen=True, slots=True)
class OrderItem:
    """The order of a switch: the input of its first execution."""

    decision_id: str
    kind: DecisionKind
    row: int
    reason: str
    original: Original
    candidates: tuple[Place, ...]
    """In rank order."""
    asked_by: str

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(
            decision_id=row["decision_id"],
            kind=DecisionKind(row["kind"]),
            row=row["row"],
            reason=row["reason"],
            original=Original.read(row["original"]),
            candidates=tuple(map(Place.read, row["candidates"])),
            asked_by=row.get("asked_by", ""),
        )


@dataclass(frozen=True, slots=True)
class RefusalItem:
    """A launch that EC2 refused."""

    candidate: int
    """Index into the order's candidates."""
    code: str
    message: str
    cure: str

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(row["candidate"], row["code"], row["message"], row["cure"])


@dataclass(frozen=True, slots=True)
class SwitchItem:
    """One switch, from claim to outcome."""

    workload_id: str
    switch_id: str
    order: OrderItem
    phase: Phase
    fence: int
    candidate: int
    """Index of the candidate that was tried last."""
    refusals: tuple[RefusalItem, ...]
    claimed_at: datetime
    replacement_id: str | None
    launched_at: datetime | None
    healthy_at: datetime | None
    handed_over_at: datetime | None
    committed_at: datetime | None
    abandoned_at: datetime | None
    ended_at: datetime | None
    taken_over_by: str | None
    """The failover that ended this switch."""
    outcome: Row

    @classmethod
    def read(cls, row: Row) -> Self:
        claimed_at = _time(row, "claimed_at")
        assert claimed_at is not None, f"switch {row['switch_id']} has no time of its claim"
        return cls(
            workload_id=row["workload_id"],
            switch_id=row["switch_id"],
            order=OrderItem.read(row["order"]),
            phase=Phase(row["phase"]),
            fence=row["fence"],
            candidate=row.get("candidate", 0),
            refusals=tuple(map(RefusalItem.read, row.get("refusals", ()))),
            claimed_at=claimed_at,
            replacement_id=row.get("replacement_id"),
            launched_at=_time(row, "launched_at"),
            healthy_at=_time(row, "healthy_at"),
            handed_over_at=_time(row, "handed_over_at"),
            committed_at=_time(row, "committed_at"),
            abandoned_at=_time(row, "abandoned_at"),
            ended_at=_time(row, "ended_at"),
            taken_over_by=row.get("taken_over_by"),
            outcome=row.get("outcome", {}),
        )

    @property
    def is_failover(self) -> bool:
        """Whether EC2 took the original back."""
        return self.order.kind is DecisionKind.EVACUATE

    @property
    def target(self) -> Place:
        """The candidate that was tried last."""
        return self.order.candidates[self.candidate]


@dataclass(frozen=True, slots=True)
class DebtItem:
    """What the instance of a workload still lacks of the instance before it."""

    workload_id: str
    switch_id: str
    tries: int
    tried_at: datetime | None

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(
            workload_id=row["workload_id"],
            switch_id=row["switch_id"],
            tries=row.get("tries", 0),
            tried_at=_time(row, "tried_at"),
        )


def _time(row: Row, name: str) -> datetime | None:
    text = row.get(name)
    return datetime.fromisoformat(text) if text else None
