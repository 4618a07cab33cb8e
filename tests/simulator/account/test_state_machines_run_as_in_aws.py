"""Executions interpret the deployed state machine as AWS does where moto alone would not."""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser as Parser
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

from simulator.account import Call, EmbeddedAccount, Execution, StillRunning
from simulator.account.asl_paths import extract_json
from simulator.account.redrive import NotRedrivable
from simulator.account.sdk_tasks import operation_model, service_error_name, to_boto


def travel(account: EmbeddedAccount, name: str = "trip", **text: Any) -> Execution:
    """Run the small stack's state machine to its end."""
    begin(account, name, **text)
    account.run_until_quiet()
    return next(item for item in account.executions() if item.name == name)


def begin(account: EmbeddedAccount, name: str, **text: Any) -> str:
    """Start the small stack's state machine."""
    text = {"steps": ["short"], "type": "m5.large", "fail_times": 0} | text
    reply = boto3.client("stepfunctions").start_execution(
        stateMachineArn=account.outputs["JourneyArn"], name=name, input=json.dumps(text)
    )
    return str(reply["executionArn"])


def run(account: EmbeddedAccount, states: dict[str, Any], text: str = "{}") -> Execution:
    """Create a state machine outside of the template and run it to its end."""
    client = boto3.client("stepfunctions")
    created = client.create_state_machine(
        name="own",
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn="arn:aws:iam::123456789012:role/own",
    )
    client.start_execution(stateMachineArn=created["stateMachineArn"], input=text)
    account.run_until_quiet()
    return account.executions()[-1]


def took(execution: Execution) -> timedelta:
    """How long an execution ran that has ended."""
    assert execution.stop is not None
    return execution.stop - execution.start


def test_deployed_state_machine_waits_retries_and_records_in_virtual_time(
    account: EmbeddedAccount,
) -> None:
    """90 s of waiting, two retries after 10 and 20 s, then everything at once."""
    execution = travel(account, fail_times=2)
    assert execution.status == "SUCCEEDED"
    assert took(execution) == timedelta(seconds=120)
    assert execution.states == ("HowFar", "Rest", "Greet", "Note", "Launch", "Arrived")
    assert execution.output["instance"] == {"id": "i-1", "launched": "2025-03-01T00:02:00Z"}
    assert account.table_items("Ledger")[-1] == {"pk": "trip", "said": "hello, trip"}
    assert [entry.error for entry in account.trace] == ["Shy", "Shy", None]
    assert account.calls[Call("ec2", "RunInstances", "states", "Journey")] == 1


def test_lambdas_exception_is_caught_by_its_class_name(account: EmbeddedAccount) -> None:
    """Once the retries are used up, Catch sees the errorType."""
    execution = travel(account, fail_times=3)
    assert (execution.status, execution.error) == ("FAILED", "TooShy")


def test_task_that_is_the_functions_own_arn_passes_the_whole_input(
    account: EmbeddedAccount,
) -> None:
    """The result is the payload, and the call is counted as the state machine's."""
    execution = travel(account, steps=["direct"])
    assert execution.output["greeting"]["said"] == "hello, nobody"
    assert execution.stop == execution.start
    assert account.trace[0].event["steps"] == ["direct"]
    assert account.calls[Call("lambda", "Invoke", "states", "Journey")] == 1


def test_sdk_errors_have_the_names_that_aws_gives_them(
    account: EmbeddedAccount, world: Any
) -> None:
    """A modelled error by its class, EC2's by the service: the code is not in it."""
    boto3.client("dynamodb").put_item(
        TableName=account.outputs["LedgerName"], Item={"pk": {"S": "again"}}
    )
    assert travel(account, "again").error == "Repeated"
    world.full = True
    execution = travel(account, "crowded")
    assert execution.error == "NoCapacity"
    assert str(execution.cause).startswith(
        "none left (Service: Ec2, Status Code: 400, Request ID: "
    )
    names = {name: service_error_name(name) for name in ("ec2", "dynamodb", "sns", "s3")}
    assert names == {"ec2": "Ec2", "dynamodb": "DynamoDb", "sns": "Sns", "s3": "S3"}
    assert service_error_name("elasticloadbalancingv2") == "ElasticLoadBalancingV2"


