"""A switch without trouble launches first, verifies the replacement, and terminates the original last."""

from base64 import b64encode

import pytest

from simulator.deployed import PRICE_USD_PER_HOUR
from tests.workflow.scenarios_without_trouble import (
    SECRET,
    clean_switch,
    switch_from_a_persistent_request,
    switch_that_leaves_the_original,
)
from tests.workflow.story import TOUCHING, Story, StoryOf


@pytest.fixture
def story(story_of: StoryOf) -> Story:
    """The clean switch."""
    return story_of(clean_switch)


def test_effects_come_in_order(story: Story) -> None:
    """Launch, register, move the address, commit, deregister, terminate: each once."""
    effects = [
        call.operation
        for call in story.api
        if call.operation in TOUCHING or call.params.get("TransactItems")
    ]
    assert effects == [
        "TransactWriteItems",
        "RunInstances",
        "RegisterTargets",
        "AssociateAddress",
        "TransactWriteItems",
        "DeregisterTargets",
        "TerminateInstances",
        "TransactWriteItems",
    ]


def test_original_is_untouched_until_the_commit(story: Story) -> None:
    """Before the commit no call that changes anything names the original."""
    commits = [i for i, call in enumerate(story.api) if "COMMITTED" in str(call.params)]
    before = [c for c in story.api[: commits[0]] if c.operation in TOUCHING]
    assert before
    assert not [c for c in before if story.seen["original"] in str(c.params)]


def test_address_moves_only_to_a_healthy_target(story: Story) -> None:
    """When the address moves, original and replacement are both healthy in the target group."""
    original, replacement = story.seen["original"], story.seen["replacement"]
    assert story.seen["targets_at_move"] == {original: "healthy", replacement: "healthy"}
    assert story.seen["address_holder"] == replacement


def test_original_is_terminated_only_when_its_connections_are_drained(story: Story) -> None:
    """By then it is no target of the group any more."""
    assert story.seen["targets_at_end"] == {story.seen["replacement"]: "healthy"}
    assert story.alive == {story.seen["replacement"]}


def test_replacement_equals_the_original(story: Story) -> None:
    """Tags, image, key, profile, groups, metadata options, user data and volumes are reproduced."""
    assert story.seen["after"] == story.seen["before"]


def test_clean_switch_makes_few_calls(story: Story) -> None:
    """One switch with target group and address makes at most 39 calls to EC2 and ELB."""
    decide = ("Decide", "RefreshMarket", "Command")
    calls = [
        c for c in story.api if c.service in ("ec2", "elb", "elbv2") and c.caller not in decide
    ]
    assert len(calls) <= 39, sorted(f"{c.caller} {c.operation}" for c in calls)


def test_user_data_stays_in_ec2(story: Story) -> None:
    """User data is in no item, object, payload, execution history, log or event of the stack."""
    encoded = b64encode(SECRET.encode()).decode()
    assert story.seen["before"]["user data"] == encoded
    outside_ec2 = [call for call in story.api if call.service != "ec2"]
    for form in (SECRET, encoded):
        assert form not in str(story.items)
        assert form not in story.histories
        assert form not in str(story.trace)
        assert form not in str(outside_ec2)
        assert form.encode() not in b"".join(story.objects.values())


def test_workload_has_one_launch_template(story: Story) -> None:
    """The replacement was launched from its first version."""
    ((name, versions),) = story.seen["templates"]
    assert "web" in name
    assert versions == 1
    (run,) = story.calls_of("RunInstances")
    template = next(i for i in story.items if i["pk"] == "PLANS")["launch_template"]
    assert run.params["LaunchTemplate"]["LaunchTemplateId"] == template["template_id"]


def test_ledger_has_the_replacement_and_no_claim(story: Story) -> None:
    """The workload names its replacement, has a cooldown, and the pointers follow."""
    workload = story.workload()
    assert workload["instance_id"] == story.seen["replacement"]
    assert (workload["instance_type"], workload["home_type"]) == ("m5a.large", "m5.large")
    assert "claim_switch_id" not in workload
    assert "cooldown_until" in workload
    pointers = {i["pk"]: i["workload_id"] for i in story.items if i["sk"] == "POINTER"}
    assert pointers == {f"INSTANCE#{story.seen['replacement']}": "web"}


def test_record_has_the_result_of_the_switch(story: Story) -> None:
    """It has times, prices, saving, overlap and downtime; the end is announced."""
    switch, execution = story.switch(), story.execution()
    assert switch["phase"] == "DONE"
    assert switch["sk"] == f"SWITCH#{execution.name}"
    outcome = switch["outcome"]
    assert outcome["price_before_usd_per_hour"] == PRICE_USD_PER_HOUR
    assert outcome["downtime_s"] == 0
    assert 0 < outcome["overlap_s"] <= outcome["duration_s"]
    overlap_usd = PRICE_USD_PER_HOUR * outcome["overlap_s"] / 3600
    assert outcome["overlap_usd"] == pytest.approx(overlap_usd)
    assert execution.output == {"summary": outcome["summary"]}
    kinds = [e["DetailType"] for c in story.calls_of("PutEvents") for e in c.params["Entries"]]
    assert kinds.count("Spot Optimizer Switch") == 1


def test_original_is_left_running_without_auto_terminate(story_of: StoryOf) -> None:
    """auto-terminate = false: the original keeps running without our tag, and is no duplicate."""
    story = story_of(switch_that_leaves_the_original)
    assert story.execution().status == "SUCCEEDED"
    assert story.seen["original"] in story.alive
    assert "spot-optimizer:managed" not in story.seen["tags"]
    assert not story.calls_of("TerminateInstances")
    assert story.seen["next_cycle"]["refused"] == 0
    assert story.switch()["outcome"]["original_terminated"] is False


def test_persistent_request_is_cancelled_before_its_instance_is_terminated(
    story_of: StoryOf,
) -> None:
    """It launches no other instance in place of the original."""
    story = story_of(switch_from_a_persistent_request)
    order = [
        c.operation for c in story.calls_of("CancelSpotInstanceRequests", "TerminateInstances")
    ]
    assert order == ["CancelSpotInstanceRequests", "TerminateInstances"]
    assert story.alive == {story.seen["replacement"]}
