"""Items of the ledger: new names in the code, the names of version 0.1.0 in the table."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from spot_optimizer.aws.ledger.items import (
    FailoverTerms,
    Item,
    PlanItem,
    StackItem,
    SwitchItem,
    WorkloadItem,
    ZoneSubnet,
)
from spot_optimizer.vocabulary import Placement

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TERMS = {
    "mode": "auto",
    "dry_run": False,
    "fallback_to_on_demand": True,
    "guard": {
        "cooldown_minutes": 10,
        "breaker_failures": 3,
        "backoff_minutes": 15,
        "backoff_minutes_max": 360,
    },
    "advisor_bucket": 1,
    "on_demand": ["us-east-1a/subnet-1", "us-east-1b/subnet-2"],
}
PLAN = {
    "workload_id": "web",
    "pools": ["m5.large/us-east-1a/subnet-1", "m5.large/us-east-1a/subnet-3"],
    "terms": TERMS,
}


def test_a_plan_of_the_old_version_is_read_as_placements() -> None:
    """Text of type, zone and subnet is structured as it is read."""
    plan = PlanItem.read(PLAN)
    assert plan.placements == (
        Placement("m5.large", "us-east-1a", "subnet-1"),
        Placement("m5.large", "us-east-1a", "subnet-3"),
    )
    assert plan.terms is not None
    assert plan.terms.on_demand_subnets == (
        ZoneSubnet("us-east-1a", "subnet-1"),
        ZoneSubnet("us-east-1b", "subnet-2"),
    )


def test_a_plan_is_written_as_the_old_version_reads_it() -> None:
    """What was read from the old form gives the old form again."""
    written = PlanItem.read(PLAN).model_dump(mode="json")
    assert {name: written[name] for name in PLAN} == PLAN


def test_a_plan_is_read_by_its_new_names_too() -> None:
    """A later version may write them while this one still runs."""
    placements = [Placement("m5.large", "us-east-1a", "subnet-1")]
    plan = PlanItem.read({"workload_id": "web", "placements": placements})
    assert plan.placements == tuple(placements)


@pytest.mark.parametrize("text", ["m5.large/us-east-1a", "m5.large/us-east-1a/subnet-1/more"])
def test_a_placement_of_other_parts_is_damaged(text: str) -> None:
    """A plan that cannot be launched from is reported when it is read, not in a failover."""
    with pytest.raises(ValidationError):
        PlanItem.read({**PLAN, "pools": [text]})


@pytest.mark.parametrize(
    ("kind", "name", "stored"),
    [
        (WorkloadItem, "past_switches", "moves"),
        (WorkloadItem, "template_doubted_at", "doubted_at"),
        (WorkloadItem, "reported_interruption", "interruption_told"),
        (WorkloadItem, "failures", "failures"),
        (PlanItem, "placements", "pools"),
        (PlanItem, "load_balancing", "traffic"),
        (FailoverTerms, "on_demand_subnets", "on_demand"),
        (StackItem, "load_balancing_read_at", "traffic_read_at"),
        (StackItem, "instances_looked_at", "machines_looked_at"),
        (SwitchItem, "handed_over", "moved"),
        (SwitchItem, "not_handed_over", "left_alone"),
    ],
)
def test_an_update_uses_the_stored_name(kind: type[Item], name: str, stored: str) -> None:
    """A single attribute is updated under the name that a whole item is written with."""
    assert kind.stored({name: NOW}) == {stored: NOW}


def test_an_update_of_an_unknown_attribute_is_refused() -> None:
    """A second spelling in an update would be an attribute that nobody reads."""
    with pytest.raises(KeyError):
        WorkloadItem.stored({"moves": ()})


@pytest.mark.parametrize("name", ["moves", "past_switches"])
def test_a_workload_is_read_by_either_name(name: str) -> None:
    """During a gradual deployment both versions of the code write the item."""
    row: dict[str, Any] = {"at": NOW.isoformat(), "lifecycle": "spot", "planned": True}
    item = WorkloadItem.read({"workload_id": "web", "instance_id": "i-1", name: [row]})
    assert item.past_switches[0].at == NOW
