"""What a call to AWS demands: an action on a resource, in a context of condition keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["NO_RESOURCE", "Context", "Demand", "demand", "tag_context"]

NO_RESOURCE = "*"
"""What is evaluated where an action has no resource level: only ``Resource: "*"`` allows it."""

Context = frozenset[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Demand:
    """One thing that AWS asks IAM before it does a call; a call may demand several.

    Attributes:
        action: such as ``ec2:TerminateInstances``.
        resource: its ARN, of something that a call creates with ``*`` as its id.
        context: condition keys in lower case with their values; a key that the request does not
            have is missing.
    """

    action: str
    resource: str = NO_RESOURCE
    context: Context = frozenset()

    def values(self, key: str) -> tuple[str, ...] | None:
        """The values of a condition key (in lower case), None where the request lacks it."""
        return dict(self.context).get(key)


def demand(
    action: str, resource: str = NO_RESOURCE, context: Mapping[str, Iterable[str]] | None = None
) -> Demand:
    """A demand; ``context`` with keys as AWS writes them."""
    keys = ((key.lower(), tuple(values)) for key, values in (context or {}).items())
    return Demand(action, resource, frozenset(keys))


def tag_context(
    *, requested: Mapping[str, str] | None = None, present: Mapping[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """The keys that tags give: those that the request sets, and those of the resource.

    ``ec2:ResourceTag`` is EC2's own spelling of ``aws:ResourceTag`` (Service Authorization
    Reference, "Condition keys for Amazon EC2").
    """
    context: dict[str, tuple[str, ...]] = {}
    for key, value in (requested or {}).items():
        context[f"aws:RequestTag/{key}"] = (value,)
    if requested:
        context["aws:TagKeys"] = tuple(requested)
    for key, value in (present or {}).items():
        context[f"aws:ResourceTag/{key}"] = context[f"ec2:ResourceTag/{key}"] = (value,)
    return context
