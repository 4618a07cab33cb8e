"""Which parts of a role's policies have been needed, and which never were."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from simulator.permissions.demand import Demand
from simulator.permissions.policies import Role, Statement

__all__ = ["Part", "needed_parts", "parts_of"]


class Part(NamedTuple):
    """One pattern or value of an allowing statement, without which it would allow less.

    Attributes:
        element: ``Action``, ``Resource``, or the condition key of a value that is one of several.
        text: as the policy has it; of a resource that is one of several its number, since its ARN
            differs between deployments.
    """

    role: str
    sid: str
    element: str
    text: str


def parts_of(role: Role) -> Iterator[Part]:
    """All parts of a role's own policies; those of AWS are as they are."""
    for each in role.statements:
        if each.managed or not each.allows:
            continue
        yield from (Part(role.name, each.sid, "Action", action) for action in each.actions)
        yield from (_resource(role, each, resource) for resource in each.resources)
        for condition in each.conditions:
            if len(condition.wanted) > 1:
                for value in condition.wanted:
                    yield Part(role.name, each.sid, condition.key, value)


def needed_parts(role: Role, demands: Iterable[Demand]) -> Iterator[Part]:
    """The parts without which one of these demands, all of them allowed, would be denied."""
    for asked in demands:
        allowing = [each for each in role.statements if each.allows and each.applies(asked)]
        if len(allowing) != 1:
            continue
        (statement,) = allowing
        actions = statement.actions_for(asked)
        resources = statement.resources_for(asked)
        if len(actions) == 1:
            yield Part(role.name, statement.sid, "Action", actions[0])
        if len(resources) == 1:
            yield _resource(role, statement, resources[0])
        for condition in statement.conditions:
            values = list(condition.values_that_hold(asked))
            if len(values) == 1:
                yield Part(role.name, statement.sid, condition.key, values[0])


def _resource(role: Role, statement: Statement, resource: str) -> Part:
    number = statement.resources.index(resource)
    return Part(role.name, statement.sid, "Resource", f"{number + 1} of {len(statement.resources)}")
