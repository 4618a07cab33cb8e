"""Contradictory parameters are rejected by name, at the deployment or when a function starts."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.account import EmbeddedAccount, FunctionFailed
from simulator.account.parameters import ParameterError, check_parameters
from simulator.deployed import REGION, STACK, START, TEMPLATE
from spot_optimizer.aws.environment import read_environment
from spot_optimizer.settings import InvalidSetting
from tests.house.repository import template
from tests.house.translated import translated

ROLE, KEY = "arn:aws:iam::123456789012:role", "arn:aws:kms:us-east-1:123456789012:key"


@pytest.mark.parametrize(
    ("given_value", "said"),
    [
        ({"CycleMinutes": "61"}, "CycleMinutes: 61 is more than 60"),
        ({"InstanceRoleArns": "web-server"}, "such as arn:aws:iam::123456789012:role/web"),
        ({"InstanceRoleArns": f"{ROLE}/a,{ROLE}/*"}, "InstanceRoleArns"),
        ({"KmsKeyArns": f"{KEY.replace(':key', ':alias')}/mine"}, "of an alias, its key's"),
        ({"TargetGroupArns": "web"}, "such as arn:aws:elasticloadbalancing:eu-west-1:123456789012"),
        ({"RequireLaunchTemplate": "no"}, "'no' is not one of true, false"),
        ({"AlertEmail": "ops"}, "one e-mail address, or empty"),
        ({"SubnetIds": "subnet-1, subnet-2"}, "separated by commas without spaces"),
        ({"DryRun": "no"}, "DryRun: 'no' is not one of true, false"),
        ({"CycleMinutes": "60"}, "SnapshotAgeMinutesMax must be at least CycleMinutes"),
        ({"CycleMinutes": "12", "SnapshotAgeMinutesMax": "10"}, "must be at least"),
        ({"BackoffMinutesMax": "14"}, "BackoffMinutes (15) must be at most BackoffMinutesMax"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_the_template_refuses(given_value: Mapping[str, str], said: str) -> None:
    """The message names the parameter and what is allowed."""
    with pytest.raises(ParameterError) as refused:
        check_parameters(translated(), given_value)
    assert said in str(refused.value)


@given(cycle=st.integers(1, 60), age=st.integers(5, 240))
def test_rules_refuse_nothing_that_is_possible(cycle: int, age: int) -> None:
    """A rule is coarser than the functions' own check, never stricter."""
    values = {"CycleMinutes": str(cycle), "SnapshotAgeMinutesMax": str(age)}
    try:
        check_parameters(translated(), values)
    except ParameterError:
        assert age < cycle


def test_a_rejected_stack_creates_nothing() -> None:
    """The whole deployment is rejected, as by CloudFormation."""
    with EmbeddedAccount(start=START, region=REGION) as account:
        with pytest.raises(ParameterError):
            account.deploy(TEMPLATE, STACK, {"CycleMinutes": 60})
        assert not account.calls


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (
            {"SNAPSHOT_AGE_MINUTES_MAX": "7.5", "CYCLE_MINUTES": "8"},
            ("SnapshotAgeMinutesMax", "CycleMinutes"),
        ),
        ({"OVER_CPU_FRACTION": "0.85"}, ("over_cpu_fraction", "under_fraction")),
        ({"BACKOFF_MINUTES": "60", "BACKOFF_MINUTES_MAX": "45"}, ("backoff_minutes_max",)),
    ],
    ids=["cycle", "fractions", "backoff"],
)
def test_a_function_refuses_as_it_starts(
    variables: Mapping[str, str], named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For values that CloudFormation cannot compare: the message names both parameters."""
    parameters = template()["Parameters"]
    given_variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    for name, value in given_variables.items():
        referred = value.get("Ref") if isinstance(value, dict) else None
        monkeypatch.setenv(name, str(parameters.get(referred, {}).get("Default", "some-resource")))
    monkeypatch.setenv("AWS_REGION", REGION)
    read_environment()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as refused:
        read_environment()
    assert all(name in str(refused.value) for name in named)


def test_nothing_is_decided_on_contradictory_parameters() -> None:
    """The cycle fails with the message, which rolls a new version back."""
    with EmbeddedAccount(start=START, region=REGION) as account:
        account.deploy(TEMPLATE, STACK, {"OverCpuFraction": "0.85"})
        with pytest.raises(FunctionFailed, match=r"over_cpu_fraction = 0\.85 must be below"):
            account.invoke("Decide", {"trigger": "schedule"})
        assert account.table_items("Ledger") == []
