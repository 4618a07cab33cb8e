"""An update reaches every caller, gradually for the functions that decide, and never a running switch."""

import ast
import re
from typing import Any

import pytest

from simulator.account import translate as translating
from tests.house.repository import PACKAGE, ROOT, imports_of, resources, template
from tests.house.translated import function_of, properties_of, reference, resources_of

FUNCTIONS = properties_of("AWS::Lambda::Function")
ALIASES = properties_of("AWS::Lambda::Alias")
VERSIONS = resources_of("AWS::Lambda::Version")
STEPS = ("HandOver", "InspectReplacement", "LaunchReplacement", "UpdateLedger")
"""Functions that run only as steps of a switch."""
DECIDE = ("Decide", "HandleSignal", "Sweep")
"""Functions that start switches or failovers."""
OF_PARAMETERS = {"settings", "retention_days", "subnet_ids"}
"""Fields of a function's environment that come from the stack's parameters (aws/environment.py)."""


def test_every_function_is_called_by_its_alias() -> None:
    """Neither a rule nor another function calls a function's untested newest state."""
    assert {function_of({"Ref": name}) for name in ALIASES} == set(FUNCTIONS)
    for rule in properties_of("AWS::Events::Rule").values():
        assert all(reference(target["Arn"]) in ALIASES for target in rule["Targets"])
    for permission in properties_of("AWS::Lambda::Permission").values():
        assert reference(permission["FunctionName"]) in ALIASES
    for config in properties_of("AWS::Lambda::EventInvokeConfig").values():
        assert config["Qualifier"] == "live"
    for name, function in FUNCTIONS.items():
        for variable, value in function["Environment"]["Variables"].items():
            if variable.endswith("_FUNCTION"):
                # By name: with a reference its update would wait for the other's gradual deployment.
                called = re.fullmatch(r"\$\{(\w+)\}:live", value["Fn::Sub"])
                assert called is not None, (name, variable)
                assert called.group(1) in FUNCTIONS, (name, variable)
            if variable in ("SWITCH_INSTANCE_ARN", "FAIL_OVER_ARN"):
                assert reference(value) in properties_of("AWS::StepFunctions::StateMachineAlias")


def test_a_running_switch_finishes_on_its_own_versions() -> None:
    """An execution keeps its definition; it names retained versions that its role may invoke."""
    for name, workflow in resources("AWS::Serverless::StateMachine").items():
        named = workflow["DefinitionSubstitutions"]
        for step in STEPS:
            if f"{step}Arn" in named:
                assert named[f"{step}Arn"] == {"Ref": f"{step}.Version"}
        (statement,) = (
            row
            for row in workflow["Policies"][0]["Statement"]
            if row["Action"] == "lambda:InvokeFunction"
        )
        invoked = {row["Fn::Sub"] for row in statement["Resource"]}
        used = {f"${{{step}.Arn}}:*" for step in STEPS if f"{step}Arn" in named}
        assert invoked == used, name
    kept = {reference(row["Properties"]["FunctionName"]) for row in VERSIONS.values()}
    assert kept == set(FUNCTIONS)
    assert all(row["DeletionPolicy"] == "Retain" for row in VERSIONS.values())


@pytest.mark.parametrize("step", STEPS)
def test_a_step_needs_no_parameter(step: str) -> None:
    """A step is published only with new code, so it must not depend on parameters."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", step).lower()
    own = sorted((PACKAGE / "services" / name).glob("*.py"))
    shared = {
        PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")
        for path in own
        for module in imports_of(path)
        if module.startswith("spot_optimizer.workflow.")
    }
    for path in (*own, *shared):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not read & OF_PARAMETERS, path
    handler = (ROOT / "functions" / name / "app.py").read_text(encoding="utf-8")
    assert "read_environment" not in handler
    assert "VersionDescription" not in resources("AWS::Serverless::Function")[step]


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(STEPS)))
def test_another_parameter_is_another_version(name: str) -> None:
    """SAM compares a function's text; the number of the settings is in the version's description, so new
    values make a new version."""
    (version,) = (
        row["Properties"]
        for row in VERSIONS.values()
        if reference(row["Properties"]["FunctionName"]) == name
    )
    assert version["Description"] == {"Fn::Sub": "settings ${SettingsNumber.VersionNumber}"}


def test_numbered_parameters_are_those_of_the_functions_environment() -> None:
    """A missing one would never take effect; an additional one would request a version identical to the
    last one, which Lambda rejects."""
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    given = {
        name
        for name in template()["Parameters"]
        if f"'Ref': '{name}'" in str(variables) or f"${{{name}}}" in str(variables)
    }
    (number,) = properties_of("AWS::AppConfig::HostedConfigurationVersion").values()
    numbered = re.findall(r'"(\w+)": "\$\{(\w+)\}"', number["Content"]["Fn::Sub"][0])
    assert all(key == value for key, value in numbered)
    assert sorted(key for key, _ in numbered) == sorted(given)


def test_another_layer_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions' code is in the layer: a new layer must not wait for a new handler."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    detach = translating._detach_code

    def with_another_layer(sam: dict[str, Any], base: Any) -> Any:
        code = detach(sam, base)
        sam["Resources"]["SpotOptimizerLayer"]["Properties"]["ContentUri"] = "s3://another/layer"
        return code

    monkeypatch.setattr(translating, "_detach_code", with_another_layer)
    rows = translating.translate(ROOT / "template.yaml", {}).template["Resources"]
    after = {name for name, row in rows.items() if row["Type"] == "AWS::Lambda::Version"}
    assert len(after) == len(VERSIONS)
    assert not after & set(VERSIONS)


@pytest.mark.parametrize("name", DECIDE)
def test_a_new_version_of_a_deciding_function_is_deployed_gradually(name: str) -> None:
    """Invocations shift in steps; the first error of the new version, and no other, rolls it back."""
    alias = resources_of("AWS::Lambda::Alias")[f"{name}Aliaslive"]
    update = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    group = properties_of("AWS::CodeDeploy::DeploymentGroup")[
        str(reference(update["DeploymentGroupName"]))
    ]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    assert reference(group["ServiceRoleArn"]) == "GradualDeploymentRole"
    (watched,) = group["AlarmConfiguration"]["Alarms"]
    alarm = properties_of("AWS::CloudWatch::Alarm")[str(reference(watched["Name"]))]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("Errors", 1)
    dimensions = {row["Name"]: row["Value"] for row in alarm["Dimensions"]}
    assert dimensions["FunctionName"] == {"Ref": name}
    assert dimensions["Resource"] == {"Fn::Sub": f"${{{name}}}:live"}
    version, attribute = dimensions["ExecutedVersion"]["Fn::GetAtt"]
    assert (function_of({"Ref": version}), attribute) == (name, "Version")


def test_the_pace_is_a_parameter() -> None:
    """The default is gradual; users may choose another pace."""
    pace = template()["Parameters"]["DeploymentPace"]
    assert pace["Default"].startswith("Linear")
    assert "AllAtOnce" in pace["AllowedValues"]
    for name in DECIDE:
        preference = resources("AWS::Serverless::Function")[name]["DeploymentPreference"]
        assert preference["Type"] == {"Ref": "DeploymentPace"}
