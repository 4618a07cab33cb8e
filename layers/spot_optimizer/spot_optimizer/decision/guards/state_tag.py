"""The tag ``state``: nothing of a workload is moved until it says what of the disks has to survive."""

from datetime import datetime
from enum import StrEnum

from spot_optimizer.vocabulary import TAG_PREFIX

TAG_TO_WRITE = (
    f"tag it {TAG_PREFIX}state = stateless if nothing on its disks has to survive a switch"
)
WITHOUT_STATE = f"held: {TAG_TO_WRITE}; without that tag nothing is moved"


class StateRule(StrEnum):
    """What the tag ``state`` lets us do with a workload, as the last cycle found it."""

    TAGGED = "tagged"
    """The tag is there."""
    KEPT = "kept"
    """The tag is not there, but the workload was adopted when it was not demanded: it is moved."""
    HELD = "held"
    """The tag is not there: decided and recorded, not moved."""


def state_rule(
    known: str,
    *,
    tagged: bool,
    adopted_at: datetime | None,
    demanded_since: datetime | None,
    old_rule_ended: bool,
) -> StateRule:
    """The rule of a workload. ``known``: the one that the last cycle found, empty if none ever looked.

    A workload that was adopted before the tag was demanded keeps the old rule until it is tagged once or
    until the parameter RequireStateTag ends it. The time of its adoption tells, not the version that
    adopted it: during an update, and after a rollback, older code adopts workloads too.
    """
    if tagged:
        return StateRule.TAGGED
    adopted_before = (
        adopted_at is not None and demanded_since is not None and adopted_at < demanded_since
    )
    if adopted_before and not old_rule_ended and known in ("", StateRule.KEPT):
        return StateRule.KEPT
    return StateRule.HELD
