"""The ledger of the embedded account as plain records, read past the API."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer
from moto.dynamodb.models import dynamodb_backends

from simulator.account import EmbeddedAccount
from simulator.account.copies import plain_copy
from simulator.account.dynamodb_patches import remembered
from simulator.ledger_items import DebtItem, Row, StackItem, SwitchItem, WorkloadItem

_Item = TypeVar("_Item")
_deserialize = TypeDeserializer().deserialize


class LedgerView:
    """Reads items by kind. It is read after every event: only what is asked for is decoded, and that
    once for each version of an item."""

    def __init__(self, account: EmbeddedAccount) -> None:
        self._name = account.stack.physical_ids["Ledger"]
        self._backend = dynamodb_backends[account.account_id][account.region]

    def workloads(self) -> dict[str, WorkloadItem]:
        """Hot items by workload id."""
        found = self._read(WorkloadItem.read, "WORKLOADS", "")
        return {item.workload_id: item for item in found}

    def plans(self) -> dict[str, dict[str, Any]]:
        """Launch templates and failover plans by workload id."""
        return {row["workload_id"]: row for _, row in self._rows("PLANS", "")}

    def stack(self) -> StackItem:
        """The item of the whole stack; an empty one until it is first written."""
        return next(self._read(StackItem.read, "STACK", "STATE"), StackItem())

    def debts(self) -> list[DebtItem]:
        """What instances still lack of the instances before them."""
        return list(self._read(DebtItem.read, "DEBTS", ""))

    def switches(self) -> list[SwitchItem]:
        """All switches, in the order of their claims."""
        found = self._read(SwitchItem.read, "WORKLOAD#", "SWITCH#")
        return sorted(found, key=lambda switch: (switch.claimed_at, switch.switch_id))

    def decisions(self, after: str = "") -> list[dict[str, Any]]:
        """Recorded changes of decision with a sort key greater than ``after``, oldest first."""
        rows = list(self._rows("WORKLOAD#", "DECISION#", after))
        return [row for _, row in sorted(rows, key=lambda pair: (pair[0], pair[1]["workload_id"]))]

    def signals(self) -> list[dict[str, Any]]:
        """Signals of EC2 with their effects, in the order in which they were received."""
        rows = [row for _, row in self._rows("WORKLOAD#", "SIGNAL#")]
        return sorted(rows, key=lambda row: (row["received_at"], row["workload_id"], row["kind"]))

    def pointers(self) -> dict[str, str]:
        """Instance id -> workload id."""
        return {
            item.hash_key.value.removeprefix("INSTANCE#"): _decoded(item)["workload_id"]
            for item in self._items("INSTANCE#", "")
        }

    def _read(
        self, read: Callable[[Row], _Item], pk_prefix: str, sk_prefix: str
    ) -> Iterator[_Item]:
        for item in self._items(pk_prefix, sk_prefix):
            yield remembered(item, "read", lambda item: read(_decoded(item)))

    def _rows(
        self, pk_prefix: str, sk_prefix: str, after: str = ""
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for item in self._items(pk_prefix, sk_prefix):
            if item.range_key.value > after:
                yield item.range_key.value, plain_copy(remembered(item, "row", _decoded))

    def _items(self, pk_prefix: str, sk_prefix: str) -> Iterator[Any]:
        # Looked up each time: a canceled transaction replaces the table by a copy.
        for item in self._backend.tables[self._name].all_items():
            pk, sk = item.hash_key.value, item.range_key.value
            if pk.startswith(pk_prefix) and sk.startswith(sk_prefix):
                yield item


def _decoded(item: Any) -> dict[str, Any]:
    return {
        name: _plain(_deserialize(value.to_regular_json())) for name, value in item.attrs.items()
    }


def _plain(value: Any) -> Any:
    """Whole numbers as int, others as float."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
