"""A role grants exactly what its code calls: a missing action fails, an additional one is a risk."""

from pathlib import Path
from typing import Any

import pytest

from tests.edge.aws_calls import actions_of
from tests.house.repository import ROOT, resources, state_machine

ALSO_NEEDED: dict[str, frozenset[str]] = {
    # Tags at creation need the right to tag; an instance needs its role and its volumes' keys
    # (EC2 user guide, "Grant permission to tag resources during creation", "IAM roles for Amazon
    # EC2"; EBS user guide, "Requirements for Amazon EBS encryption").
    "ec2:RunInstances": frozenset(
        {
            "ec2:CreateTags",
            "iam:PassRole",
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncrypt*",
        }
    ),
    "ec2:CreateLaunchTemplate": frozenset({"ec2:CreateTags"}),
    # The template data hold the user data, which is an attribute of the instance.
    "ec2:GetLaunchTemplateData": frozenset({"ec2:DescribeInstanceAttribute"}),
    # The service looks the targets up with its caller's rights (ELB user guide, "Elastic Load
    # Balancing API permissions").
    "elasticloadbalancing:RegisterTargets": frozenset(
        {
            "ec2:DescribeInstances",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        }
    ),
    # Without it S3 answers 403 for a missing key (S3 API reference, GetObject, "Permissions").
    "s3:GetObject": frozenset({"s3:ListBucket"}),
}
"""Action that the code calls -> actions that AWS requires in addition."""

LOGGED = frozenset(
    {
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    }
)
"""Actions that Step Functions needs to deliver a state machine's log (Step Functions developer guide,
"Logging using CloudWatch Logs", "IAM policies"; log streams and events are its delivery's)."""

FUNCTIONS = resources("AWS::Serverless::Function")
STATE_MACHINES = resources("AWS::Serverless::StateMachine")


def _granted(properties: dict[str, Any]) -> set[str]:
    actions: set[str] = set()
    for policy in properties["Policies"]:
        for statement in policy["Statement"]:
            action = statement["Action"]
            actions |= {action} if isinstance(action, str) else set(action)
    return actions


def _needed(called: set[str]) -> set[str]:
    return called.union(*(ALSO_NEEDED.get(action, frozenset()) for action in called))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_may_do_what_its_code_calls_and_nothing_else(name: str) -> None:
    """The role's actions are those that the code can reach from the handler."""
    called = actions_of(ROOT / FUNCTIONS[name]["CodeUri"] / "app.py")
    assert called, "no call was found: the reading of the code is broken"
    assert _granted(FUNCTIONS[name]) == _needed(called)


@pytest.mark.parametrize("name", STATE_MACHINES)
def test_state_machine_may_do_what_its_tasks_call_and_nothing_else(name: str) -> None:
    """The role's actions are those of the definition's tasks."""
    definition = state_machine(ROOT / STATE_MACHINES[name]["DefinitionUri"])
    tasks = [s["Resource"] for s in definition["States"].values() if s["Type"] == "Task"]
    called = {_action_of_task(resource) for resource in tasks}
    assert _granted(STATE_MACHINES[name]) == called | LOGGED


def _action_of_task(resource: str) -> str:
    """``arn:...:states:::aws-sdk:ec2:terminateInstances`` as ``ec2:TerminateInstances``."""
    service, operation = resource.split(":")[-2:]
    if (service, operation) == ("lambda", "invoke"):
        return "lambda:InvokeFunction"
    return f"{service}:{operation[0].upper()}{operation[1:]}"


def test_no_function_both_launches_and_terminates() -> None:
    """No role can both launch and terminate instances."""
    for name, properties in {**FUNCTIONS, **STATE_MACHINES}.items():
        granted = _granted(properties)
        assert not {"ec2:RunInstances", "ec2:TerminateInstances"} <= granted, name


def test_functions_end_only_what_a_switch_launched() -> None:
    """The grant to terminate requires our tag and the tag that only launches of switches set."""
    ending = [
        statement
        for properties in FUNCTIONS.values()
        for policy in properties["Policies"]
        for statement in policy["Statement"]
        if "ec2:TerminateInstances" in statement["Action"]
    ]
    assert ending
    for statement in ending:
        condition = statement["Condition"]
        assert "aws:ResourceTag/spot-optimizer:managed" in condition["StringEquals"]
        assert condition["StringLike"] == {"aws:ResourceTag/spot-optimizer:switch": "*"}


def test_handlers_are_all_deployed() -> None:
    """Every folder of functions/ is the code of one function."""
    deployed = {ROOT / properties["CodeUri"] for properties in FUNCTIONS.values()}
    assert deployed == {path.parent for path in Path(ROOT / "functions").glob("*/app.py")}