def test_sdk_parameters_are_pascal_case_or_refused(account: EmbeddedAccount) -> None:
    """Also for a service whose API is in camelCase; and so is its result, times as text."""
    begin(account, "seen")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sfn:describeExecution",
        "Parameters": {"ExecutionArn.$": "$.arn"},
        "End": True,
    }
    arn = account.executions()[0].arn
    execution = run(account, {"Look": task}, json.dumps({"arn": arn}))
    assert execution.output["Name"] == "seen"
    assert execution.output["StartDate"] == "2025-03-01T00:00:00Z"
    with pytest.raises(ValueError, match="'executionArn' is not supported by Step Functions"):
        to_boto(
            {"executionArn": arn},
            operation_model("stepfunctions", "describe_execution").input_shape,
        )


def test_parameter_of_the_wrong_type_fails_the_task(account: EmbeddedAccount) -> None:
    """moto would pass it on; AWS refuses it."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ec2:runInstances",
        "Parameters": {"MinCount": "one", "MaxCount": 1},
        "End": True,
    }
    execution = run(account, {"Launch": task})
    assert execution.status == "FAILED"
    assert "Invalid type for parameter MinCount" in str(execution.cause)


def test_load_balancing_tasks_reach_the_world_under_botos_name(
    account: EmbeddedAccount, world: Any
) -> None:
    """Step Functions says elasticloadbalancingv2, botocore says elbv2."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:elasticloadbalancingv2:registerTargets",
        "Parameters": {"TargetGroupArn": "arn", "Targets": [{"Id": "i-1"}]},
        "End": True,
    }
    assert run(account, {"Register": task}).status == "SUCCEEDED"
    service, operation, params, caller = world.asked[-1]
    assert (service, operation) == ("elbv2", "RegisterTargets")
    assert params == {"TargetGroupArn": "arn", "Targets": [{"Id": "i-1"}]}
    assert caller.role_arn == "arn:aws:iam::123456789012:role/own"


def test_history_and_description_work_with_times_in_results(account: EmbeddedAccount) -> None:
    """A launch time in a result broke both."""
    execution = travel(account)
    client = boto3.client("stepfunctions")
    output = json.loads(client.describe_execution(executionArn=execution.arn)["output"])
    assert output["instance"]["launched"] == "2025-03-01T00:01:30Z"
    history = client.get_execution_history(executionArn=execution.arn)["events"]
    assert history[-1]["type"] == "ExecutionSucceeded"


def test_name_is_idempotent_while_it_runs_and_taken_afterwards(
    account: EmbeddedAccount,
) -> None:
    """Same name and input while running: the same execution; otherwise it already exists."""
    client = boto3.client("stepfunctions")
    taken = client.exceptions.ExecutionAlreadyExists
    first = begin(account, "once")
    assert begin(account, "once") == first
    with pytest.raises(taken):
        begin(account, "once", fail_times=1)
    account.run_until_quiet()
    with pytest.raises(taken):
        begin(account, "once")
    assert len(account.executions()) == 1


def test_executions_without_a_name_get_different_ones(account: EmbeddedAccount) -> None:
    """moto calls them all None. An alias starts its state machine."""
    client = boto3.client("stepfunctions")
    for arn in (account.outputs["JourneyArn"], account.stack.physical_ids["JourneyAlias"]):
        client.start_execution(stateMachineArn=arn, input='{"steps": ["direct"]}')
    assert len({item.name for item in account.executions()}) == 2
    assert {item.state_machine for item in account.executions()} == {"Journey"}


@pytest.mark.parametrize("seconds", [None, 0, 30])
def test_stopped_execution_is_aborted_even_before_its_first_turn(
    account: EmbeddedAccount, seconds: int | None
) -> None:
    """It does nothing more, and its wait does not hold anything up."""
    arn = begin(account, "aborted")
    if seconds is not None:
        account.run_for(timedelta(seconds=seconds))
    boto3.client("stepfunctions").stop_execution(executionArn=arn, cause="taken over")
    account.run_until_quiet()
    (execution,) = account.executions()
    assert execution.status == "ABORTED"
    assert took(execution) == timedelta(seconds=seconds or 0)
    assert account.trace == []


