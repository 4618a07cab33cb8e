"""An error that a second try may cure has one name for the state machine; no other error has it."""

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
def test_throttling_and_conflicts_are_tried_again(code: str) -> None:
    """EC2, ELB and DynamoDB each say in their own words that they are busy."""
    with pytest.raises(TryAgain, match=code):
        _step_meeting(ClientError({"Error": {"Code": code, "Message": ""}}, "Any"))


@pytest.mark.parametrize(
    "code", [c for c, r in BY_CODE.items() if r.scope is Scope.TIME and c not in TEMPLATE_UNSEEN]
)
def test_what_a_wait_cures_is_tried_again(code: str) -> None:
    """Every code that the table of refusals sorts under time, save those of launch templates."""
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
def test_a_failure_without_a_code_is_tried_again(status: int, body: bytes) -> None:
    """botocore makes a code of the HTTP status where EC2's front sends no error of EC2's form."""
    with pytest.raises(TryAgain, match=str(status)):
        _step_meeting(ClientError(_parsed(status, body), "RunInstances"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "code"), [(500, "BrandNewFailure"), (429, "BrandNewLimit")])
def test_a_failure_with_an_unknown_code_is_tried_again(status: int, code: str) -> None:
    """The status says whose fault it is, whatever the code."""
    body = f"<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>".encode()
    with pytest.raises(TryAgain, match=code):
        _step_meeting(ClientError(_parsed(status, body), "RunInstances"))  # type: ignore[arg-type]


def test_a_reply_that_cannot_be_read_is_tried_again() -> None:
    """The call may have had its effect (boto3's issue 1961: of EC2, an answer without a body)."""

    @transient_as_try_again
    def step() -> None:
        _parsed(200, b"")

    with pytest.raises(TryAgain, match="parse"):
        step()


def test_a_reply_that_does_not_come_is_tried_again() -> None:
    """The call may have had its effect: every step finds its own traces."""
    with pytest.raises(TryAgain):
        _step_meeting(ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com"))


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "ConditionalCheckFailedException"])
def test_a_refusal_is_not_tried_again(code: str) -> None:
    """Trying again what is forbidden or lost only delays the undo."""
    with pytest.raises(ClientError, match=code):
        _step_meeting(ClientError({"Error": {"Code": code, "Message": ""}}, "Any"))
