"""A stack is deployed with every resource in it, or not at all, and the error names the fault."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import boto3
import botocore.session
import moto.cloudformation.models as cloudformation
import pytest
from botocore.exceptions import ClientError

from simulator.account import EmbeddedAccount
from simulator.account.deploy import DeploymentError
from simulator.account.parameters import ParameterError, check_parameters
from simulator.account.schedules import ScheduleError
from simulator.account.translate import TemplateError
from simulator.permissions.conditions import PolicyError

RULE = """
Resources:
  Often:
    Type: AWS::Events::Rule
    Properties: {ScheduleExpression: rate(1 minutes)}
"""
UNKNOWN = """
Conditions:
  Never: !Equals [a, b]
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Fridge: {Type: AWS::Kitchen::Fridge}
  Stove: {Type: AWS::Kitchen::Stove}
  Sink: {Type: AWS::Kitchen::Sink, Condition: Never}
"""
NO_CODE = """
Resources:
  Lost:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: nowhere/, Handler: app.handler, Runtime: python3.13}
"""


def test_every_resource_exists_under_the_name_that_ref_yields(account: EmbeddedAccount) -> None:
    """Types and properties that moto skips are there too: ask the services."""
    ids = account.stack.physical_ids
    alarm = boto3.client("cloudwatch").describe_alarms(AlarmNames=[ids["GreetErrors"]])
    assert alarm["MetricAlarms"][0]["Threshold"] == 3.0
    assert alarm["MetricAlarms"][0]["AlarmActions"] == [ids["Topic"]]
    schedule = boto3.client("scheduler").get_schedule(Name=ids["GreetHourly"])
    assert schedule["Target"]["Arn"].startswith("arn:aws:lambda:us-east-1:123456789012:function:")
    queue = boto3.client("sqs").get_queue_attributes(
        QueueUrl=ids["DeadLetters"], AttributeNames=["Policy"]
    )
    assert "sqs:SendMessage" in queue["Attributes"]["Policy"]
    ttl = boto3.client("dynamodb").describe_time_to_live(TableName=ids["Ledger"])
    assert ttl["TimeToLiveDescription"]["AttributeName"] == "expires_at"
    aliases = boto3.client("lambda").list_aliases(FunctionName=ids["Greet"])["Aliases"]
    assert [alias["AliasArn"] for alias in aliases] == [account.outputs["GreetLive"]]
    assert boto3.client("s3").get_bucket_policy(Bucket=ids["Archive"])["Policy"]
    config = boto3.client("lambda").get_function_event_invoke_config(FunctionName=ids["Listen"])
    assert config["MaximumRetryAttempts"] == 1


def test_definition_keeps_its_context_paths_and_gets_its_substitutions(
    account: EmbeddedAccount,
) -> None:
    """``$$.`` survives and ``${GreetArn}`` becomes the function's ARN."""
    described = boto3.client("stepfunctions").describe_state_machine(
        stateMachineArn=account.outputs["JourneyArn"]
    )
    states = json.loads(described["definition"])["States"]
    assert states["Greet"]["Parameters"]["Payload"]["execution.$"] == "$$.Execution.Name"
    greet = next(item for item in account.stack.functions if item.logical_id == "Greet")
    assert states["Greet"]["Parameters"]["FunctionName"] == greet.arn


def test_templates_and_service_models_are_read_the_quick_way(start: datetime) -> None:
    """A stack's template is JSON, not YAML; botocore's descriptions are read once a process."""
    loaders = []
    for _ in range(2):
        with EmbeddedAccount(start=start):
            loaders.append(botocore.session.Session().get_component("data_loader"))
            with pytest.raises(json.JSONDecodeError):
                cloudformation.Stack.parse_template("Resources: {}")
    assert loaders[0] is loaders[1]


def test_type_that_is_not_created_fails_the_deployment_by_name(
    start: datetime, variant: Callable[[str], Path]
) -> None:
    """All of them are listed; what a false condition leaves out is not."""
    with (
        EmbeddedAccount(start=start) as account,
        pytest.warns(UserWarning, match="not supported by moto"),
        pytest.raises(DeploymentError) as refused,
    ):
        account.deploy(variant(UNKNOWN), "kitchen")
    assert str(refused.value) == (
        "stack kitchen: not created: Fridge (AWS::Kitchen::Fridge), Stove (AWS::Kitchen::Stove)"
    )


