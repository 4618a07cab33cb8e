"""The row of the decision table that decided is a `Rule` in code and a plain number on record."""

import json

import pytest
from boto3.dynamodb.types import TypeSerializer

from spot_optimizer.aws.ledger.codec import from_wire, to_wire
from spot_optimizer.decision.decision_record import plain_record
from spot_optimizer.vocabulary import Pool, Rule
from tests.decision.worlds import HERE, ZONES, decide_one, workload

RECORD = plain_record(
    decide_one(workload(), {HERE: 0.06, Pool("m5a.xlarge", ZONES[1]): 0.03}),
)


def test_rule_of_a_record_is_a_plain_number() -> None:
    """No reader of a record needs the enum."""
    assert type(RECORD["row"]) is int
    assert RECORD["row"] == Rule.LEAVE_EXPENSIVE


def test_rule_of_a_record_survives_the_ledger_and_json() -> None:
    """DynamoDB's serializer and JSON write what they wrote before there was an enum."""
    assert to_wire(RECORD)["row"] == {"N": "5"}
    assert from_wire(to_wire(RECORD))["row"] == 5
    assert '"row": 5' in json.dumps(RECORD, default=str)


@pytest.mark.parametrize("rule", Rule)
def test_rule_is_written_as_its_number_wherever_it_goes(rule: Rule) -> None:
    """Also where nobody made it an int first: text, JSON, an attribute of an item."""
    number = str(rule.value)
    assert (str(rule), f"{rule}", json.dumps(rule)) == (number, number, number)
    assert TypeSerializer().serialize(rule) == to_wire({"row": rule})["row"] == {"N": number}
