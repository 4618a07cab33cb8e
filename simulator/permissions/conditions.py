"""The Condition element of a statement.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Condition operators for
multivalued context keys" and "Evaluation logic for multiple context keys or values": all keys of all
operators must hold, one of the values of a key is enough; of a key that is missing, a negated
operator holds, any other does not.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from simulator.permissions.demand import Demand

__all__ = ["KNOWN_KEYS", "Condition", "PolicyError", "like"]

KNOWN_KEYS = (
    "aws:PrincipalAccount",
    "aws:RequestTag/",
    "aws:RequestedRegion",
    "aws:ResourceTag/",
    "aws:SecureTransport",
    "aws:SourceArn",
    "aws:TagKeys",
    "dynamodb:LeadingKeys",
    "ec2:AvailabilityZone",
    "ec2:CreateAction",
    "ec2:InstanceMarketType",
    "ec2:InstanceType",
    "ec2:LaunchTemplate",
    "ec2:Region",
    "ec2:ResourceTag/",
    "iam:PassedToService",
    "kms:GrantIsForAWSResource",
    "kms:ViaService",
)
"""The condition keys that demands have where AWS has them; those of tags end in a slash."""

Test = Callable[[str, str], bool]
_MULTIVALUED = ("aws:tagkeys", "dynamodb:leadingkeys")


class PolicyError(Exception):
    """A policy says something that is wrong, or that is not evaluated here."""


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # IAM knows * and ?, and no brackets.
    return re.compile(fnmatch.translate(glob.replace("[", "[[]")))


def like(value: str, glob: str) -> bool:
    """Whether a value matches a pattern with ``*`` and ``?``, in its case."""
    return _pattern(glob).match(value) is not None


def _arn_like(value: str, glob: str) -> bool:
    """Each of the six parts is compared by itself, so a wildcard does not reach across a colon."""
    parts, globs = value.split(":", 5), glob.split(":", 5)
    return len(parts) == len(globs) and all(map(like, parts, globs))


_TESTS: dict[str, Test] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": lambda value, wanted: float(value) == float(wanted),
    "NumericLessThan": lambda value, wanted: float(value) < float(wanted),
    "NumericLessThanEquals": lambda value, wanted: float(value) <= float(wanted),
    "NumericGreaterThan": lambda value, wanted: float(value) > float(wanted),
    "NumericGreaterThanEquals": lambda value, wanted: float(value) >= float(wanted),
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
}


@dataclass(frozen=True)
class Condition:
    """One operator with one key.

    Attributes:
        operator: as it is written, such as ``ForAllValues:StringEquals``.
        key: the condition key, in lower case.
        wanted: the values, one of which is enough.
    """

    operator: str
    key: str
    wanted: tuple[str, ...]

    def __post_init__(self) -> None:
        known = tuple(each.lower() for each in KNOWN_KEYS)
        if not any(self.key == k or (k.endswith("/") and self.key.startswith(k)) for k in known):
            raise PolicyError(
                f"condition key {self.key!r} is not evaluated; those are {KNOWN_KEYS}"
            )
        if self._operator not in {*_TESTS, *_NEGATED, "Null"}:
            allowed = ", ".join(sorted({*_TESTS, *_NEGATED, "Null"}))
            raise PolicyError(f"operator {self.operator!r} is not evaluated; those are {allowed}")
        if self.key in _MULTIVALUED and not self._set_operator and self._operator != "Null":
            raise PolicyError(
                f"{self.operator} of {self.key}: a key with several values needs ForAllValues: or "
                "ForAnyValue:"
            )
        for value in self.wanted:
            if "${" in value:
                raise PolicyError(f"{self.key}: the policy variable in {value!r} is not evaluated")

    @property
    def _set_operator(self) -> str:
        return self.operator.rpartition(":")[0]

    @property
    def _operator(self) -> str:
        return self.operator.rpartition(":")[2].removesuffix("IfExists")

    def holds(self, demand: Demand) -> bool:
        """Whether the request is as this wants it."""
        present = demand.values(self.key)
        if self._operator == "Null":
            return (present is None) == (self.wanted[0].lower() == "true")
        if not present:
            if self._set_operator == "ForAnyValue":
                return False
            lenient = self.operator.endswith("IfExists") or self._operator in _NEGATED
            return lenient or self._set_operator == "ForAllValues"
        every = all if self._set_operator == "ForAllValues" else any
        return every(self._matches(value) for value in present)

    def _matches(self, value: str) -> bool:
        test = _TESTS[_NEGATED.get(self._operator, self._operator)]
        found = any(test(value, wanted) for wanted in self.wanted)
        return found != (self._operator in _NEGATED)

    def values_that_hold(self, demand: Demand) -> Iterable[str]:
        """Which of several wanted values the request has; empty where it is not about that."""
        if self._operator not in _TESTS or len(self.wanted) == 1:
            return ()
        test, present = _TESTS[self._operator], demand.values(self.key) or ()
        return [wanted for wanted in self.wanted if any(test(v, wanted) for v in present)]
