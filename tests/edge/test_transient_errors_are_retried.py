"""Transient errors have one name for the state machines, and no other error has it."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.parsers import create_parser
from botocore.session import Session

from spot_optimizer.aws.clients import TryAgain, transient_as_try_again
from spot_optimizer.switching.error_table import BY_CODE, TEMPLATE_UNSEEN
from spot_optimizer.vocabulary import Scope


def _step_meeting(error: Exception) -> None:
    @transient_as_try_again
    def step() -> None:
        raise error

    step()


@pytest.mark.parametrize(
    "code",
    [
        "503",
        "InternalError",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "Unavailable",
    ],
)
def test_throttling_and_conflicts_are_retried(code: str) -> None:
    """EC2, ELB and DynamoDB each have their own codes for it."""
    with pytest.raises(TryAgain, match=code):
        _step_meeting(ClientError({"Error": {"Code": code, "Message": ""}}, "Any"))


@pytest.mark.parametrize(
    "code", [c for c, r in BY_CODE.items() if r.scope is Scope.TIME and c not in TEMPLATE_UNSEEN]
)
def test_refusals_that_end_with_time_are_retried(code: str) -> None:
    """Every code of scope TIME in the table of refusals, except those of launch templates."""
    with pytest.raises(TryAgain, match=code):
        _step_meeting(ClientError({"Error": {"Code": code, "Message": ""}}, "Any"))


def _parsed(status: int, body: bytes) -> dict[str, object]:
    """A reply of EC2 as botocore reads it."""
    model = Session().get_service_model("ec2").operation_model("RunInstances")
    assert model.output_shape is not None
    reply = {"status_code": status, "headers": {}, "body": body, "context": {}}
    parsed: dict[str, object] = create_parser("ec2").parse(reply, model.output_shape)
    return parsed


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html><body>Service Unavailable</body></html>"])
def test_a_failure_without_a_code_is_retried(status: int, body: bytes) -> None:
    """If a reply is no EC2 error, botocore uses the HTTP status as its code."""
    with pytest.raises(TryAgain, match=str(status)):
        _step_meeting(ClientError(_parsed(status, body), "RunInstances"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "code"), [(500, "BrandNewFailure"), (429, "BrandNewLimit")])
def test_a_failure_with_an_unknown_code_is_retried(status: int, code: str) -> None:
    """The HTTP status says that the server failed, whatever the code."""
    body = f"<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>".encode()
    with pytest.raises(TryAgain, match=code):
        _step_meeting(ClientError(_parsed(status, body), "RunInstances"))  # type: ignore[arg-type]


def test_an_unreadable_reply_is_retried() -> None:
    """The call may have taken effect (boto3's issue 1961: a reply of EC2 without a body)."""

    @transient_as_try_again
    def step() -> None:
        _parsed(200, b"")

    with pytest.raises(TryAgain, match="parse"):
        step()


def test_a_missing_reply_is_retried() -> None:
    """The call may have taken effect; every step is idempotent."""
    with pytest.raises(TryAgain):
        _step_meeting(ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com"))


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "ConditionalCheckFailedException"])
def test_a_refusal_is_not_retried(code: str) -> None:
    """A retry of what is forbidden or lost would only delay the undo."""
    with pytest.raises(ClientError, match=code):
        _step_meeting(ClientError({"Error": {"Code": code, "Message": ""}}, "Any"))
