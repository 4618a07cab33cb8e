"""A refused launch decides which candidates are tried next."""

from collections.abc import Mapping
from typing import Any

from simulator.deployed import ZONES
from spot_optimizer.aws.ledger.keys import POOL_EVENTS
from tests.workflow.scenarios_of_refusals import (
    first_two_pools_are_full,
    first_zone_has_no_addresses,
    no_capacity_three_times,
    refusal_cannot_be_recorded,
    spot_requests_are_used_up,
)
from tests.workflow.story import Story, StoryOf


def _tried(story: Story) -> list[tuple[str, str, str]]:
    """Type, zone and lifecycle of each launch, in order."""
    candidates = story.execution().input["candidates"]
    subnets = {c["subnet_id"]: c["availability_zone"] for c in candidates}
    return [
        (
            call.params["InstanceType"],
            subnets[call.params["NetworkInterfaces"][0]["SubnetId"]],
            "spot" if "InstanceMarketOptions" in call.params else "on-demand",
        )
        for call in story.calls_of("RunInstances")
    ]


def _pool_events(story: Story) -> list[tuple[str, Mapping[str, Any]]]:
    """Kind and item of each event that later decisions read."""
    return [(i["sk"].partition("#")[0], i) for i in story.items if i["pk"] == POOL_EVENTS]


def test_full_pools_are_skipped_in_rank_order(story_of: StoryOf) -> None:
    """Two pools without capacity cost two attempts; the third candidate is launched."""
    story = story_of(first_two_pools_are_full)
    assert _tried(story) == [
        ("m5.large", ZONES[0], "spot"),
        ("m5a.large", ZONES[0], "spot"),
        ("m5.large", ZONES[1], "spot"),
    ]
    assert story.alive == {story.seen["replacement"]}
    assert [r["scope"] for r in story.switch()["refusals"]] == ["pool", "pool"]


def test_each_attempt_has_its_own_client_token(story_of: StoryOf) -> None:
    """The token of a refused attempt would repeat the refusal."""
    story = story_of(first_two_pools_are_full)
    tokens = [call.params["ClientToken"] for call in story.calls_of("RunInstances")]
    assert len(set(tokens)) == 3
    assert all(len(token) <= 64 for token in tokens)


def test_record_has_the_price_of_the_candidate_that_was_launched(story_of: StoryOf) -> None:
    """Saving and place on the record are those of the third candidate, not of the first."""
    outcome = story_of(first_two_pools_are_full).switch()["outcome"]
    assert outcome["price_after_usd_per_hour"] == 0.0270
    assert f"m5.large/{ZONES[1]} spot" in outcome["summary"]


def test_refusal_of_a_zone_skips_the_zone(story_of: StoryOf) -> None:
    """Without free addresses in the first zone, its second candidate is not tried."""
    story = story_of(first_zone_has_no_addresses)
    assert _tried(story) == [("m5.large", ZONES[0], "spot"), ("m5.large", ZONES[1], "spot")]
    assert [r["scope"] for r in story.switch()["refusals"]] == ["zone"]


def test_refusal_is_remembered_of_the_subnet_or_of_the_pool(story_of: StoryOf) -> None:
    """A subnet without addresses says nothing about the pool, and the other way round."""
    subnet = story_of(first_zone_has_no_addresses)
    ((kind, event),) = _pool_events(subnet)
    assert kind == "REFUSED_BY_SUBNET"
    assert event["subnet_id"] == subnet.execution().input["candidates"][0]["subnet_id"]
    pools = _pool_events(story_of(first_two_pools_are_full))
    assert [(kind, "subnet_id" in event) for kind, event in pools] == [("REFUSED", False)] * 2


def test_refusal_of_a_lifecycle_skips_the_lifecycle(story_of: StoryOf) -> None:
    """If the quota of spot requests is used up, the on-demand candidate is next."""
    story = story_of(spot_requests_are_used_up)
    assert _tried(story) == [("m5a.large", ZONES[1], "spot"), ("m5.large", ZONES[1], "on-demand")]
    assert story.execution().status == "SUCCEEDED"


def test_no_capacity_is_no_failure(story_of: StoryOf) -> None:
    """Three switches without capacity leave no failure, no open breaker, no alert."""
    workload = story_of(no_capacity_three_times).workload()
    assert workload["failures"] == 0
    assert "breaker_open_since" not in workload
    assert not story_of(no_capacity_three_times).alerts


def test_no_capacity_doubles_the_backoff(story_of: StoryOf) -> None:
    """The wait after refusals is 15, 30, 60 minutes."""
    assert story_of(no_capacity_three_times).seen["waits_minutes"] == [15, 30, 60]


def test_no_capacity_changes_nothing(story_of: StoryOf) -> None:
    """The original is the only instance, nothing but launches was tried, the claim is released."""
    story = story_of(no_capacity_three_times)
    assert story.alive == {story.seen["original"]}
    assert len(story.calls_of("RunInstances")) == 6
    assert not story.calls_of("TerminateInstances")
    assert "claim_switch_id" not in story.workload()
    assert "no replacement, 2 refused" in story.switch()["outcome"]["summary"]


def test_refusal_that_cannot_be_recorded_ends_the_switch(story_of: StoryOf) -> None:
    """Without a record of what was tried, nothing else is tried."""
    story = story_of(refusal_cannot_be_recorded)
    assert story.execution().states[-2:] == ("RecordFailure", "NotSwitched")
    assert len(story.calls_of("RunInstances")) == 1
    assert story.alive == {story.seen["original"]}
