"""Reads and unconditional writes of the ledger; the transactions of a switch are in claims.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError
from pydantic import ValidationError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.codec import (
    from_wire,
    instant,
    to_wire,
    wire_value,
)
from spot_optimizer.aws.ledger.items import (
    DebtItem,
    Item,
    PlanItem,
    StackItem,
    SwitchItem,
    WorkloadItem,
)
from spot_optimizer.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, UpdateTypeDef

AnyItem = TypeVar("AnyItem", bound=Item)

TOGETHER_FROM = 50
"""From this number on, items are written in transactions. One by one, a cycle in which thousands change
(after a gap in the prices) would take minutes. Fewer are not: a transaction costs twice as much."""

_TOGETHER_OR_NOT = frozenset(
    {
        "TransactionCanceledException",
        "TransactionInProgressException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
"""Errors of TransactWriteItems after which its parts are written one by one (DynamoDB API reference)."""

_PARTS_MAX = 100
"""Parts of a transaction (DynamoDB developer guide, "Service, account, and table quotas")."""


SCHEMA_VERSION = 2
"""Of the ledger that this code writes; schema.py describes the versions."""


class LedgerTooNew(Exception):
    """The ledger was written by a newer version of the product and would be misread."""


class Ledger:
    """The stack's table."""

    def __init__(self, table: str) -> None:
        self.table = table

    # --- reads -----------------------------------------------------------------------------------

    def workloads(self) -> dict[str, WorkloadItem]:
        """The hot items of all workloads, by id."""
        return {item.workload_id: item for item in self._items(keys.WORKLOADS, WorkloadItem)}

    def home_types(self) -> set[str]:
        """The home types of all managed workloads."""
        rows = self._partition(keys.WORKLOADS, ("home_type", "status"))
        managed = (row for row in rows if row.get("status") == "managed")
        return {row["home_type"] for row in managed if row.get("home_type")}

    def switches_in_flight(self, now: datetime) -> int:
        """Claims of the stack that have not expired."""
        rows = self._partition(keys.WORKLOADS, ("claim_switch_id", "claim_expires_at"))
        expiries = (row["claim_expires_at"] for row in rows if row.get("claim_switch_id"))
        return sum(expires > instant(now) for expires in expiries)

    def workload_ids(self) -> list[str]:
        """The ids of all workloads, in order."""
        return [row["sk"] for row in self._partition(keys.WORKLOADS, ("sk",))]

    def workload(self, workload_id: str) -> WorkloadItem | None:
        return self.item(keys.workload_key(workload_id), WorkloadItem)

    def plan(self, workload_id: str) -> PlanItem | None:
        return self.item(keys.plan_key(workload_id), PlanItem)

    def plans(self) -> dict[str, PlanItem]:
        """Launch templates and failover plans of all workloads, by id."""
        return {item.workload_id: item for item in self._items(keys.PLANS, PlanItem)}

    def debts(self) -> list[DebtItem]:
        """What the instances of all workloads still lack, in the order of workloads and switches."""
        return list(self._items(keys.DEBTS, DebtItem))

    def stack(self) -> StackItem:
        """What concerns the whole stack. Raises LedgerTooNew."""
        found = self.item(keys.stack_key(), StackItem) or StackItem()
        if found.schema_version > SCHEMA_VERSION:
            raise LedgerTooNew(
                f"schema_version = {found.schema_version} of the ledger {self.table} is newer than"
                f" {SCHEMA_VERSION}, which this version of the product knows: deploy the newer one again,"
                " or restore the table to a time before it and deploy with that"
            )
        return found

    def switch(self, workload_id: str, switch_id: str) -> SwitchItem | None:
        return self.item(keys.switch_key(workload_id, switch_id), SwitchItem)

    def switches(self, workload_id: str) -> list[SwitchItem]:
        """All switches of a workload. Raises ValidationError for a damaged record, because callers
        conclude from a missing one."""
        rows = self._partition(f"WORKLOAD#{workload_id}", sk_prefix="SWITCH#")
        return [SwitchItem.read(row) for row in rows]

    def has_pointer(self, instance_id: str) -> bool:
        """Whether an instance is, or was, a workload's instance."""
        reply = client("dynamodb").get_item(
            TableName=self.table, Key=keys.pointer_key(instance_id), ConsistentRead=True
        )
        return "Item" in reply

    def rows_since(self, pk: str, sk: str) -> list[dict[str, Any]]:
        """The items of a partition whose sort key is ``sk`` or later."""
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.table,
                KeyConditionExpression="pk = :pk AND sk >= :sk",
                ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk}},
                ConsistentRead=True,
            )
        )
        return [from_wire(row) for page in pages for row in page["Items"]]

    def item(self, key: Mapping[str, Any], kind: type[AnyItem]) -> AnyItem | None:
        """One item, or None; a consistent read."""
        reply = client("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True)
        return kind.read(from_wire(reply["Item"])) if "Item" in reply else None

    def _items(self, pk: str, kind: type[AnyItem]) -> Iterator[AnyItem]:
        """The items of a partition. A damaged one is logged and skipped."""
        for row in self._partition(pk):
            try:
                yield kind.read(row)
            except ValidationError as error:
                logger.error("damaged item", pk=pk, sk=row["sk"], reason=str(error))

    def _partition(
        self, pk: str, names: tuple[str, ...] = (), sk_prefix: str = ""
    ) -> Iterator[dict[str, Any]]:
        """The items of a partition whose sort key begins with ``sk_prefix``; all or named attributes."""
        aliases = {f"#{name}": name for name in names}
        projection: dict[str, Any] = {
            "ProjectionExpression": ", ".join(aliases),
            "ExpressionAttributeNames": aliases,
        }
        pages = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.table,
                KeyConditionExpression="pk = :pk"
                + (" AND begins_with(sk, :sk)" if sk_prefix else ""),
                ExpressionAttributeValues={
                    ":pk": {"S": pk},
                    **({":sk": {"S": sk_prefix}} if sk_prefix else {}),
                },
                ConsistentRead=True,
                **(projection if names else {}),
            )
        )
        for page in pages:
            yield from (from_wire(row) for row in page["Items"])

    # --- writes ----------------------------------------------------------------------------------

    def put(self, key: Mapping[str, Any], item: Mapping[str, Any]) -> None:
        """Write a whole item."""
        client("dynamodb").put_item(TableName=self.table, Item={**key, **to_wire(item)})

    def put_all(self, items: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """Write whole items by their keys: many in transactions, few one by one."""
        for start in range(0, len(items), _PARTS_MAX):
            some = items[start : start + _PARTS_MAX]
            parts: list[TransactWriteItemTypeDef] = [
                {"Put": {"TableName": self.table, "Item": {**key, **to_wire(item)}}}
                for key, item in some
            ]
            if len(items) < TOGETHER_FROM or not self.write_together(parts):
                for key, item in some:
                    self.put(key, item)

    def update(self, key: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        """Set attributes of an item and remove those whose value is None; others stay as they are.

        ``changes`` has stored names: see ``Item.stored``.
        """
        client("dynamodb").update_item(**self.update_of(key, changes))

    def update_of(self, key: Mapping[str, Any], changes: Mapping[str, Any]) -> UpdateTypeDef:
        """The request of :meth:`update`, also as a part of a transaction."""
        update, names, values = update_expression(changes)
        request: UpdateTypeDef = {
            "TableName": self.table,
            "Key": key,
            "UpdateExpression": update,
            "ExpressionAttributeNames": names,
        }
        # DynamoDB refuses an empty map of values.
        return {**request, "ExpressionAttributeValues": values} if values else request

    def write_together(self, parts: Sequence[TransactWriteItemTypeDef]) -> bool:
        """Write all parts of a transaction, at most 100, or none. Returns whether they were written.

        If a condition fails, another write conflicts or DynamoDB throttles, callers write one by one.
        """
        try:
            client("dynamodb").transact_write_items(TransactItems=list(parts))
        except ClientError as error:
            if error_code(error) not in _TOGETHER_OR_NOT:
                raise
            logger.warning("not written together", parts=len(parts), reason=str(error)[:500])
            return False
        return True

    def put_history(
        self, pk: str, sk: str, item: Mapping[str, Any], at: datetime, retention_days: int
    ) -> None:
        """Write an item of history, which DynamoDB deletes after the retention."""
        expires = int((at + timedelta(days=retention_days)).timestamp())
        self.put(keys.key(pk, sk), {**item, "expires_at_s": expires})

    # --- leases of functions --------------------------------------------------------------------

    def acquire_lease(self, name: str, holder: str, now: datetime, lease_s: int) -> bool:
        """Take the lease ``name`` for ``lease_s`` seconds, unless another holder's has not expired."""
        try:
            client("dynamodb").put_item(
                TableName=self.table,
                Item={
                    **keys.key(keys.STACK, f"LEASE#{name}"),
                    "holder": {"S": holder},
                    "expires_at": {"S": instant(now + timedelta(seconds=lease_s))},
                },
                ConditionExpression=(
                    "attribute_not_exists(pk) OR expires_at < :now OR holder = :holder"
                ),
                ExpressionAttributeValues={
                    ":now": {"S": instant(now)},
                    ":holder": {"S": holder},
                },
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def release_lease(self, name: str, holder: str) -> None:
        """Release the lease if it is still ours; an expired one may be another holder's."""
        try:
            client("dynamodb").delete_item(
                TableName=self.table,
                Key=keys.key(keys.STACK, f"LEASE#{name}"),
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": holder}},
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise


def update_expression(
    changes: Mapping[str, Any],
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """SET and REMOVE clauses for ``changes``, with every name aliased (reserved words)."""
    names = {f"#{name}": name for name in changes}
    values = {f":{n}": wire_value(v) for n, v in changes.items() if v is not None}
    sets = ", ".join(f"#{n} = :{n}" for n, v in changes.items() if v is not None)
    removes = ", ".join(f"#{n}" for n, v in changes.items() if v is None)
    clauses = [f"SET {sets}"] * bool(sets) + [f"REMOVE {removes}"] * bool(removes)
    return " ".join(clauses), names, values
