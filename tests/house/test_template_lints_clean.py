"""The template and the state machines have no fault that cfn-lint can find."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.account.translate import translate
from tests.house.repository import ROOT

_SOME_ARN = "arn:aws:lambda:us-east-1:123456789012:function:some-function"
_CFN_LINT = Path(sys.executable).with_name("cfn-lint")


@pytest.fixture(name="translated")
def _translated(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stack as plain CloudFormation, each state machine's definition in it as plain JSON."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    template = translate(ROOT / "template.yaml", {}).template
    # SAM has replaced this parameter by its value, so the translated template does not use it.
    del template["Parameters"]["DeploymentPace"]
    del template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterLabels"]["DeploymentPace"]
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        group["Parameters"] = [name for name in group["Parameters"] if name != "DeploymentPace"]
    for properties in _state_machines(template):
        properties["DefinitionString"] = json.dumps(_definition(properties))
    return template


def _state_machines(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
    ]


def _definition(properties: dict[str, Any]) -> dict[str, Any]:
    """The definition with values in place of references.

    cfn-lint looks into a definition only when it is a literal text, and its schema lacks the input
    and output path that a Succeed state may have (Amazon States Language, "State types").
    """
    parts = properties["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else _value(part) for part in parts)
    definition: dict[str, Any] = json.loads(text)
    for state in definition["States"].values():
        if state["Type"] == "Succeed":
            state.pop("InputPath", None)
            state.pop("OutputPath", None)
    return definition


def _value(reference: dict[str, Any]) -> str:
    return "aws" if reference == {"Ref": "AWS::Partition"} else _SOME_ARN


def _lint(template: dict[str, Any], directory: Path) -> str:
    """Findings of cfn-lint, under the exceptions of .cfnlintrc."""
    file = directory / "template.json"
    file.write_text(json.dumps(template, indent=1), encoding="utf-8")
    answer = subprocess.run(
        [str(_CFN_LINT), "--template", str(file), "--format", "parseable"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert not answer.stderr, answer.stderr
    return answer.stdout


def test_translated_template_has_no_finding(translated: dict[str, Any], tmp_path: Path) -> None:
    """Transformed template and state machines pass cfn-lint, informational checks too."""
    assert _lint(translated, tmp_path) == ""


def test_linter_checks_the_state_state_machines(translated: dict[str, Any], tmp_path: Path) -> None:
    """It finds a misspelled field of a state, so the result above is meaningful."""
    properties = _state_machines(translated)[0]
    definition = json.loads(properties["DefinitionString"])
    definition["States"]["WaitForBoot"]["Secondz"] = 1
    properties["DefinitionString"] = json.dumps(definition)
    assert "E3601" in _lint(translated, tmp_path)
