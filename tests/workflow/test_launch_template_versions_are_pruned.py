"""Of a launch template only the versions that somebody names are kept; one too many stops nobody."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from simulator.call_log import Fault
from simulator.limit_table import changed
from simulator.stage import Stage, open_stage
from spot_optimizer.aws.ledger.items import PlanItem, SupersededVersion
from spot_optimizer.contracts.switch import LaunchTemplateRef
from spot_optimizer.services.decide import template_versions
from spot_optimizer.services.decide.template_versions import UNCLAIMED_MAX, write_version

SMALL_QUOTA = changed({"quota_launch_template_versions": 4})


def _tag(instance: str, value: str) -> None:
    boto3.client("ec2").create_tags(
        Resources=[instance], Tags=[{"Key": "last-seen", "Value": value}]
    )


def _versions(stage: Stage) -> list[int]:
    template = stage.item("PLANS", "web")["launch_template"]["template_id"]
    stage.account.run_for(timedelta(minutes=1))  # EC2 shows a new version after some seconds
    rows = boto3.client("ec2").describe_launch_template_versions(LaunchTemplateId=template)
    return sorted(row["VersionNumber"] for row in rows["LaunchTemplateVersions"])


def _changed_in_each_of(stage: Stage, instance: str, cycles: int, minutes: int) -> None:
    for number in range(cycles):
        stage.account.run_for(timedelta(minutes=minutes))
        _tag(instance, f"t{number}")
        stage.cycle()


def _alerts(stage: Stage) -> list[str]:
    return [call.params["Message"] for call in stage.calls_of("Publish")]


def test_versions_beyond_the_quota_make_room_and_the_failover_launches_from_the_newest() -> None:
    """The workload is never refused, however often it changes."""
    with open_stage(limits=SMALL_QUOTA) as stage:
        instance = stage.launch()
        stage.adopt()
        _changed_in_each_of(stage, instance, 8, minutes=1)
        assert stage.workload()["status"] == "managed"
        assert not _alerts(stage)
        assert len(_versions(stage)) <= 4
        stage.world.interrupt(instance)
        assert stage.finish().status == "SUCCEEDED"
        replacement = stage.workload()["instance_id"]
        assert stage.world.tags_of(replacement)["last-seen"] == "t7"


def test_a_change_that_cannot_be_written_leaves_the_workload_managed_with_its_last_version(
    stage: Stage,
) -> None:
    """One alert says so, planned switches wait, and a failover launches from the last version; once EC2
    allows it again, the template is brought up to date."""
    instance = stage.launch(lifecycle="spot")
    stage.adopt()
    before = stage.item("PLANS", "web")["launch_template"]
    for operation, seen in (("GetLaunchTemplateData", "read"), ("CreateLaunchTemplateVersion", "")):
        stage.account.run_for(timedelta(minutes=1))
        stage.api.clear()
        _tag(instance, f"not {seen}")
        stage.faults.append(Fault(operation, code="UnauthorizedOperation", caller="Decide"))
        for _ in range(2):
            stage.cycle()
        workload = stage.workload()
        assert workload["status"] == "managed"
        assert "(UnauthorizedOperation)" in workload["status_reason"]
        (alert,) = _alerts(stage)
        assert "web: " in alert
        assert "(UnauthorizedOperation)" in alert
        assert stage.item("PLANS", "web")["launch_template"] == before
        (made,) = stage.force()["made"]
        assert "launch template" in made["held_by"]
        if seen:
            stage.faults.clear()
            stage.cycle()
            assert "UnauthorizedOperation" not in stage.workload()["status_reason"]
            before = stage.item("PLANS", "web")["launch_template"]
            assert before["version"] == 2

    stage.world.interrupt(instance)
    stage.finish()
    replacement = stage.workload()["instance_id"]
    assert replacement != instance
    assert stage.world.tags_of(replacement)["last-seen"] == "not read"


def _plan(version: int, deleted_to: int = 0, superseded: tuple[int, ...] = ()) -> PlanItem:
    return PlanItem(
        workload_id="web",
        launch_template=LaunchTemplateRef(template_id="lt-1", version=version, data_hash="old"),
        superseded_versions=tuple(SupersededVersion(version=v, at=NOW) for v in superseded),
        versions_deleted_to=deleted_to,
    )


def _naming(live: frozenset[int]) -> Callable[[str], frozenset[int]]:
    return lambda _workload: live


NOW = datetime.fromisoformat("2026-01-01T00:00:00Z")


class _Ec2:
    """Launch template calls on one template with ``versions``."""

    def __init__(self, versions: set[int]) -> None:
        self.versions, self.newest = versions, max(versions)

    def create_launch_template_version(self, **_parameters: Any) -> dict[str, Any]:
        self.newest += 1
        self.versions.add(self.newest)
        return {"LaunchTemplateVersion": {"VersionNumber": self.newest}}

    def delete_launch_template_versions(self, **parameters: Any) -> dict[str, Any]:
        assert len(parameters["Versions"]) <= 200
        self.versions -= {int(each) for each in parameters["Versions"]} - {1}
        return {}


def test_piled_up_versions_are_deleted_bit_by_bit_but_not_what_a_live_order_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every change deletes up to 200 of the oldest; a named one stays until nobody names it."""
    ec2 = _Ec2(set(range(1, 1001)))
    monkeypatch.setattr("spot_optimizer.aws.launch_templates.client", lambda _service: ec2)
    plan, live = _plan(1000), frozenset({300})
    for number in range(12):
        now = NOW + number * UNCLAIMED_MAX
        written = write_version("stack", plan, {}, _naming(live), now)
        reference = LaunchTemplateRef(
            template_id="lt-1", version=written.version, data_hash=str(number)
        )
        plan = plan.model_copy(update={"launch_template": reference, **written.notes})
        assert {1, written.version - 1, written.version} <= ec2.versions
        assert (300 in ec2.versions) == (number < 8)
        live = frozenset({300}) if number < 7 else frozenset()
    assert ec2.versions == {1, plan.launch_template.version - 1, plan.launch_template.version}  # type: ignore[union-attr]


def test_a_new_template_forgets_the_numbers_of_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its versions count from 1 again: none of them counts as deleted."""
    monkeypatch.setattr(template_versions, "write_template", lambda *_arguments: ("lt-2", 1))
    plan = _plan(9, deleted_to=7, superseded=(8,))
    written = write_version("stack", plan, {}, lambda _workload: frozenset(), NOW)
    assert plan.model_copy(update=dict(written.notes)).versions_deleted_to == 0
    assert written.notes["superseded_versions"] == ()


def test_young_versions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An execution that has not claimed its workload yet may still name one."""
    ec2 = _Ec2({1, 2})
    monkeypatch.setattr("spot_optimizer.aws.launch_templates.client", lambda _service: ec2)
    plan = _plan(2)
    for number in range(4):
        now = NOW + number * UNCLAIMED_MAX / 3
        written = write_version("stack", plan, {}, lambda _workload: frozenset(), now)
        reference = LaunchTemplateRef(
            template_id="lt-1", version=written.version, data_hash=str(number)
        )
        plan = plan.model_copy(update={"launch_template": reference, **written.notes})
    assert ec2.versions == {1, 3, 4, 5, 6}