def test_false_condition_leaves_its_resource_out(start: datetime, stack: Path) -> None:
    """With the parameter off the alarm does not exist, and that is no error."""
    with EmbeddedAccount(start=start) as account:
        account.deploy(stack, "small", {"Alarms": "off"})
        assert "GreetErrors" not in account.stack.physical_ids
        assert boto3.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Wort": "x"}, "parameter Wort is unknown; the template has Alarms, Attempts, Word"),
        ({"Word": "HELLO"}, r"parameter Word: 'HELLO' does not match: the pattern \[a-z\]\+"),
        ({"Attempts": 6}, "parameter Attempts: 6 is more than 5"),
        ({"Attempts": 0}, "parameter Attempts: 0 is less than 1"),
        ({"Attempts": "many"}, "parameter Attempts: 'many' is not a number"),
        ({"Alarms": "maybe"}, "parameter Alarms: 'maybe' is not one of on, off"),
    ],
)
def test_parameter_is_refused_where_cloudformation_refuses_it(
    start: datetime, stack: Path, given: dict[str, str | int], message: str
) -> None:
    """The error names the parameter, its value and what is allowed."""
    with EmbeddedAccount(start=start) as account, pytest.raises(ParameterError, match=message):
        account.deploy(stack, "small", given)


def test_missing_values_and_lengths_and_lists_are_checked_too() -> None:
    """Every fault is in one message; a list is checked item by item."""
    template = {
        "Parameters": {
            "Needed": {"Type": "String"},
            "Short": {"Type": "String", "MinLength": 3, "MaxLength": 4},
            "Zones": {"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]},
        }
    }
    with pytest.raises(ParameterError) as refused:
        check_parameters(template, {"Short": "ab", "Zones": "a, c"})
    assert str(refused.value) == (
        "parameter Needed needs a value; it has no default; "
        "parameter Short: 'ab' is shorter than 3 characters; "
        "parameter Zones: 'c' is not one of a, b"
    )
    given = {"Needed": "", "Short": "abc", "Zones": "a, b"}
    assert check_parameters(template, given) == given


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (RULE, ScheduleError, r"'rate\(1 minutes\)': write minute for 1"),
        (NO_CODE, TemplateError, "Lost: CodeUri 'nowhere/' is not a directory"),
    ],
)
def test_template_with_a_fault_is_refused(
    start: datetime,
    variant: Callable[[str], Path],
    text: str,
    error: type[Exception],
    message: str,
) -> None:
    """A rate that AWS refuses, code that is not there."""
    with EmbeddedAccount(start=start) as account, pytest.raises(error, match=message):
        account.deploy(variant(text), "faulty")


MAPPED = """
Parameters: {Minutes: {Type: Number, Default: 5}}
Mappings: {Periods: {"5": {S: 300}, "60": {S: 3600}}}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !FindInMap [Periods, !Ref Minutes, S]}
"""


def test_number_is_looked_up_in_a_map_by_its_text(
    start: datetime, variant: Callable[[str], Path]
) -> None:
    """A parameter of type Number names a key of a mapping, which is text."""
    with EmbeddedAccount(start=start) as account:
        stack = account.deploy(variant(MAPPED), "mapped", {"Minutes": 60})
        assert str(stack.properties["Topic"]["DisplayName"]) == "3600"


PRIVATE = """
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Policy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Statement:
          - Effect: Deny
            Principal: "*"
            Action: s3:*
            Resource: !Sub "${Bucket.Arn}/*"
            Condition: {Bool: {"aws:SecureTransport": false}}
          - Effect: Deny
            Principal: "*"
            Action: s3:PutObject
            Resource: !Sub "${Bucket.Arn}/closed/*"
"""


def test_bucket_policy_that_denies_the_clear_denies_nothing_else(
    start: datetime, variant: Callable[[str], Path]
) -> None:
    """Its condition is read; a deny without one holds for everybody."""
    with EmbeddedAccount(start=start) as account:
        bucket = account.deploy(variant(PRIVATE), "private").physical_ids["Bucket"]
        s3 = boto3.client("s3")
        s3.put_object(Bucket=bucket, Key="open/a", Body=b"x")
        assert s3.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"x"
        with pytest.raises(ClientError, match="403"):
            s3.put_object(Bucket=bucket, Key="closed/a", Body=b"x")


SECRETIVE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: []}
      Policies:
        - PolicyName: Odd
          PolicyDocument:
            Statement:
              - Sid: OfTheMoon
                Effect: Allow
                Action: s3:GetObject
                Resource: "*"
                Condition: {StringEquals: {"aws:MoonPhase": full}}
"""


def test_role_that_cannot_be_evaluated_is_refused(
    start: datetime, variant: Callable[[str], Path]
) -> None:
    """At the deployment, naming policy, statement and key."""
    with (
        EmbeddedAccount(start=start) as account,
        pytest.raises(PolicyError, match=r"Role/Odd, statement OfTheMoon.*aws:moonphase"),
    ):
        account.deploy(variant(SECRETIVE), "odd")
