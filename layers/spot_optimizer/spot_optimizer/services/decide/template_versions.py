"""Versions of a workload's launch template: a new one is written, those that nobody needs are deleted.

EC2 allows 10,000 versions of a template and refuses the next (EC2 user guide, "Restrictions for Amazon
EC2 launch templates"), and every change of an instance makes one. Versions are deleted by number, up to
200 in a call; unknown numbers and the default version fail on their own (EC2 API reference,
DeleteLaunchTemplateVersions). They are not described first: that would return the user data of any
template of the account.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.clients import error_code
from spot_optimizer.aws.launch_templates import VERSIONS_PER_CALL, delete_versions, write_template
from spot_optimizer.aws.ledger.items import PlanItem, SupersededVersion
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.telemetry import logger

UNCLAIMED_MAX = timedelta(minutes=30)
"""How long an execution may take to claim its workload: no order on the ledger names its version yet.
Eight attempts of 90 seconds, and their pauses."""

_FIRST = 1
"""The default version, which EC2 does not delete."""

LiveVersions = Callable[[str], frozenset[int]]
"""Workload id -> the versions that its live order names."""


def live_versions(ledger: Ledger) -> LiveVersions:
    """Reads the ledger when it is asked: a failover may have begun since the cycle looked."""

    def named(workload_id: str) -> frozenset[int]:
        item = ledger.workload(workload_id)
        if item is None or not item.claim_switch_id:
            return frozenset()
        switch = ledger.switch(workload_id, item.claim_switch_id)
        return frozenset({switch.order.launch_template.version} if switch else ())

    return named


@dataclass(frozen=True, slots=True)
class WrittenVersion:
    """A version that EC2 has, and what the plan notes about the others."""

    template_id: str
    version: int
    notes: Mapping[str, Any]
    """Attributes of the plan."""


def write_version(
    stack_name: str,
    plan: PlanItem,
    data: Mapping[str, Any],
    live: LiveVersions,
    now: datetime,
) -> WrittenVersion:
    """Write ``data`` as the newest version of the workload's template, and delete those that neither
    the plan nor a live order names.

    Younger ones than ``UNCLAIMED_MAX`` stay, unless EC2 has no room for the new one. What cannot be
    deleted is logged. Raises EC2's error if there is no new version.
    """
    before = plan.launch_template
    template_id = before.template_id if before else ""
    try:
        template_id, version = write_template(stack_name, plan.workload_id, data, template_id)
    except ClientError as error:
        if before is None or not template_id or not _has_no_room(error):
            raise
        keep = {before.version, *live(plan.workload_id)}
        _delete(template_id, _unnamed(plan, before.version, keep))
        template_id, version = write_template(stack_name, plan.workload_id, data, template_id)
    if before is None or version <= before.version:
        # The template is new. Numbers of one that was deleted say nothing about it.
        return WrittenVersion(
            template_id, version, {"superseded_versions": (), "versions_deleted_to": 0}
        )
    superseded = (*plan.superseded_versions, SupersededVersion(version=before.version, at=now))
    young = tuple(each for each in superseded if now - each.at < UNCLAIMED_MAX)
    notes: dict[str, Any] = {"superseded_versions": young}
    keep = {before.version, version, *(each.version for each in young)}
    unnamed = _unnamed(plan, version, keep)
    if unnamed:
        unnamed = _unnamed(plan, version, keep | live(plan.workload_id))
    if _delete(template_id, unnamed):
        notes["versions_deleted_to"] = _deleted_to(plan, unnamed)
    return WrittenVersion(template_id, version, notes)


def _has_no_room(error: ClientError) -> bool:
    """AWS does not document the code. Those of quotas end alike; the one of request rates does too."""
    code = error_code(error)
    return code.endswith("LimitExceeded") and code != "RequestLimitExceeded"


def _unnamed(plan: PlanItem, newest: int, keep: set[int] | frozenset[int]) -> list[int]:
    """The oldest versions that may still be there and that nobody names: as many as one call takes."""
    first = max(plan.versions_deleted_to, _FIRST) + 1
    unnamed = [each for each in range(first, newest) if each not in keep]
    return unnamed[:VERSIONS_PER_CALL]


def _deleted_to(plan: PlanItem, deleted: list[int]) -> int:
    """The highest version below which none is left: of versions that are named, one is still there."""
    end = max(plan.versions_deleted_to, _FIRST)
    for each in deleted:
        if each != end + 1:
            break
        end = each
    return end


def _delete(template_id: str, versions: list[int]) -> bool:
    """Whether EC2 took the request."""
    if not versions:
        return False
    try:
        delete_versions(template_id, versions)
    except (BotoCoreError, ClientError):
        logger.exception("launch template versions not deleted", template_id=template_id)
        return False
    return True
