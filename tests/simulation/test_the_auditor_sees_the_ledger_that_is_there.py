"""The auditor reads the ledger after a canceled transaction, and repeats violations that were caught."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulator.account.callers import Caller
from simulator.deployed import HOME, ZONES
from simulator.invariants import InvariantViolated
from simulator.trials.ground import Ground, open_ground
from spot_optimizer.aws.ledger.keys import workload_key


@pytest.fixture
def ground() -> Iterator[Ground]:
    """One adopted workload."""
    with open_ground(seed=5) as opened:
        opened.launch("web")
        opened.adopt()
        yield opened


def test_auditor_reads_writes_after_a_canceled_transaction(ground: Ground) -> None:
    """A fence that is raised afterwards is seen."""
    dynamodb, table = boto3.client("dynamodb"), ground.account.outputs["LedgerTable"]
    never: Any = {
        "TableName": table,
        "Key": workload_key("nobody"),
        "ConditionExpression": "attribute_exists(pk)",
    }
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=[{"Delete": never}])
    dynamodb.update_item(
        TableName=table,
        Key=workload_key("web"),
        UpdateExpression="SET fence = :fence",
        ExpressionAttributeValues={":fence": {"N": "7"}},
    )
    assert ground.ledger.workloads()["web"].fence == 7


def test_caught_violation_is_raised_by_the_next_check(ground: Ground) -> None:
    """A state machine would take it for an error of its task and retry."""
    stranger = ground.world.launch_instance(HOME, ZONES[1])
    execution = Caller("states", "SwitchInstance", "us-east-1")
    with pytest.raises(InvariantViolated, match="invariant 1 "):
        ground.world.handle("ec2", "TerminateInstances", {"InstanceIds": [stranger]}, execution)
    with pytest.raises(InvariantViolated, match=f"{stranger} was terminated"):
        ground.auditor.check()
