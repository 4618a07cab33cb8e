"""A stack whose functions and state machines are those of version 0.1.0, of today, or some of each."""

import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from unittest import mock

import boto3
from moto.cloudformation import parsing
from moto.cloudformation.models import cloudformation_backends
from moto.core.models import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.moto_api._internal import mock_random

from simulator.account import EmbeddedAccount
from simulator.account.executions import Execution
from simulator.account.lambdas import Function, LambdaContext, Outcome
from simulator.account.translate import Translation, translate
from simulator.deployed import STACK
from simulator.stage import Stage, open_stage
from simulator.world import INSTANCE_ROLE_ARN
from tests.compatibility.old_version import new_handler, old_version

Version = Literal["old", "new"]

STATE_MACHINES = ("SwitchInstance", "FailOver")
"""State machines by logical id."""

_handlers: dict[tuple[Version, str], Callable[[Any, Any], Any]] = {}
_translations: list[Translation] = []


class BothVersions:
    """Runs each function in one of the two versions.

    An execution keeps the definition and the functions that it began with, as in AWS: its definition
    names versions of its functions. All other invocations get the version that serves.

    Attributes:
        ran: each invocation so far: version, function and ``action``, if the payload has one.
    """

    def __init__(self, stage: Stage) -> None:
        self._account: EmbeddedAccount = stage.account
        self._serving: Version = "new"
        self._state_machines: Version = "new"
        self._pinned: dict[str, Version] = {}
        self._environments = self._environments_of_old()
        self._definitions = self._definitions_of_both()
        self.ran: list[tuple[Version, str, str]] = []
        stage.account.lambdas.run_by(self)

    def serve(self, functions: Version, state_machines: Version | None = None) -> None:
        """From now on this version is what aliases lead to; ``state_machines``, if that differs."""
        for execution in self._account.executions():
            self._pinned.setdefault(execution.name, self._state_machines)
        self._serving, self._state_machines = functions, state_machines or functions
        for name in STATE_MACHINES:
            boto3.client("stepfunctions").update_state_machine(
                stateMachineArn=self._account.stack.physical_ids[name],
                definition=self._definitions[self._state_machines][name],
            )

    def run(self, function: Function, payload: bytes) -> Outcome:
        """Run a function as Lambda does (``simulator.account.lambdas.Runner``)."""
        version = self._version_for_caller()
        event = json.loads(payload or b"{}")
        context = LambdaContext(function, str(mock_random.uuid4()), self._account.clock)
        action = event.get("action", "") if isinstance(event, dict) else ""
        self.ran.append((version, function.logical_id, action))
        with self._environment(function, version):
            try:
                answer = _handler(version, function.code.name)(event, context)
            except Exception as error:
                envelope = {
                    "errorMessage": str(error),
                    "errorType": type(error).__name__,
                    "stackTrace": traceback.format_tb(error.__traceback__),
                }
                return Outcome(json.dumps(envelope).encode(), failed=True)
        return Outcome(json.dumps(answer).encode(), failed=False)

    def versions_of(self, *functions: str) -> set[Version]:
        """Which versions of these functions have run."""
        return {version for version, name, _ in self.ran if name in functions}

    def _version_for_caller(self) -> Version:
        for caller in self._account.callers.chain():
            if caller.kind == "states" and caller.execution is not None:
                return self._pinned.setdefault(caller.execution, self._state_machines)
        return self._serving

    @contextmanager
    def _environment(self, function: Function, version: Version) -> Iterator[None]:
        """The variables that the old template gives its function, instead of today's."""
        old = self._environments[function.logical_id]
        if version == "new" or old == function.environment:
            yield
            return
        others = {k: v for k, v in os.environ.items() if k not in function.environment}
        with mock.patch.dict(os.environ, {**others, **old}, clear=True):
            yield

    # --- the old template over today's resources -------------------------------------------------

    def _environments_of_old(self) -> dict[str, dict[str, str]]:
        return {
            logical_id: {
                name: str(value)
                for name, value in self._resolved(resource["Environment"]["Variables"]).items()
            }
            for logical_id, resource in _old_resources("AWS::Lambda::Function").items()
        }

    def _definitions_of_both(self) -> dict[Version, dict[str, str]]:
        old = _old_resources("AWS::StepFunctions::StateMachine")
        new = self._account.stack.properties
        return {
            "old": {name: self._resolved(old[name]["DefinitionString"]) for name in STATE_MACHINES},
            "new": {name: new[name]["DefinitionString"] for name in STATE_MACHINES},
        }

    def _resolved(self, text: Any) -> Any:
        """References of the old template, resolved to the resources that are deployed.

        A version of a function has a logical id that ends in a hash of its code: any of that function
        will do, for the account knows one version alone.
        """
        stack = cloudformation_backends[ACCOUNT_ID][self._account.region].get_stack(STACK)
        deployed = self._account.stack.physical_ids
        versions = {name[:-10]: name for name in deployed if name[:-10].endswith("Version")}
        return parsing.clean_json(_with_versions(text, versions), stack.resource_map)


def _with_versions(value: Any, versions: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        reference = value.get("Ref")
        if isinstance(reference, str) and reference[:-10] in versions:
            return {"Ref": versions[reference[:-10]]}
        return {key: _with_versions(inner, versions) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_versions(inner, versions) for inner in value]
    return value


def _old_resources(kind: str) -> dict[str, dict[str, Any]]:
    if not _translations:
        parameters = {"InstanceRoleArns": INSTANCE_ROLE_ARN}
        _translations.append(translate(old_version().root / "template.yaml", parameters))
    rows = _translations[0].template["Resources"].items()
    return {name: row["Properties"] for name, row in rows if row["Type"] == kind}


def _handler(version: Version, function: str) -> Callable[[Any, Any], Any]:
    if (version, function) not in _handlers:
        load = new_handler if version == "new" else old_version().handler
        _handlers[version, function] = load(function)
    return _handlers[version, function]


@contextmanager
def both_versions(
    prices: Mapping[tuple[str, str], float] | None = None, **parameters: str | int | float
) -> Iterator[tuple[Stage, BothVersions]]:
    """A stage, and what says which version runs; today's until something else is said."""
    given: dict[str, Any] = dict(parameters)
    with open_stage(prices, **given) as stage:
        yield stage, BothVersions(stage)


def failures(stage: Stage) -> list[str]:
    """Invocations that ended in an error."""
    return [
        f"{each.function}: {each.error}: {each.error_message}"
        for each in stage.account.trace
        if each.error is not None
    ]


def run_to_end(stage: Stage) -> list[Execution]:
    """Run until nothing is under way; all executions."""
    stage.account.run_until_quiet()
    executions: list[Execution] = stage.account.executions()
    return executions
