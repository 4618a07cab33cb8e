"""The claim's code and both state machines write a switch's record under the same condition."""

import re
from typing import Any

import pytest

from spot_optimizer.aws.ledger.claim_updates import BEFORE_COMMIT, STILL_HELD, switch_update
from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.vocabulary import Phase
from tests.house.repository import STATE_MACHINES, state_machine

WRITES = [
    pytest.param(state["Parameters"], id=f"{path.name.partition('.')[0]}-{name}")
    for path in STATE_MACHINES
    for name, state in state_machine(path)["States"].items()
    if state["Type"] == "Task" and state["Resource"].endswith(":dynamodb:updateItem")
]


def _of_claims(*phases: Phase) -> dict[str, Any]:
    """The update that the claim's code builds for a write that may start from these phases."""
    switch = SwitchItem.model_construct(workload_id="web", switch_id="s-1", fence=7)
    return dict(switch_update(Ledger("ledger"), switch, {"attempt": 2}, phases)["Update"])


def _plain(condition: str, names: dict[str, str]) -> str:
    """A condition with the names of its attributes, and its phases as one word."""
    for alias, name in names.items():
        condition = condition.replace(alias, name)
    return re.sub(r"phase IN \(.*?\)", "phase IN (allowed)", condition)


def test_every_phase_before_the_commit_is_written_by_both_state_machines() -> None:
    """Each state machine records that it has launched, is healthy and has handed over."""
    assert len(WRITES) == 2 * len(BEFORE_COMMIT[1:])


@pytest.mark.parametrize("write", WRITES)
def test_state_machines_demand_what_the_claims_code_demands(write: dict[str, Any]) -> None:
    """The token is the record's fence and the phase one of those that the write may start from."""
    ours = _of_claims(Phase.CLAIMED, Phase.LAUNCHED)
    condition = _plain(write["ConditionExpression"], {})
    assert condition == _plain(ours["ConditionExpression"], ours["ExpressionAttributeNames"])
    assert condition.startswith(STILL_HELD)
    assert write["ExpressionAttributeValues"][":token"] == {"N.$": "$.claim.token"}
    assert ours["ExpressionAttributeValues"][":token"] == {"N": "7"}


@pytest.mark.parametrize("write", WRITES)
def test_state_machines_advance_the_phase_by_one(write: dict[str, Any]) -> None:
    """A write starts from the phase before its own, or from its own when it is repeated."""
    values = write["ExpressionAttributeValues"]
    before, after = (Phase(values[name]["S"]) for name in (":before", ":after"))
    assert BEFORE_COMMIT.index(after) == BEFORE_COMMIT.index(before) + 1
    assert "phase = :after" in write["UpdateExpression"]


@pytest.mark.parametrize("write", WRITES)
def test_state_machines_write_attributes_that_the_record_has(write: dict[str, Any]) -> None:
    """Every attribute of the update is one that the ledger's model of a switch reads."""
    stored = {field.serialization_alias or n for n, field in SwitchItem.model_fields.items()}
    assignments = write["UpdateExpression"].removeprefix("SET ").split(", ")
    assert {each.partition(" = ")[0] for each in assignments} <= stored


@pytest.mark.parametrize("write", WRITES)
def test_state_machines_write_the_item_that_the_claims_code_writes(write: dict[str, Any]) -> None:
    """The keys are formatted from workload and switch as the ledger's keys are."""
    key = {
        name: value["S.$"].replace("States.Format('", "").partition("', ")[0].replace("{}", text)
        for (name, value), text in zip(write["Key"].items(), ("web", "s-1"), strict=True)
    }
    assert {name: {"S": text} for name, text in key.items()} == _of_claims(Phase.CLAIMED)["Key"]
