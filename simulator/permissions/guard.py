"""The permissions of one account: every call is checked against the role of its caller.

A call is refused as its service refuses it (each service's API reference, "Common errors"; of EC2
"Error codes for the Amazon EC2 API", ``UnauthorizedOperation``), before it has any effect.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from simulator.permissions.demand import Demand
from simulator.permissions.policies import Role, Verdict
from simulator.permissions.services import Place, service_demands

__all__ = ["DENIAL_CODES", "Guard", "World"]

DENIAL_CODES: Mapping[str, str] = {
    "cloudwatch": "AccessDenied",
    "ec2": "UnauthorizedOperation",
    "elb": "AccessDenied",
    "elbv2": "AccessDenied",
    "s3": "AccessDenied",
    "sns": "AuthorizationError",
}
"""What a service answers to who may not; all others ``AccessDeniedException``."""

Reply = tuple[int, dict[str, Any]]


class World(Protocol):
    """What knows the things that calls of EC2 touch."""

    def demands(self, operation: str, params: dict[str, Any]) -> tuple[Demand, ...]:
        """What a call of EC2 demands."""

    def override_demands(
        self, params: dict[str, Any]
    ) -> Sequence[tuple[dict[str, Any], tuple[Demand, ...]]]:
        """What each override of a CreateFleet demands, with its row of a reply."""


class Guard:
    """Knows the stack's roles, and answers calls that they do not allow.

    Attributes:
        verdicts: of every demand that has been made of a role.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._roles: dict[str, Role] = {}
        self.verdicts: dict[tuple[Role, Demand], Verdict] = {}

    def know(self, roles: Iterable[Role]) -> None:
        """Make roles known; a role that is not allows nothing."""
        self._roles.update({role.arn: role for role in roles})

    def refusal(
        self,
        role_arn: str,
        session: str,
        call: tuple[str, str, str],
        params: dict[str, Any],
        world: World | None,
    ) -> Reply | None:
        """Status and reply of a call (service, operation, region) that its role does not allow, or None.

        ``session`` is the name that the role was assumed under, ``world`` what is in the region.
        """
        service, operation, region = call
        ec2 = service == "ec2" and world is not None
        demands = (
            world.demands(operation, params)
            if ec2 and world
            else service_demands(service, operation, params, replace(self._place, region=region))
        )
        for each in demands:
            verdict = self._verdict(role_arn, each)
            if not verdict.allowed:
                code = DENIAL_CODES.get(service, "AccessDeniedException")
                text = self._message(role_arn, session, each, verdict)
                return 403, {"Error": {"Code": code, "Message": text}}
        if world is not None and (service, operation) == ("ec2", "CreateFleet"):
            return self._fleet_refusal(role_arn, session, params, world)
        return None

    def _fleet_refusal(
        self, role_arn: str, session: str, params: dict[str, Any], world: World
    ) -> Reply | None:
        errors = []
        overrides = world.override_demands(params)
        for row, demands in overrides:
            verdicts = [(each, self._verdict(role_arn, each)) for each in demands]
            denied = next(((each, v) for each, v in verdicts if not v.allowed), None)
            if denied is not None:
                text = self._message(role_arn, session, *denied)
                error = {"ErrorCode": DENIAL_CODES["ec2"], "ErrorMessage": text}
                errors.append({"LaunchTemplateAndOverrides": row, "Lifecycle": "spot", **error})
        if errors and len(errors) < len(overrides):
            raise NotImplementedError(
                "CreateFleet: a role that may launch some of the overrides is not modelled; "
                f"{len(errors)} of {len(overrides)} are denied: {errors[0]}"
            )
        return (
            (200, {"FleetId": "fleet-denied", "Errors": errors, "Instances": []})
            if errors
            else None
        )

    def _verdict(self, role_arn: str, asked: Demand) -> Verdict:
        role = self._roles.get(role_arn)
        if role is None:
            return Verdict(False, None)
        verdict = self.verdicts.get((role, asked))
        if verdict is None:
            verdict = self.verdicts[role, asked] = role.decides(asked)
        return verdict

    def _message(self, role_arn: str, session: str, asked: Demand, verdict: Verdict) -> str:
        name = role_arn.rpartition("/")[2]
        who = f"arn:aws:sts::{self._place.account_id}:assumed-role/{name}/{session}"
        why = (
            "with an explicit deny in an identity-based policy"
            if verdict.by
            else f"because no identity-based policy allows the {asked.action} action"
        )
        on = "" if asked.resource == "*" else f" on resource: {asked.resource}"
        text = f"User: {who} is not authorized to perform: {asked.action}{on} {why}"
        if asked.action.startswith("ec2:"):
            return f"You are not authorized to perform this operation. {text}"
        return text
