"""A handler sees the environment, context and clock of the Lambda runtime; errors look like it."""

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from simulator.account import Call, EmbeddedAccount, FunctionFailed
from simulator.account.output import captured

OWN = """
Resources:
  First:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: first/, Handler: app.handler, Runtime: python3.13, Timeout: 10}
  Second:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: second/, Handler: app.handler, Runtime: python3.13}
"""
SLEEPER = """
import os, time, boto3
def handler(event, context):
    before = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    left = context.get_remaining_time_in_millis()
    time.sleep(event["sleep"])
    return [before == os.environ["AWS_LAMBDA_FUNCTION_NAME"],
            left - context.get_remaining_time_in_millis()]
"""


@pytest.fixture
def pair(variant: Callable[[str], Path]) -> Callable[[str, str], Path]:
    """Two functions of one's own: ``pair(code, code)`` is the template's path."""

    def write(first: str, second: str) -> Path:
        template = variant(OWN)
        for name, code in (("first", first), ("second", second)):
            (template.parent / name).mkdir()
            (template.parent / name / "app.py").write_text(code)
        return template

    return write


def test_environment_is_the_stacks_and_is_gone_afterwards(account: EmbeddedAccount) -> None:
    """Parameters and references arrive as text; the process's own variables come back."""
    before = dict(os.environ)
    reply = account.invoke("Greet", {"execution": "you"})
    assert reply["said"] == "hello, you"
    assert reply["attempts"] == "3"
    assert reply["function"] == account.stack.physical_ids["Greet"]
    assert reply["left_ms"] == 30_000
    assert reply["at"] == account.clock.now().isoformat()
    assert dict(os.environ) == before
    assert account.table_items("Ledger")[0]["asked"] == "{'execution': 'you'}"


def test_function_that_invokes_another_keeps_its_own_environment(
    account: EmbeddedAccount,
) -> None:
    """The nested call has the callee's variables, and the caller has its own again after it."""
    reply = account.invoke("Relay", {"do": "invoke"})
    assert reply["reply"]["said"] == "hello, relay"
    assert reply["function"] == account.stack.physical_ids["Relay"]
    assert reply["word"] is None
    assert [entry.function for entry in account.trace] == ["Greet", "Relay"]
    assert account.calls[Call("lambda", "Invoke", "lambda", "Relay")] == 1


def test_output_goes_to_the_trace_and_not_to_the_terminal(
    account: EmbeddedAccount, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints and logger lines of each invocation are kept with it alone."""
    account.invoke("Greet", {})
    account.invoke("Greet", {})
    for entry in account.trace:
        assert entry.logs.count('"message":"asked"') == 1
        assert entry.logs.endswith("printed\n")
    print("driver")
    assert capsys.readouterr() == ("driver\n", "")


def test_loggers_made_before_the_account_are_captured_too(
    start: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that has imported the product's logger does not print its lines."""
    logger = logging.Logger("early")
    logging.root.manager.loggerDict["early"] = logger
    logger.addHandler(logging.StreamHandler(sys.stdout))
    said = StringIO()
    try:
        with EmbeddedAccount(start=start), captured(said):
            logger.warning("inside")
        logger.warning("outside")
    finally:
        del logging.root.manager.loggerDict["early"]
    assert said.getvalue() == "inside\n"
    assert capsys.readouterr().out == "outside\n"


def test_exception_becomes_the_runtimes_envelope(account: EmbeddedAccount) -> None:
    """Over the API: status 200, FunctionError, and type, message and stack in the payload."""
    reply = boto3.client("lambda").invoke(
        FunctionName=account.outputs["GreetLive"], Payload=json.dumps({"fail_times": 1})
    )
    envelope = json.load(reply["Payload"])
    assert reply["FunctionError"] == "Unhandled"
    assert (envelope["errorType"], envelope["errorMessage"]) == ("Shy", "attempt 1")
    assert "raise Shy" in envelope["stackTrace"][-1]
    assert "lambdas.py" not in "".join(envelope["stackTrace"])
    with pytest.raises(FunctionFailed, match="Greet: Shy: attempt 1"):
        account.invoke("Greet", {"execution": "driver", "fail_times": 1})


@pytest.mark.parametrize(
    ("do", "error"),
    [("too much", "Function.ResponseSizeTooLarge"), ("set", "Runtime.MarshalError")],
)
def test_result_that_lambda_cannot_return_is_an_error(
    account: EmbeddedAccount, do: str, error: str
) -> None:
    """More than 6 MB, or what JSON cannot say."""
    with pytest.raises(FunctionFailed) as failed:
        account.invoke("Relay", {"do": do})
    assert failed.value.error_type == error


def test_unknown_functions_and_huge_requests_are_refused_as_by_aws(
    account: EmbeddedAccount,
) -> None:
    """The driver gets a KeyError with the known names, a client gets AWS's error codes."""
    with pytest.raises(KeyError, match="the stack has Greet, Listen, Relay"):
        account.invoke("Nobody", {})
    client = boto3.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="nobody")
    with pytest.raises(ClientError, match="RequestEntityTooLargeException"):
        client.invoke(FunctionName=account.outputs["GreetLive"], Payload=b"9" * 7_000_000)
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        client.invoke(FunctionName=account.outputs["GreetLive"], Payload=b"{")


def test_handler_sleeps_in_virtual_time_and_is_cut_off_at_its_timeout(
    start: datetime, pair: Callable[[str, str], Path]
) -> None:
    """Its remaining time shrinks; other handlers run meanwhile in their own environment."""
    with EmbeddedAccount(start=start) as account:
        account.deploy(pair(SLEEPER, SLEEPER), "pair")
        account.clock.call_later(
            timedelta(seconds=1), lambda: account.invoke("Second", {"sleep": 2})
        )
        assert account.invoke("First", {"sleep": 9}) == [True, 9_000]
        assert account.clock.now() == start + timedelta(seconds=9)
        assert [entry.function for entry in account.trace] == ["Second", "First"]
        with pytest.raises(FunctionFailed, match=r"Task timed out after 10\.00 seconds"):
            account.invoke("First", {"sleep": 11})


def test_two_functions_may_have_modules_of_the_same_name(
    start: datetime, pair: Callable[[str, str], Path]
) -> None:
    """Each imports its own sibling, and none of them stays behind in the process."""
    code = "import rules\ndef handler(event, context):\n    return rules.NAME\n"
    template = pair(code, code)
    for name in ("first", "second"):
        (template.parent / name / "rules.py").write_text(f"NAME = {name!r}\n")
    with EmbeddedAccount(start=start) as account:
        account.deploy(template, "pair")
        assert account.invoke("First", {}) == "first"
        assert account.invoke("Second", {}) == "second"
    assert "rules" not in sys.modules
    assert not any(name.startswith("embedded_functions") for name in sys.modules)


def test_module_that_does_not_load_is_the_runtimes_import_error(
    start: datetime, pair: Callable[[str, str], Path]
) -> None:
    """The error has Lambda's name for it and says which module."""
    with EmbeddedAccount(start=start) as account:
        account.deploy(pair("import nonesuch\n", ""), "pair")
        with pytest.raises(
            FunctionFailed, match=r"Unable to import module 'app'.*nonesuch"
        ) as failed:
            account.invoke("First", {})
    assert failed.value.error_type == "Runtime.ImportModuleError"
