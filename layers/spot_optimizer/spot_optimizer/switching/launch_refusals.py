"""What cures a refused launch."""

from fnmatch import fnmatchcase

from spot_optimizer.switching.error_table import (
    BY_CODE,
    BY_MESSAGE,
    BY_PATTERN,
    BY_STATE_REASON,
    Refusal,
)
from spot_optimizer.vocabulary import Scope

__all__ = [
    "Refusal",
    "known_refusal",
    "refusal_of",
    "refusal_of_state_reason",
    "scope_of_stored",
    "stored_scope",
]


def refusal_of(code: str, message: str = "") -> Refusal:
    """What cures an error of RunInstances, CreateFleet or a launch-template call.

    Nothing cures a code that no table has: nothing was launched, the original keeps running, and a
    person reads the code. Only for errors that EC2 returned, not for lost responses.
    """
    return known_refusal(code, message) or Refusal(
        Scope.NOTHING, f"'{code}' is not a known EC2 error code, so nothing else is tried."
    )


def known_refusal(code: str, message: str = "") -> Refusal | None:
    """The same; None for a code that no table has."""
    bare = code.removeprefix("Client.").removeprefix("Server.")
    text = message.lower()
    for code_pattern, message_pattern, refusal in BY_MESSAGE:
        if fnmatchcase(bare, code_pattern) and fnmatchcase(text, message_pattern):
            return refusal
    if bare in BY_CODE:
        return BY_CODE[bare]
    for code_pattern, refusal in BY_PATTERN:
        if fnmatchcase(bare, code_pattern):
            return refusal
    return None


def refusal_of_state_reason(code: str, message: str = "") -> Refusal:
    """What cures the end of an instance that was launched but never ran (its StateReason)."""
    return BY_STATE_REASON.get(code) or refusal_of(code, message)


def stored_scope(scope: Scope) -> Scope:
    """The scope as it is sent and stored: one that version 0.1.0 knows."""
    return Scope.ZONE if scope is Scope.SUBNET else scope


def scope_of_stored(scope: Scope, code: str, message: str) -> Scope:
    """The scope of a stored refusal: one of a zone may be of its subnet only, which the error says."""
    known = known_refusal(code, message) if scope is Scope.ZONE else None
    return Scope.SUBNET if known and known.scope is Scope.SUBNET else scope
