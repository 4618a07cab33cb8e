"""The table of AWS operations that the world answers."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from simulator.world.state import WorldState

Params = dict[str, Any]
Reply = dict[str, Any]
Handler = Callable[[WorldState, Params], Reply]
AttributedHandler = Callable[[WorldState, Params, object], Reply]

OPERATIONS: dict[tuple[str, str], AttributedHandler] = {}
CHECKS_BEFORE_DRY_RUN = frozenset({("ec2", "RunInstances"), ("ec2", "CreateFleet")})
"""These check their request before they answer DryRun themselves; the others need not."""


def operation(service: str, name: str) -> Callable[[Handler], Handler]:
    """Register the function that answers `service.name`.

    It gets (state, params) and returns the reply without metadata, or raises AwsError.
    """

    def register(handler: Handler) -> Handler:
        @wraps(handler)
        def without_caller(state: WorldState, params: Params, _caller: object) -> Reply:
            return handler(state, params)

        OPERATIONS[(service, name)] = without_caller
        return handler

    return register


def attributed_operation(
    service: str, name: str
) -> Callable[[AttributedHandler], AttributedHandler]:
    """As `operation`, for a function that also gets the caller: its events say who it was."""

    def register(handler: AttributedHandler) -> AttributedHandler:
        OPERATIONS[(service, name)] = handler
        return handler

    return register
