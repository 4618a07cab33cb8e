"""Each guard holds what it must, says until when, and lets everything else through."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import (
    Force,
    StackState,
    WorkloadView,
    World,
)
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Mode,
    Pool,
)
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    HOME,
    NOW,
    REGION,
    market,
    workload,
)

THERE = Pool("m5.xlarge", "us-east-1b")
SOON = NOW + timedelta(minutes=7)
MARKET = market({HERE: 0.09, THERE: 0.03})
FORCED = {"web-1": Force(asked_by="ann")}


def _decide(
    *views: WorkloadView, stack: StackState | None = None, force: dict[str, Force] | None = None
) -> list[Decision]:
    world = World(views, MARKET, CATALOG, stack or StackState(), force or {})
    return decide(world, NOW, region=REGION)


VIEW_GUARDS: dict[str, dict[str, Any]] = {
    "dry run": {"settings": replace(ACTING, dry_run=True)},
    "the workload's breaker": {"breaker_open": True},
    "switch s-17": {"live_switch_id": "s-17"},
    "manual mode: recorded only": {"mode": Mode.MANUAL},
    "cooldown after the last switch until 2025-06-03T15:07:00Z": {"cooldown_until": SOON},
    "back-off after a refused or failed launch until 2025-06-03T15:07:00Z": {"backoff_until": SOON},
}
STACK_GUARDS = {
    "global stop": StackState(global_stop=True),
    "the stack's breaker": StackState(breaker_open=True),
    "at most 10 switches in flight": StackState(switches_in_flight=10),
}
SKIPPED_BY_FORCE = ("manual mode", "cooldown", "back-off")


def test_a_switch_that_nothing_holds_is_free() -> None:
    """No guard, no hold."""
    (decision,) = _decide(workload(), stack=StackState(switches_in_flight=9))
    assert decision.kind is DecisionKind.SWITCH
    assert decision.held_by == ""


@pytest.mark.parametrize("text", VIEW_GUARDS)
def test_a_guard_of_the_workload_holds_and_says_why(text: str) -> None:
    """The decision is made all the same, its hold names the guard and when it ends."""
    (decision,) = _decide(workload(**VIEW_GUARDS[text]))
    assert decision.kind is DecisionKind.SWITCH
    assert decision.held_by.startswith(text)


@pytest.mark.parametrize("text", VIEW_GUARDS)
def test_a_forced_decision_skips_mode_cooldown_and_back_off_only(text: str) -> None:
    """Dry run, breakers and a live switch hold even what a user forces."""
    (decision,) = _decide(workload(**VIEW_GUARDS[text]), force=FORCED)
    assert (decision.held_by == "") == text.startswith(SKIPPED_BY_FORCE)
    assert decision.forced_by == "ann"


@pytest.mark.parametrize("text", STACK_GUARDS)
@pytest.mark.parametrize("force", [{}, FORCED])
def test_a_guard_of_the_stack_holds_even_what_is_forced(text: str, force: dict[str, Force]) -> None:
    """Global stop, the stack's breaker and the switches in flight."""
    (decision,) = _decide(workload(), stack=STACK_GUARDS[text], force=force)
    assert decision.held_by.startswith(text)


@pytest.mark.parametrize("end", [NOW, NOW - timedelta(seconds=1)])
def test_a_wait_that_is_over_holds_nothing(end: object) -> None:
    """A cooldown ends at its time, not after it."""
    (decision,) = _decide(workload(cooldown_until=end, backoff_until=end))
    assert decision.held_by == ""


def test_nothing_holds_a_stay() -> None:
    """A decision that moves nothing needs no guard."""
    (decision,) = _decide(
        workload(instance_type=HOME, availability_zone="us-east-1b", breaker_open=True)
    )
    assert decision.kind is DecisionKind.STAY
    assert decision.held_by == ""


def test_urgent_switches_go_first_and_then_the_greatest_saving() -> None:
    """With three places left: the urgent one, then the two that save most; held ones use none."""
    views = (
        workload(workload_id="small", instance_type="m5a.xlarge", availability_zone="us-east-1c"),
        workload(workload_id="tie-b"),
        workload(workload_id="tie-a"),
        workload(
            workload_id="urgent",
            instance_type="m5a.xlarge",
            availability_zone="us-east-1c",
            signals={Pool("m5a.xlarge", "us-east-1c"): NOW},
        ),
        workload(workload_id="cooling", cooldown_until=SOON),
        workload(workload_id="large", lifecycle=Lifecycle.ON_DEMAND),
    )
    # That they want the same pool is another guard's business.
    herd = replace(ACTING, moves_into_one_pool_fraction=1.0)
    herded = tuple(replace(view, settings=herd) for view in views)
    snapshot = market({HERE: 0.09, THERE: 0.03, Pool("m5a.xlarge", "us-east-1c"): 0.05})
    world = World(herded, snapshot, CATALOG, StackState(switches_in_flight=7))
    decisions = decide(world, NOW, region=REGION)
    assert [d.workload_id for d in decisions] == [v.workload_id for v in views]
    free = {d.workload_id for d in decisions if not d.held_by}
    assert free == {"urgent", "large", "tie-a"}


def test_a_held_fallback_stays_pending() -> None:
    """When the hold ends the fallback must not have to be found twice again."""
    view = workload(
        signals={HERE: NOW},
        type_globs=("c5.*",),
        fallback_pending_since=NOW - timedelta(minutes=5),
        cooldown_until=SOON,
    )
    (held,) = _decide(view)
    assert (held.kind, held.fallback_pending) == (DecisionKind.FALLBACK, True)
    (free,) = _decide(replace(view, cooldown_until=None))
    assert (free.kind, free.fallback_pending) == (DecisionKind.FALLBACK, False)


def test_a_damaged_record_holds_its_own_workload_only() -> None:
    """A cooldown without time zone cannot be compared: that workload is held, the other is free."""
    damaged = workload(workload_id="damaged", cooldown_until=NOW.replace(tzinfo=None))
    held, free = _decide(damaged, workload())
    assert "TypeError" in held.held_by
    assert free.held_by == ""


def test_an_urgent_switch_does_not_wait_for_the_backoff() -> None:
    """A pool that must be left is left, whatever capacity was refused before; the cooldown holds."""
    later = NOW + timedelta(hours=5)
    flagged = workload(signals={HERE: NOW - timedelta(minutes=5)}, backoff_until=later)
    (urgent,) = _decide(flagged)
    assert urgent.urgent
    assert urgent.held_by == ""
    (planned,) = _decide(workload(backoff_until=later))
    assert planned.held_by.startswith("back-off")
