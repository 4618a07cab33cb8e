"""Policies of roles: statements, and what they allow.

Sources: IAM User Guide, "IAM JSON policy elements reference" and "Policy evaluation logic": without
an allow everything is denied, and a deny wins over every allow. Policies of AWS itself are looked up
in the copies that moto keeps (``moto/iam/aws_managed_policies.py``, generated from IAM).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

from simulator.permissions.conditions import Condition, PolicyError, like
from simulator.permissions.demand import Demand

__all__ = ["Role", "Statement", "Verdict", "managed_statements", "read_statements"]

_ELEMENTS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy.

    Attributes:
        sid: its Sid, or ``policy[number]`` where it has none.
        managed: the name of the policy of AWS that it is of, if it is.
    """

    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    except_actions: bool = False
    except_resources: bool = False
    managed: str | None = None

    def applies(self, demand: Demand) -> bool:
        """Whether it says something about a demand."""
        return (
            bool(self.actions_for(demand)) != self.except_actions
            and bool(self.resources_for(demand)) != self.except_resources
            and all(condition.holds(demand) for condition in self.conditions)
        )

    def actions_for(self, demand: Demand) -> list[str]:
        """Which of its action patterns name the demanded one; actions have no case."""
        wanted = demand.action.lower()
        return [each for each in self.actions if like(wanted, each.lower())]

    def resources_for(self, demand: Demand) -> list[str]:
        """Which of its resource patterns name the demanded resource."""
        return [each for each in self.resources if _names(each, demand.resource)]


@dataclass(frozen=True)
class Verdict:
    """What a role's policies say to a demand, and the statement that decided, if one did."""

    allowed: bool
    by: Statement | None


@dataclass(frozen=True, eq=False)
class Role:
    """A role with the statements of all its policies."""

    name: str
    arn: str
    statements: tuple[Statement, ...]

    def decides(self, demand: Demand) -> Verdict:
        """Deny wins, then allow; the default is deny."""
        speaking = [each for each in self.statements if each.applies(demand)]
        denying = next((each for each in speaking if not each.allows), None)
        if denying or not speaking:
            return Verdict(False, denying)
        return Verdict(True, speaking[0])


def _names(pattern: str, arn: str) -> bool:
    if pattern == "*":
        return True
    parts, globs = arn.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(globs) and all(map(like, parts, globs))


def read_statements(document: Mapping[str, Any], policy: str) -> Iterator[Statement]:
    """The statements of a policy document, references resolved.

    Raises:
        PolicyError: the policy, the statement and what cannot be evaluated in it.
    """
    for number, row in enumerate(_listed(document["Statement"])):
        sid = str(row.get("Sid", f"{policy}[{number}]"))
        try:
            yield _statement(row, sid)
        except PolicyError as error:
            raise PolicyError(f"policy {policy}, statement {sid}: {error}") from error


def _statement(row: Mapping[str, Any], sid: str, managed: str | None = None) -> Statement:
    unknown = set(row) - _ELEMENTS
    if unknown:
        raise PolicyError(
            f"{sorted(unknown)} are no elements of a role's policy: {sorted(_ELEMENTS)}"
        )
    if row["Effect"] not in ("Allow", "Deny"):
        raise PolicyError(f"Effect {row['Effect']!r} must be Allow or Deny")
    resources = tuple(_listed(row.get("Resource", row.get("NotResource"))))
    for resource in resources:
        if "${" in resource:
            raise PolicyError(f"the policy variable in {resource!r} is not evaluated")
        if resource != "*" and len(resource.split(":", 5)) != 6:
            raise PolicyError(f"Resource {resource!r} must be '*' or an ARN of six parts")
    return Statement(
        sid=sid,
        allows=row["Effect"] == "Allow",
        actions=tuple(_listed(row.get("Action", row.get("NotAction")))),
        resources=resources,
        conditions=tuple(_conditions(row.get("Condition", {}))),
        except_actions="NotAction" in row,
        except_resources="NotResource" in row,
        managed=managed,
    )


def _conditions(block: Mapping[str, Mapping[str, Any]]) -> Iterator[Condition]:
    for operator, keys in block.items():
        for key, values in keys.items():
            yield Condition(operator, key.lower(), tuple(_text(each) for each in _listed(values)))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


@cache
def _managed_documents() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    return found


def managed_statements(arns: Iterable[str]) -> Iterator[Statement]:
    """The statements of AWS's own policies.

    Raises:
        PolicyError: a policy that moto's copies do not have.
    """
    for arn in arns:
        name = arn.rpartition("/")[2]
        if name not in _managed_documents():
            raise PolicyError(f"the managed policy {arn} is not known")
        document = _managed_documents()[name]["Document"]
        for number, row in enumerate(_listed(document["Statement"])):
            yield _statement(row, str(row.get("Sid", f"{name}[{number}]")), managed=name)
