"""A cycle in which many decisions change writes them in transactions, with the same result."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from spot_optimizer.aws import clients
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.decisions import Change, read_decision, record_changes
from spot_optimizer.aws.ledger.table import TOGETHER_FROM, Ledger

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TABLE = "ledger"
MANY = 2 * TOGETHER_FROM + 1


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An empty table; the operations that are called."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    clients._client.cache_clear()
    seen: list[str] = []
    with mock_aws():
        client = clients.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        client.meta.events.register(
            "before-call.dynamodb", lambda model, **_: seen.append(model.name)
        )
        yield seen
    clients._client.cache_clear()


def change(number: int, kind: str = "STAY") -> Change:
    """A workload's new decision, and its hot item's."""
    name = f"w-{number:03}"
    record = {"workload_id": name, "decision_id": f"{name}-1", "kind": kind, "held_by": ""}
    return Change(name, record, {"decision_digest": kind}, {"fallback_pending_since": NOW})


def rows() -> dict[tuple[str, str], dict[str, Any]]:
    """Everything that the table holds, by its keys."""
    items = boto3.client("dynamodb", region_name="us-east-1").scan(TableName=TABLE)["Items"]
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in items}


def record(changes: list[Change]) -> frozenset[str]:
    return record_changes(Ledger(TABLE), changes, NOW, 30)


def test_few_changes_and_many_leave_the_same(calls: list[str]) -> None:
    """One call for fifty instead of a hundred, and the same items."""
    few = [change(number) for number in range(TOGETHER_FROM - 1)]
    assert record(few) == {c.workload_id for c in few}
    assert calls.count("TransactWriteItems") == 0
    one_by_one = rows()
    many = [change(number) for number in range(MANY)]
    calls.clear()
    assert record(many) == {c.workload_id for c in many}
    assert calls == ["TransactWriteItems"] * 3
    assert one_by_one.items() <= rows().items()
    assert len(rows()) == 2 * MANY


def test_one_that_was_acted_upon_stays_and_stops_no_other(calls: list[str]) -> None:
    """Its record is not overwritten and its digest not changed; what holds in any case is written."""
    record([change(3, kind="SWITCH")])
    many = [change(number) for number in range(MANY)]
    calls.clear()
    assert record(many) == {c.workload_id for c in many} - {"w-003"}
    assert calls.count("TransactWriteItems") == 3
    found = rows()
    (decision,) = [item for (pk, _), item in found.items() if pk == "WORKLOAD#w-003"]
    assert decision["kind"] == {"S": "SWITCH"}
    assert found["WORKLOADS", "w-003"]["decision_digest"] == {"S": "SWITCH"}
    assert found["WORKLOADS", "w-004"]["decision_digest"] == {"S": "STAY"}
    assert len(found) == 2 * MANY


@pytest.mark.parametrize(("count", "transactions"), [(TOGETHER_FROM - 1, 0), (MANY, 2)])
def test_plans_are_written_whole_however_many(
    calls: list[str], count: int, transactions: int
) -> None:
    """A hundred in a transaction; what was there before is replaced."""
    ledger = Ledger(TABLE)
    ledger.put(keys.plan_key("w-0"), {"old": "attribute"})
    calls.clear()
    ledger.put_all(
        [
            (keys.plan_key(f"w-{n}"), {"pools": [f"m5.large/us-east-1a/subnet-{n}"]})
            for n in range(count)
        ]
    )
    assert calls.count("TransactWriteItems") == transactions
    assert calls.count("PutItem") == (0 if transactions else count)
    assert len(rows()) == count
    assert "old" not in rows()["PLANS", "w-0"]


@pytest.mark.parametrize("count", [1, MANY])
def test_a_recorded_decision_is_read_by_its_workload_time_and_id(
    calls: list[str], count: int
) -> None:
    """The end of a switch finds the decision that ordered it; another time or id finds nothing."""
    ledger = Ledger(TABLE)
    record_changes(ledger, [change(n) for n in range(count)], NOW, 30)
    calls.clear()
    decision = read_decision(ledger, "w-000", NOW, "w-000-1")
    assert decision is not None
    assert (decision["workload_id"], decision["kind"]) == ("w-000", "STAY")
    assert read_decision(ledger, "w-000", NOW, "w-000-2") is None
    assert calls == ["GetItem", "GetItem"]