def test_stopped_execution_goes_on_from_its_step_when_it_is_redriven(
    account: EmbeddedAccount,
) -> None:
    """By its own name and with that step's input; one that has succeeded cannot be redriven."""
    whole = travel(account, "whole")
    arn = begin(account, "stopped")
    account.run_for(timedelta(seconds=30))
    boto3.client("stepfunctions").stop_execution(executionArn=arn)
    account.run_for(timedelta(hours=1))
    account.redrive("stopped")
    account.run_until_quiet()
    redriven = next(item for item in account.executions() if item.name == "stopped")
    assert redriven.status == "SUCCEEDED"
    assert redriven.states == (*whole.states[:2], *whole.states[1:])
    assert took(redriven) > timedelta(hours=1)
    with pytest.raises(NotRedrivable, match="SUCCEEDED"):
        account.redrive("stopped")


def test_definition_is_parsed_once_and_its_executions_do_not_mix(
    account: EmbeddedAccount,
) -> None:
    """Two that retry at the same time each count their own attempts."""
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    assert Parser.parse(definition) is Parser.parse(definition)
    for name in ("a", "b"):
        begin(account, name, fail_times=2)
    account.run_until_quiet()
    assert [item.status for item in account.executions()] == ["SUCCEEDED"] * 2
    assert [entry.error for entry in account.trace] == ["Shy"] * 4 + [None] * 2


def test_parallel_branches_and_timeouts_run_in_virtual_time(account: EmbeddedAccount) -> None:
    """The slowest branch decides; a task's timeout cuts off a wait inside its state machine."""

    def branch(seconds: int) -> dict[str, Any]:
        return {
            "StartAt": "W",
            "States": {"W": {"Type": "Wait", "Seconds": seconds, "End": True}},
        }

    both = {"Type": "Parallel", "Branches": [branch(10), branch(3600)], "End": True}
    execution = run(account, {"Both": both})
    assert took(execution) == timedelta(hours=1)


def test_state_that_waits_longer_than_allowed_is_named(account: EmbeddedAccount) -> None:
    """run_until_quiet gives up at its limit and says which executions run."""
    begin(account, "slow")
    with pytest.raises(StillRunning, match="slow"):
        account.run_until_quiet(within=timedelta(seconds=30))


DATA = {"l": [{"p": 1, "q-r": {"s": [7, 8]}}, {"p": 2}], "empty": [], "n": None}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DATA),
        ("$.l[0].p", 1),
        ("$.l[0].q-r.s[1]", 8),
        ("$['l'][1]['p']", 2),
        ("$.n", None),
        ("$.l[*].p", [1, 2]),
        ("$.l[0:1].p", [1]),
        ("$.l[?(@.p == 2)].p", [2]),
        ("$.empty[*].p", []),
    ],
)
def test_definite_path_yields_the_value_and_an_indefinite_one_a_list(
    path: str, value: object
) -> None:
    """moto yields a list for a path that goes through an index."""
    assert extract_json(path, DATA) == value


@pytest.mark.parametrize("path", ["$.x", "$.l[2]", "$.l[0].p.x", "$.l.p", "$.n.x"])
def test_definite_path_that_leads_nowhere_is_an_error(path: str) -> None:
    """As in AWS, unlike an indefinite one."""
    with pytest.raises(NoSuchJsonPathError):
        extract_json(path, DATA)


keys = st.text("abz_09", min_size=1, max_size=3)
trees = st.recursive(
    st.integers() | st.text(),
    lambda item: st.lists(item) | st.dictionaries(keys, item),
    max_leaves=8,
)


@given(trees)
def test_every_place_in_a_document_has_a_path_that_finds_it(tree: Any) -> None:
    """Walk the document and look each place up again."""

    def walk(path: str, value: Any) -> None:
        assert extract_json(path, tree) == value
        if isinstance(value, dict):
            for key, item in value.items():
                walk(f"{path}.{key}", item)
        if isinstance(value, list):
            for index, item in enumerate(value):
                walk(f"{path}[{index}]", item)

    walk("$", tree)
