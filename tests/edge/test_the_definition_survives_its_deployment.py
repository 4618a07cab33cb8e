"""Rules of CloudFormation, Step Functions and Lambda that the embedded account does not enforce."""

from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from simulator.deployed import ZONES
from simulator.stage import open_stage
from spot_optimizer.aws import clients
from tests.house.repository import STATE_MACHINES, resources, state_machine, template

FUNCTIONS = resources("AWS::Serverless::Function")
ENVIRONMENT_BYTES_MAX = 4096
"""All variables of a function together (Lambda developer guide, "Lambda quotas")."""
SUBNETS = 100
SUBNET_ID = "subnet-0123456789abcdef0"


def _timeout_s(function: str) -> int:
    globals_ = template()["Globals"]["Function"]
    return int(FUNCTIONS[function].get("Timeout", globals_["Timeout"]))


@pytest.mark.parametrize("path", STATE_MACHINES, ids=lambda path: path.name)
def test_definition_has_no_yaml_alias(path: Path) -> None:
    """CloudFormation's handler reads an alias as text (Jackson's YAML tree does not resolve it), and the
    deployment fails with SCHEMA_VALIDATION_FAILED (cfn-language-discussion, issue 49)."""
    tokens = yaml.scan(path.read_text(encoding="utf-8"))
    marks = [t.start_mark.line + 1 for t in tokens if isinstance(t, yaml.AliasToken)]
    assert not marks, f"aliases in lines {marks}"


@pytest.mark.parametrize("path", STATE_MACHINES, ids=lambda path: path.name)
def test_no_try_of_a_step_overlaps_the_next(path: Path) -> None:
    """A function ends before its task times out, so no late try moves an address after the undo."""
    for name, state in state_machine(path)["States"].items():
        if state.get("Resource", "").endswith("lambda:invoke"):
            function = state["Parameters"]["FunctionName"].removeprefix("${").removesuffix("Arn}")
            assert state["TimeoutSeconds"] > _timeout_s(function) + 10, name


def test_a_forced_decision_is_asked_for_once_and_waited_for() -> None:
    """A cycle of many workloads takes minutes; a retry would be refused by its own lease."""
    # Not the shared one: made out here it would have no credentials, and a later test's account
    # would be given it.
    config: Any = clients._client.__wrapped__("lambda", "us-east-1").meta.config
    assert config.retries["total_max_attempts"] == 1
    assert _timeout_s("Decide") < config.read_timeout < _timeout_s("Command")


def test_a_hundred_subnets_fit_into_the_environment() -> None:
    """With the longest parameter, the variables of every function stay below Lambda's limit."""
    parameters = template()["Parameters"]
    for name, properties in FUNCTIONS.items():
        variables = {
            **template()["Globals"]["Function"]["Environment"]["Variables"],
            **properties.get("Environment", {}).get("Variables", {}),
        }
        size = sum(len(key) + len(_worst(value, parameters)) for key, value in variables.items())
        assert size < ENVIRONMENT_BYTES_MAX, name


def _worst(value: Any, parameters: dict[str, Any]) -> str:
    if isinstance(value, str):
        return value
    if "SubnetIds" in str(value):
        return ",".join([SUBNET_ID.removeprefix("subnet-")] * SUBNETS)
    name = value.get("Ref", "")
    return str(parameters[name]["Default"]) if name in parameters else "x" * 128


def test_the_subnets_of_the_parameter_are_the_only_ones_to_launch_in() -> None:
    """Functions get whole ids, although the template shortens them in the variables."""
    with open_stage() as stage:
        rows = boto3.client("ec2").describe_subnets()["Subnets"]
        chosen = sorted(row["SubnetId"] for row in rows if row["AvailabilityZone"] in ZONES[:2])
    with open_stage(SubnetIds=",".join(chosen)) as stage:
        stage.launch(lifecycle="on-demand")
        stage.adopt()
        stage.cycle()
        candidates = stage.history("web", "DECISION")[-1]["candidates"]
        assert {c["subnet_id"] for c in candidates} == set(chosen)
