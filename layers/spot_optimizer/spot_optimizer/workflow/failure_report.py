"""Why a switch failed, in words, and whether the failure counts for the breakers."""

import json
from collections.abc import Mapping
from typing import Any

from spot_optimizer.aws.clients import TryAgain
from spot_optimizer.aws.ledger.claims import LedgerBusy
from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.contracts.steps import FailRequest
from spot_optimizer.vocabulary import Phase

_SERVICE_BUSY = frozenset(
    {
        TryAgain.__name__,
        LedgerBusy.__name__,
        "Lambda.AWSLambdaException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.SdkClientException",
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Sandbox.Timedout",
        "States.Timeout",
    }
)
"""Errors that a state machine retries (Step Functions developer guide, "Handle transient Lambda service
exceptions"), among them the account's concurrency limit. A missing permission is not one of them."""

_CAUSE_CHARACTERS_MAX = 500


def failure_report(switch: SwitchItem, request: FailRequest) -> tuple[str, bool]:
    """What happened, in words, and whether it counts as a failure.

    These do not count: launches that EC2 refused, services that were too busy to launch anything, and an
    original that its team changed during the switch. None of them would be a reason for a person to
    reset a breaker.
    """
    last = switch.refusals[-1] if switch.refusals else None
    # If another attempt followed the last refusal, that attempt failed for another reason, and it may
    # have launched something.
    if switch.phase is Phase.CLAIMED and last is not None and last.attempt == switch.attempt:
        tried = len(switch.refusals)
        return f"no replacement, {tried} refused; last: {last.code}: {last.cure}", False
    error = _error(request.failure)
    busy = switch.phase is Phase.CLAIMED and error in _SERVICE_BUSY
    counts = not busy and error != "OriginalChanged"
    return failure_in_words(request.failure), counts


def failure_in_words(failure: Mapping[str, Any]) -> str:
    """A caught error, ``{"Error": ..., "Cause": ...}``, as one line."""
    return f"{_error(failure)}: {_readable(str(failure.get('Cause', '')))}"


def _error(failure: Mapping[str, Any]) -> str:
    return str(failure.get("Error", "unknown error"))


def _readable(cause: str) -> str:
    """The message inside a Lambda error's JSON, or the cause as it is, shortened."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    text = parsed.get("errorMessage", cause) if isinstance(parsed, dict) else cause
    return str(text)[:_CAUSE_CHARACTERS_MAX]
