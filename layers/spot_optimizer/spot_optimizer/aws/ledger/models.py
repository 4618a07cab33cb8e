"""Models on the ledger: which one is live, the state of every upload, and who requested each change."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError
from pydantic import AwareDatetime, Field

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import (
    from_wire,
    instant,
    to_wire,
)
from spot_optimizer.aws.ledger.items import Item
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.forecast.model_registry import (
    SHIPPED_VERSION,
    Registry,
    Slot,
)

_TRIES = 5

UploadState = Literal["incomplete", "refused", "accepted", "removed"]


class SlotItem(Item):
    """A version that is kept."""

    version: str
    sha256: str = ""


class RegistryItem(Item):
    """Which model is live. ``revision`` counts the changes."""

    live: SlotItem = SlotItem(version=SHIPPED_VERSION)
    previous: SlotItem | None = None
    pending: SlotItem | None = None
    trial_share: float = 0.0
    revision: int = 0


class ModelItem(Item):
    """State of one uploaded version. Whether it is live is in the registry."""

    version: str
    state: UploadState
    reason: str = ""
    """Why it is incomplete, refused or removed."""
    since: AwareDatetime
    """When it entered that state."""
    asked_by: str
    name: str = ""
    trained_until: AwareDatetime | None = None
    sha256: str = ""
    """Of the metadata."""
    comparison: dict[str, Any] = Field(default_factory=dict)
    """With the model that was live at its validation; empty if nothing could be compared."""


class ModelLedger:
    """The ledger's partition of models."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def registry(self) -> Registry:
        """Live, previous and pending model; at first the shipped one alone."""
        return _registry(self._state())

    def change(self, step: Callable[[Registry], Registry]) -> Registry:
        """Replace the registry by the result of ``step`` and return it. No concurrent change is lost.

        ``step`` may be called several times. If it raises, nothing is written.
        """
        for tries_left in reversed(range(_TRIES)):
            before = self._state()
            after = step(_registry(before))
            try:
                self._put(after, before.revision)
                return after
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException" or not tries_left:
                    raise
        raise AssertionError("unreachable")

    def version(self, version: str) -> ModelItem | None:
        """State of a version, or None."""
        return self._ledger.item(keys.model_key(version), ModelItem)

    def versions(self) -> list[ModelItem]:
        """All versions that were ever uploaded."""
        reply = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._ledger.table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={":pk": {"S": keys.MODELS}, ":sk": {"S": "MODEL#"}},
                ConsistentRead=True,
            )
        )
        return [ModelItem.read(from_wire(row)) for page in reply for row in page["Items"]]

    def note_version(self, item: ModelItem) -> None:
        """Write the state of a version."""
        self._ledger.put(keys.model_key(item.version), item.model_dump())

    def note_change(self, what: Mapping[str, Any], at: datetime, retention_days: int) -> None:
        """Write a change, with its requester, to the history. ``what`` has ``version`` and ``status``."""
        sk = f"CHANGE#{instant(at)}#{what['version']}#{what['status']}"
        self._ledger.put_history(keys.MODELS, sk, what, at, retention_days)

    def _state(self) -> RegistryItem:
        return self._ledger.item(keys.registry_key(), RegistryItem) or RegistryItem()

    def _put(self, registry: Registry, revision: int) -> None:
        item = RegistryItem(
            live=SlotItem(version=registry.live.version, sha256=registry.live.sha256),
            previous=_slot_item(registry.previous),
            pending=_slot_item(registry.pending),
            trial_share=registry.trial_share,
            revision=revision + 1,
        )
        client("dynamodb").put_item(
            TableName=self._ledger.table,
            Item={**keys.registry_key(), **to_wire(item.model_dump())},
            ConditionExpression="attribute_not_exists(pk) OR revision = :revision",
            ExpressionAttributeValues={":revision": {"N": str(revision)}},
        )


def _registry(item: RegistryItem) -> Registry:
    return Registry(
        live=Slot(item.live.version, item.live.sha256),
        previous=_slot(item.previous),
        pending=_slot(item.pending),
        trial_share=item.trial_share,
    )


def _slot(item: SlotItem | None) -> Slot | None:
    return Slot(item.version, item.sha256) if item else None


def _slot_item(slot: Slot | None) -> SlotItem | None:
    return SlotItem(version=slot.version, sha256=slot.sha256) if slot else None
