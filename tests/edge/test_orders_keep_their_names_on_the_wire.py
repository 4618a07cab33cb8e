"""Inputs of the state machines have exactly the fields of version 0.1.0, whatever the code calls them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from spot_optimizer.contracts.steps import FoundLoadBalancing, HandOverProgress
from spot_optimizer.contracts.switch import ResumeOrder, SwitchOrder

STANDING = {
    "instance_id": "i-0123456789abcdef0",
    "addresses": ["10.0.0.1"],
    "registrations": [],
    "allocation_ids": ["eipalloc-1"],
}
ORDER: dict[str, Any] = {
    "schema_version": 1,
    "switch_id": "web-1",
    "workload_id": "web",
    "decision_id": "web-1",
    "decided_at": "2026-03-02T12:00:00Z",
    "kind": "EVACUATE",
    "row": 6,
    "reason": "EC2 will terminate it",
    "original": {
        "instance_id": "i-0123456789abcdef0",
        "instance_type": "m5.large",
        "availability_zone": "us-east-1a",
        "lifecycle": "spot",
        "price_usd_per_hour": 0.06,
        "persistent_spot_request_id": None,
    },
    "candidates": [
        {
            "instance_type": "m5.large",
            "availability_zone": "us-east-1b",
            "lifecycle": "spot",
            "subnet_id": "subnet-1",
            "price_usd_per_hour": None,
        }
    ],
    "launch_template": {
        "template_id": "lt-1",
        "version": 2,
        "data_hash": "hash",
        "machine": "digest",
        "cpu_credits": None,
        "shutdown_behavior": "stop",
        "capacity_reservation_preference": None,
    },
    "home_type_after": "m5.large",
    "auto_terminate": False,
    "guard": {
        "cooldown_minutes": 10.0,
        "breaker_failures": 3,
        "backoff_minutes": 15.0,
        "backoff_minutes_max": 60.0,
    },
    "asked_by": "",
    "original_ends_at": "2026-03-02T12:02:00Z",
    "original_looks": 20,
    "standing_traffic": STANDING,
    "goes_on_with": "web-0",
}
RESUMPTION: dict[str, Any] = {
    "schema_version": 1,
    "resume": 1,
    "switch_id": "web-1",
    "workload_id": "web",
    "claim": {"token": "7"},
    "original": {"instance_id": "i-0123456789abcdef0"},
    "replacement": {"instance_id": "i-0123456789abcdef1"},
    "hand_over": {"traffic": None},
    "standing_traffic": STANDING,
    "failure": {"Error": "LeftUnfinished", "Cause": "its execution has ended"},
}


@pytest.mark.parametrize(("contract", "payload"), [(SwitchOrder, ORDER), (ResumeOrder, RESUMPTION)])
def test_an_order_is_written_as_version_0_1_0_reads_it(
    contract: type[SwitchOrder] | type[ResumeOrder], payload: dict[str, Any]
) -> None:
    """Read and written again it is the same, field by field: an older step forbids unknown fields."""
    assert contract.model_validate(payload).model_dump(mode="json") == payload


def test_the_code_reads_an_order_by_the_words_of_the_project() -> None:
    """The attributes say what the old names left open."""
    order = SwitchOrder.model_validate(ORDER)
    assert order.continues_switch_id == "web-0"
    assert order.original.spot_usd_per_hour == 0.06
    assert order.candidates[0].forecast_usd_per_hour is None
    assert order.launch_template.instance_digest == "digest"


def test_the_progress_of_a_hand_over_has_the_names_that_the_state_machines_select() -> None:
    """ResultSelector takes ``traffic``, ``moved`` and ``left_alone`` from the answer."""
    progress = HandOverProgress(
        done=True,
        load_balancing=FoundLoadBalancing(
            groups=(),
            original_addresses=("10.0.0.1",),
            replacement_addresses=("10.0.0.2",),
            found_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
        ),
        handed_over=("eipalloc-1",),
        not_handed_over=("eipalloc-2 is with i-2",),
    )
    written = progress.model_dump(mode="json")
    assert set(written) == {"done", "wait_s", "traffic", "moved", "left_alone"}
    assert (written["moved"], written["left_alone"]) == (["eipalloc-1"], ["eipalloc-2 is with i-2"])
