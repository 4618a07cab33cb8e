"""The ledger of the embedded account as plain records, read past the API."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from simulator.account import EmbeddedAccount
from spot_optimizer.aws.ledger.items import StackItem, SwitchItem, WorkloadItem
from spot_optimizer.aws.ledger.keys import PLANS, STACK, STATE, WORKLOADS
from spot_optimizer.aws.ledger.wire import from_wire


class LedgerView:
    """Reads items by kind; only what is asked for is decoded, because it is read after every event."""

    def __init__(self, account: EmbeddedAccount) -> None:
        self._name = account.stack.physical_ids["Ledger"]
        self._backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][account.region]

    def workloads(self) -> dict[str, WorkloadItem]:
        """Hot items by workload id."""
        rows = (row for _, row in self._rows(WORKLOADS, ""))
        return {row["workload_id"]: WorkloadItem.model_validate(row) for row in rows}

    def plans(self) -> dict[str, dict[str, Any]]:
        """Launch templates and failover plans by workload id."""
        return {row["workload_id"]: row for _, row in self._rows(PLANS, "")}

    def stack(self) -> StackItem:
        """What concerns the whole stack."""
        rows = [row for _, row in self._rows(STACK, STATE)]
        return StackItem.model_validate(rows[0]) if rows else StackItem()

    def switches(self) -> list[SwitchItem]:
        """All switches, in the order of their claims."""
        found = [SwitchItem.model_validate(row) for _, row in self._rows("WORKLOAD#", "SWITCH#")]
        return sorted(found, key=lambda switch: (switch.claimed_at, switch.switch_id))

    def decisions(self, after: str = "") -> list[dict[str, Any]]:
        """Recorded changes of decision whose sort key lies behind ``after``, oldest first."""
        rows = list(self._rows("WORKLOAD#", "DECISION#", after))
        return [row for _, row in sorted(rows, key=lambda pair: (pair[0], pair[1]["workload_id"]))]

    def signals(self) -> list[dict[str, Any]]:
        """Signals of EC2 with what they led to, in the order in which they were received."""
        rows = [row for _, row in self._rows("WORKLOAD#", "SIGNAL#")]
        return sorted(rows, key=lambda row: (row["received_at"], row["workload_id"], row["kind"]))

    def pointers(self) -> dict[str, str]:
        """Instance id -> workload id."""
        return {
            pk.removeprefix("INSTANCE#"): decode()["workload_id"]
            for pk, _, decode in self._raw()
            if pk.startswith("INSTANCE#")
        }

    def _rows(
        self, pk_prefix: str, sk_prefix: str, after: str = ""
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for pk, sk, decode in self._raw():
            if pk.startswith(pk_prefix) and sk.startswith(sk_prefix) and sk > after:
                yield sk, decode()

    def _raw(self) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
        # Looked up anew: a cancelled transaction puts a copy in the place of the table.
        for item in self._backend.tables[self._name].all_items():
            yield item.hash_key.value, item.range_key.value, partial(_decoded, item)


def _decoded(item: Any) -> dict[str, Any]:
    return from_wire({name: value.to_regular_json() for name, value in item.attrs.items()})
