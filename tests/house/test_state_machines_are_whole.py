"""A state machine can get stuck nowhere, leads nowhere that is not there, and tells its steps all."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from spot_optimizer.aws.ledger.claims import CLAIM_LIFE
from spot_optimizer.contracts.boundary import Boundary
from spot_optimizer.contracts.steps import (
    HandOverRequest,
    InspectRequest,
    LaunchRequest,
    UpdateLedgerRequest,
)
from tests.house.repository import PACKAGE, ROOT, STATE_MACHINES, resources, state_machine

REQUESTS: dict[str, Any] = {
    "UpdateLedgerArn": UpdateLedgerRequest,
    "LaunchReplacementArn": LaunchRequest,
    "InspectReplacementArn": InspectRequest,
    "HandOverArn": HandOverRequest,
}
"""Substitution that names a function -> what that function is asked with."""

_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")


def _name(path: Path) -> str:
    return path.name.removesuffix(".asl.yaml")


def _followers(state: dict[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    for branch in [*state.get("Choices", []), *state.get("Catch", [])]:
        yield branch["Next"]


def _tasks() -> list[Any]:
    return [
        pytest.param(state, id=f"{_name(path)}-{name}")
        for path in STATE_MACHINES
        for name, state in state_machine(path)["States"].items()
        if state["Type"] == "Task"
    ]


TASKS = _tasks()
LAMBDA_TASKS = [task for task in TASKS if task.values[0]["Resource"].endswith("lambda:invoke")]


@pytest.mark.parametrize("path", STATE_MACHINES, ids=_name)
def test_states_are_those_that_can_be_reached(path: Path) -> None:
    """No state is orphaned and no arrow points at a state that does not exist."""
    machine = state_machine(path)
    states = machine["States"]
    reached: set[str] = set()
    todo = [machine["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += _followers(states.get(name, {}))
    assert reached == set(states)


@pytest.mark.parametrize("path", STATE_MACHINES, ids=_name)
def test_only_succeed_and_fail_end_a_run(path: Path) -> None:
    """A run ends in a state that says how it ended; every other state leads on."""
    for name, state in state_machine(path)["States"].items():
        ends = state["Type"] in {"Succeed", "Fail"}
        assert ends != bool(list(_followers(state))), name
        assert not state.get("End"), name


@pytest.mark.parametrize("task", TASKS)
def test_task_is_bounded_retried_and_caught(task: dict[str, Any]) -> None:
    """A task without a timeout may hang for a year; one without retry or catch loses the undo."""
    assert 0 < task["TimeoutSeconds"] <= 300
    assert task["Retry"], "no Retry"
    assert task["Catch"], "no Catch"
    assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], "something is not caught"
    for retry in task["Retry"]:
        assert retry["JitterStrategy"] == "FULL", "retries without jitter come in herds"


@pytest.mark.parametrize(
    "task", [t for t in TASKS if t.values[0]["Resource"].endswith("lambda:invoke")]
)
def test_function_that_dies_is_asked_again(task: dict[str, Any]) -> None:
    """Every step can be repeated, and a rescue has two minutes. Killed for its memory or its time, a
    function ends in one of three names (Step Functions developer guide, "Handle Lambda service
    exceptions"; Lambda's own Runtime.ExitError and Sandbox.Timedout)."""
    again = {name for retry in task["Retry"] for name in retry["ErrorEquals"]}
    deaths = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"}
    assert "States.ALL" in again or again >= deaths


@pytest.mark.parametrize("task", TASKS)
def test_task_result_is_trimmed(task: dict[str, Any]) -> None:
    """What a later state does not need stays out of the payload, which may have 256 KB."""
    assert "ResultSelector" in task or task.get("ResultPath", "$") is None


@pytest.mark.parametrize("path", STATE_MACHINES, ids=_name)
def test_caught_error_never_replaces_the_state_of_the_run(path: Path) -> None:
    """A catch without a result path would throw away what the undo needs."""
    for name, state in state_machine(path)["States"].items():
        for catch in state.get("Catch", []):
            assert catch["ResultPath"].startswith("$."), name


@pytest.mark.parametrize("path", STATE_MACHINES, ids=_name)
def test_run_ends_before_its_claim_expires(path: Path) -> None:
    """A run that still acts always holds its claim: it is timed out long before that expires."""
    assert state_machine(path)["TimeoutSeconds"] < CLAIM_LIFE.total_seconds()


@pytest.mark.parametrize("path", STATE_MACHINES, ids=_name)
def test_errors_told_apart_are_errors_that_exist(path: Path) -> None:
    """Lambda reports an exception by its class name: a renamed class would never be retried."""
    raised = {
        node.name
        for source in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    for name, state in state_machine(path)["States"].items():
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
            ours = {error for error in rule["ErrorEquals"] if "." not in error}
            assert ours <= raised, name


@pytest.mark.parametrize("path", STATE_MACHINES, ids=_name)
def test_substitutions_are_those_that_the_definition_uses(path: Path) -> None:
    """A forgotten substitution would be deployed as the literal text of its placeholder."""
    properties = next(
        properties
        for properties in resources("AWS::Serverless::StateMachine").values()
        if ROOT / properties["DefinitionUri"] == path
    )
    used = set(_SUBSTITUTION.findall(path.read_text(encoding="utf-8")))
    assert set(properties["DefinitionSubstitutions"]) == used


@pytest.mark.parametrize("task", LAMBDA_TASKS)
def test_function_is_asked_for_what_its_contract_knows(task: dict[str, Any]) -> None:
    """Every payload has all required fields of the function's request and none that is unknown."""
    substitution = _SUBSTITUTION.fullmatch(task["Parameters"]["FunctionName"])
    assert substitution
    payload = task["Parameters"]["Payload"]
    given = {key.removesuffix(".$") for key in payload}
    request = _request(REQUESTS[substitution[1]], payload)
    on_the_wire = {
        field.serialization_alias or name for name, field in request.model_fields.items()
    }
    required = {
        field.serialization_alias or name
        for name, field in request.model_fields.items()
        if field.is_required()
    }
    assert required <= given <= on_the_wire


def _request(contract: Any, payload: dict[str, Any]) -> type[Boundary]:
    """The contract itself, or the member of a union that the payload's action chooses."""
    members = (contract,) if isinstance(contract, type) else get_args(get_args(contract)[0])
    chosen: type[Boundary] = next(
        member
        for member in members
        if "action" not in payload
        or payload["action"] in get_args(member.model_fields["action"].annotation)
    )
    return chosen
