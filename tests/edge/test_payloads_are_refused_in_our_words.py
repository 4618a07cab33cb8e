"""A payload that violates its contract is refused by field, value and what is allowed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from spot_optimizer.contracts import announcements, command, decide, events, market, steps, sweep
from spot_optimizer.contracts.boundary import InvalidRequest, parse
from spot_optimizer.contracts.command import CommandRequest, RecommendPools
from spot_optimizer.contracts.patterns import IN_WORDS
from spot_optimizer.contracts.steps import UpdateLedgerRequest
from spot_optimizer.forecast.model_artifact import Metadata

STOP = {"command": "stop", "asked_by": "ops"}
RECOMMEND = {
    "command": "recommend",
    "asked_by": "ops",
    "vcpu": 2,
    "memory_gib": 8,
    "count": 1,
    "architecture": "arm64",
}
EVALUATE = {"command": "evaluate", "asked_by": "ops", "instance_type": "m5.large"}


def _refusal(payload: object, contract: Any = CommandRequest) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse(contract, payload)
    return str(refused.value)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (5, "the whole = 5: allowed is an object"),
        ({}, "command is missing"),
        ({"command": "stop"}, "asked_by is missing"),
        ({**STOP, "reason": "lunch"}, "reason is unknown"),
        ({**STOP, "asked_by": ""}, 'asked_by = "": allowed is a text of 1 or more characters'),
        ({**STOP, "asked_by": None}, "asked_by = null: allowed is a text"),
        ({**RECOMMEND, "vcpu": 0}, "vcpu = 0: allowed is more than 0"),
        ({**RECOMMEND, "vcpu": 1e9}, "vcpu = 1000000000.0: allowed is 2048 or less"),
        ({**RECOMMEND, "vcpu": "two"}, 'vcpu = "two": allowed is a number'),
        ({**RECOMMEND, "count": 1.5}, "count = 1.5: allowed is a whole number"),
        ({**RECOMMEND, "types": []}, "types = []: allowed is a list of 1 or more"),
        (
            {**RECOMMEND, "architecture": "arm"},
            'architecture = "arm": allowed is x86_64, arm64',
        ),
        (
            {**RECOMMEND, "zones": ["us-east-1a", "use1-az1"]},
            'zones.1 = "use1-az1": allowed is the name of a zone such as us-east-1a,'
            " not a zone id such as use1-az1",
        ),
        (
            {"command": "set-threshold", "asked_by": "ops", "name": "x", "value": "often"},
            'value = "often": allowed is a number, or true or false',
        ),
        (
            {**EVALUATE, "availability_zone": "us-east-1a", "instance_type": "large", "of": 1},
            'instance_type = "large": allowed is an instance type such as m5.large; of is unknown',
        ),
        (
            {"command": "decide", "asked_by": "o", "workload": "w", "lifecycle": "on-demand"},
            "lifecycle on-demand needs instance_type and availability_zone",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusal_names_field_value_and_what_is_allowed(payload: object, text: str) -> None:
    """The field as it stands in the payload: without the parts that name a member of a union."""
    assert _refusal(payload).endswith(text)


def test_unknown_command_lists_the_known_ones() -> None:
    """In the order of the documentation."""
    assert _refusal({"command": "dance"}).startswith(
        'command = "dance": allowed is decide, set-mode, set-threshold, '
    )


def test_field_is_named_as_the_user_wrote_it() -> None:
    """An option of the command line, not the field of the request that it becomes."""
    with pytest.raises(InvalidRequest, match=r"^--memory = -1: allowed is more than 0$"):
        parse(RecommendPools, {**RECOMMEND, "memory_gib": -1}, {"memory_gib": "--memory"})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
LIBRARY = re.compile(
    r"Input should|should (have|match)|Field required|Extra inputs|valid (string|dict)"
)


@given(
    contract=st.sampled_from([CommandRequest, UpdateLedgerRequest]),
    base=st.sampled_from([STOP, RECOMMEND, EVALUATE]),
    changes=st.dictionaries(
        st.sampled_from([*RECOMMEND, "availability_zone", "types", "zones", "asked_for"]),
        ANYTHING,
        min_size=1,
        max_size=3,
    ),
)
def test_no_refusal_has_the_librarys_words(
    contract: Any, base: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Whatever is sent is accepted, or refused in a line of ours."""
    said = ""
    try:
        parse(contract, {**base, **changes})
    except InvalidRequest as refused:
        said = str(refused)
    assert not LIBRARY.search(said)
    assert "another value" not in said


def test_every_form_of_a_text_is_known_in_words() -> None:
    """A regular expression says nothing to the person who wrote the payload."""
    modules = (announcements, command, decide, events, market, steps, sweep)
    contracts = [
        each
        for module in modules
        for name, each in vars(module).items()
        if name.endswith("Request") or hasattr(each, "model_fields")
    ]
    found = {
        pattern
        for each in [*contracts, Metadata]
        for pattern in _patterns(TypeAdapter(each).json_schema())
    }
    assert found
    assert found <= IN_WORDS.keys()


def _patterns(schema: Any) -> Iterator[str]:
    for text in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(schema)):
        yield json.loads(text)
