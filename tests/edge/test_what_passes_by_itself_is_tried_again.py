"""An error that a second try may cure has one name for the state machine; no other error has it."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from spot_optimizer.aws.clients import TryAgain, passing_as_try_again


def _step_meeting(error: Exception) -> None:
    @passing_as_try_again
    def step() -> None:
        raise error

    step()


@pytest.mark.parametrize(
    "code",
    [
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


def test_a_reply_that_does_not_come_is_tried_again() -> None:
    """The call may have had its effect: every step finds its own traces."""
    with pytest.raises(TryAgain):
        _step_meeting(ReadTimeoutError(endpoint_url="https://ec2.us-east-1.amazonaws.com"))


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "ConditionalCheckFailedException"])
def test_a_refusal_is_not_tried_again(code: str) -> None:
    """Trying again what is forbidden or lost only delays the undo."""
    with pytest.raises(ClientError, match=code):
        _step_meeting(ClientError({"Error": {"Code": code, "Message": ""}}, "Any"))
