"""A setting is the same in the template, in the functions' environment and in the code."""

from dataclasses import fields
from typing import Any

import pytest

from spot_optimizer.aws.environment import read_environment
from spot_optimizer.settings import Settings, setting_names
from tests.house.repository import resources, template

NO_SETTING = {
    "Architecture",
    "AlertEmail",
    "CycleMinutes",
    "DeploymentPace",
    "InstanceRoleArns",
    "KmsKeyArns",
    "LogRetentionDays",
    "ManagedAs",
    "RequireLaunchTemplate",
    "RequireStateTag",
    "ReserveConcurrency",
    "RetentionDays",
    "SubnetIds",
    "TargetGroupArns",
}
"""Parameters of the stack itself; all others are settings."""


def _parameter(setting: str) -> str:
    return "".join(word.capitalize() for word in setting.split("_"))


def _environment() -> dict[str, Any]:
    variables: dict[str, Any] = template()["Globals"]["Function"]["Environment"]["Variables"]
    return variables


def test_parameters_and_settings_are_the_same_set() -> None:
    """Every setting has a parameter, and every parameter is read."""
    settings = {_parameter(name) for name in setting_names()}
    assert set(template()["Parameters"]) - NO_SETTING == settings


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: str(field.name))
def test_parameter_has_the_default_and_range_of_its_setting(field: Any) -> None:
    """The console offers exactly what the code accepts, and the same default."""
    parameter = template()["Parameters"][_parameter(field.name)]
    if isinstance(field.default, bool):
        assert parameter["Type"] == "String"
        assert parameter["AllowedValues"] == ["true", "false"]
        assert parameter["Default"] == str(field.default).lower()
    elif isinstance(field.default, str):
        assert parameter["Type"] == "String"
        assert parameter["AllowedPattern"] == field.metadata["pattern"]
        assert parameter["Default"] == field.default
    else:
        assert parameter["Type"] == "Number"
        assert parameter["Default"] == field.default
        assert parameter["MinValue"] == field.metadata["low"]
        assert parameter["MaxValue"] == field.metadata["high"]


@pytest.mark.parametrize("setting", setting_names())
def test_setting_reaches_every_function(setting: str) -> None:
    """Every function receives the parameter, and no function overrides it."""
    assert _environment()[setting.upper()] == {"Ref": _parameter(setting)}
    for logical_id, function in resources("AWS::Serverless::Function").items():
        own = function.get("Environment", {}).get("Variables", {})
        assert setting.upper() not in own, f"{logical_id} overrides {setting}"


def test_defaults_of_the_template_are_a_readable_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With defaults only, the functions' environment is complete."""
    parameters = template()["Parameters"]
    for name in set(setting_names()) | {"ledger_table"}:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in _environment().items():
        referred = value.get("Ref") if isinstance(value, dict) else None
        default = parameters.get(referred, {}).get("Default", "some-resource")
        monkeypatch.setenv(name, str(default))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert read_environment().settings == Settings()


def test_every_parameter_is_found_in_the_console_form() -> None:
    """The form lists each parameter once, in a group; the console would list a forgotten one last."""
    groups = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    listed = [name for group in groups for name in group["Parameters"]]
    assert sorted(listed) == sorted(template()["Parameters"])


def test_every_parameter_has_a_label_and_a_group() -> None:
    """What must be set comes first, what only experts change comes last."""
    shown = template()["Metadata"]["AWS::CloudFormation::Interface"]
    groups = {g["Label"]["default"]: g["Parameters"] for g in shown["ParameterGroups"]}
    grouped = [name for names in groups.values() for name in names]
    assert sorted(grouped) == sorted(template()["Parameters"]) == sorted(shown["ParameterLabels"])
    titles = list(groups)
    assert titles[0] == "Start here"
    assert groups["Start here"][0] == "DryRun"
    experts = [title.startswith("For experts: ") for title in titles]
    assert experts == sorted(experts)
    assert any(experts)
