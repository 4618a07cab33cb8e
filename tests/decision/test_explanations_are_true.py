"""What an explanation says would have changed the decision does change it, and nothing less does."""

import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from operator import eq, ge, le

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.explaining.explanation import Explanation, NotDecided, explain
from spot_optimizer.decision.explaining.rivals import Counterfactual, no_longer, would_take
from spot_optimizer.decision.explaining.tried_settings import setting_steps
from spot_optimizer.decision.explaining.what_if import Verdict, first_change, last_that_holds
from spot_optimizer.decision.kept_inputs import SettingLayers, parameters_of
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.decision.world import (
    Force,
    StackState,
    WorkloadView,
    World,
)
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.explained import case_of, explained, judged_by, kept
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    NOW,
    ZONES,
    Facts,
    market,
    over_provisioned,
    under_provisioned,
    workload,
)

THERE, OTHER = Pool("m5a.xlarge", ZONES[1]), Pool("m5.2xlarge", ZONES[2])
PLACES = [
    HERE,
    THERE,
    OTHER,
    Pool("m5.xlarge", ZONES[1]),
    Pool("m5.large", ZONES[0]),
    Pool("r5.large", ZONES[1]),
]
TICKS = st.integers(150, 1100).map(lambda tick: tick / 10_000)
FACTS = st.fixed_dictionaries(
    {
        "price": TICKS,
        "advisor_bucket": st.sampled_from([0, 0, 2, 4]),
        "rise_volatility_24h": st.sampled_from([0.0, 0.0, 0.0, 0.2]),
        "instability": st.sampled_from([0.1, 0.5, 0.9]),
    }
)
MARKETS = st.fixed_dictionaries(
    {HERE: FACTS}, optional={pool: FACTS for pool in PLACES if pool != HERE}
)
VIEWS = st.builds(
    lambda lifecycle, usage, engine: judged_by(workload(lifecycle=lifecycle, usage=usage), engine),
    st.sampled_from([Lifecycle.SPOT, Lifecycle.SPOT, Lifecycle.ON_DEMAND]),
    st.sampled_from([None, over_provisioned(), under_provisioned()]),
    st.sampled_from(sorted(BUILT_IN)),
)
PRICE_OF = re.compile(r"^forecast price (?:here, |of )(?P<type>\S+)/(?P<zone>\S+)$")


def _only(explanation: Explanation, what: str) -> list[Counterfactual]:
    """Those with one change whose text begins so."""
    return [
        each
        for each in explanation.would_have_changed
        if len(each.changes) == 1 and each.changes[0].what.startswith(what)
    ]


@settings(max_examples=12, deadline=None, print_blob=True)
@given(MARKETS, VIEWS)
def test_named_change_makes_a_difference_and_prices_are_exact_to_the_tick(
    pools: dict[Pool, dict[str, float]], view: WorkloadView
) -> None:
    """At the named price the decision is the named one; one tick nearer to the real price it is not
    yet. No named change leads to the decision that was made."""
    explanation, case = explained(view, pools), case_of(view, pools)
    actual = case.verdict()
    assert explanation.verdict == actual
    assert all(each.then != actual and each.changes for each in explanation.would_have_changed)
    for each in _only(explanation, "forecast price"):
        change = each.changes[0]
        place = PRICE_OF.match(change.what)
        assert place is not None
        row = case.table.market.index_of(Pool(place["type"], place["zone"]))
        assert row is not None
        ticks = round(float(change.needed.split()[0]) * 10_000)
        nearer = ticks + 1 if change.needed.endswith("less") else ticks - 1
        assert case.with_price(row, ticks).verdict() == each.then != actual
        assert case.with_price(row, nearer).verdict() != each.then


@pytest.mark.parametrize("engine", sorted(BUILT_IN))
def test_no_price_between_would_have_done(engine: str) -> None:
    """Tick by tick: of all prices below the real one the highest that wins is the one that is named."""
    pools = {HERE: 0.0400, THERE: 0.0398, OTHER: 0.0450}
    view = judged_by(workload(), engine)
    explanation, case = explained(view, pools), case_of(view, pools)
    rivals = {each.changes[0].what: each for each in _only(explanation, "forecast price of")}
    for pool in (THERE, OTHER):
        row = case.table.market.index_of(pool)
        assert row is not None
        now = round(case.table.market.forecast_mean[row] * 10_000)
        winning = [tick for tick in range(1, now) if case.with_price(row, tick).takes(row)]
        each = rivals[f"forecast price of {pool}"]
        assert each.changes[0].needed == f"{max(winning) / 10_000:.4f} or less"
        assert winning == list(range(1, max(winning) + 1))


@settings(max_examples=4, deadline=None, print_blob=True)
@given(MARKETS, VIEWS)
def test_a_named_threshold_is_the_nearest_on_its_grid(
    pools: dict[Pool, dict[str, float]], view: WorkloadView
) -> None:
    """Every value between the current one and the named one leads to the same decision as before."""
    explanation, case = explained(view, pools), case_of(view, pools)
    actual = case.verdict()
    for name in ("switch_gain_points", "discount_baseline_points", "switch_gain_risk"):
        step, first, last = setting_steps(name)
        value = getattr(view.settings, name)
        expected = set()
        for grid in (range(first, last + 1), range(last, first - 1, -1)):
            ahead = [k * step for k in grid if (k * step < value) == (grid.step < 0)]
            changing = (
                v for v in ahead if abs(v - value) > 1e-9 and _with(case, name, v) != actual
            )
            found = next(changing, None)
            if found is not None:
                expected.add(f"{round(found, 6):g}")
        assert {each.changes[0].needed for each in _only(explanation, name)} == expected


def _with(case: object, name: str, value: float) -> Verdict | None:
    changed = case.with_setting(name, round(value, 6))  # type: ignore[attr-defined]
    return None if changed is None else changed.verdict()


def test_an_issue_sized_example_reads_as_promised() -> None:
    """A pool two points cheaper where three are asked for: the price, the threshold, the zone."""
    pools = {HERE: 0.040, THERE: 0.038, Pool("m5.xlarge", "us-east-1f"): 0.020}
    explanation = explained(workload(), pools)
    lines = {
        (c.changes[0].what, c.changes[0].needed): str(c.then)
        for c in explanation.would_have_changed
    }
    assert (
        lines["forecast price of m5a.xlarge/us-east-1b", "0.0370 or less"]
        == f"SWITCH to {THERE} spot"
    )
    assert lines["forecast price here, m5.xlarge/us-east-1a", "0.0410 or more"]
    assert lines["switch_gain_points", "2"] == f"SWITCH to {THERE} spot"
    assert lines["zones to launch in", "also us-east-1f"] == "SWITCH to m5.xlarge/us-east-1f spot"


CURES: dict[str, tuple[dict[str, float], str, str]] = {
    "volatile": ({"rise_volatility_24h": 0.19}, "24 h volatility of rises", "0.150 or less"),
    "unstable": ({"instability": 0.9}, "instability", "below 0.85"),
    "often interrupted": ({"advisor_bucket": 4}, "Spot Advisor's bucket", "15-20 % or better"),
    "without history": ({"rise_volatility_24h": float("nan")}, "price history", "a calm day"),
}


@pytest.mark.parametrize("name", CURES)
def test_an_obstacle_of_a_pool_is_named_with_its_cure(name: str) -> None:
    """A workload must leave and no pool is safe: the explanation names what the only other pool lacks."""
    facts, what, needed = CURES[name]
    pools: Facts = {HERE: {"price": 0.05, "forecast_p95": 0.2}, THERE: {"price": 0.04} | facts}
    explanation = explained(workload(), pools)
    (cure,) = _only(explanation, f"{what} of {THERE}")
    assert explanation.verdict == Verdict(DecisionKind.STAY, pending=True)
    assert cure.changes[0].needed == needed
    assert str(cure.then) == f"SWITCH to {THERE} spot"


def test_a_pool_that_lacks_two_things_is_explained_by_both() -> None:
    """Neither alone would do: calmer, and cheaper."""
    pools: Facts = {HERE: 0.040, THERE: {"price": 0.039, "rise_volatility_24h": 0.3}}
    explanation = explained(workload(), pools)
    (both,) = [each for each in explanation.would_have_changed if len(each.changes) == 2]
    assert [change.needed for change in both.changes] == ["0.150 or less", "0.0370 or less"]


def test_signals_refusals_and_confirmation_are_cured() -> None:
    """An obstacle that ends with time is described as one."""
    signalled = workload(signals={HERE: NOW - timedelta(hours=1), THERE: NOW - timedelta(hours=1)})
    explanation = explained(signalled, {HERE: 0.040, THERE: 0.030})
    assert [str(e.then) for e in _only(explanation, f"EC2's signals of {THERE}")] == [
        f"SWITCH to {THERE} spot"
    ]
    # Without the flag the pool is acceptable, and the other still signalled.
    assert [str(e.then) for e in _only(explanation, f"EC2's signals in {HERE}")] == ["STAY"]

    refused = tuple(PoolEvent(THERE, NOW) for _ in range(3))
    explanation = explained(workload(), {HERE: 0.040, THERE: 0.030}, refusals=refused)
    assert _only(explanation, f"refused launches of {THERE}")

    young: Facts = {HERE: 0.040, THERE: {"price": 0.030, "history_s": 60.0}}
    explanation = explained(workload(lifecycle=Lifecycle.ON_DEMAND), young)
    assert [e.changes[0].needed for e in _only(explanation, f"safe of {THERE}")] == [
        "for 30 minutes"
    ]


def test_a_pool_that_no_price_would_bring_in_is_left_out() -> None:
    """More risk is more risk at any price: row 4 takes none of it."""
    pools: Facts = {HERE: 0.040, THERE: {"price": 0.039, "advisor_bucket": 3}}
    assert not _only(explained(workload(), pools), f"forecast price of {THERE}")
    cheapest: Facts = {HERE: 0.040, THERE: {"price": 0.0001, "advisor_bucket": 3}}
    assert not _only(explained(workload(), cheapest), f"forecast price of {THERE}")


def test_flags_types_and_engines_are_tried() -> None:
    """A fallback that is switched off, a narrow tag, an engine that would have moved."""
    off = workload(
        settings=replace(ACTING, fallback_to_on_demand=False),
        type_globs=("m5.*",),
        fallback_pending_since=NOW - timedelta(minutes=5),
    )
    explanation = explained(off, {HERE: {"price": 0.05, "forecast_p95": 0.2}, THERE: 0.04})
    assert [str(e.then) for e in _only(explanation, "fallback_to_on_demand")] == [
        "FALLBACK to m5.xlarge/us-east-1a on-demand"
    ]
    assert [str(e.then) for e in _only(explanation, "types")] == [f"SWITCH to {THERE} spot"]
    explanation = explained(workload(), {HERE: 0.040, THERE: {"price": 0.030, "advisor_bucket": 2}})
    assert {e.changes[0].needed for e in _only(explanation, "engine")} == {
        "expected_cost",
        "layered",
    }


def test_values_that_others_forbid_are_passed_over() -> None:
    """under_fraction may not reach over_cpu_fraction: every named value is possible."""
    case = case_of(workload(), {HERE: 0.040})
    assert case.with_setting("under_fraction", 0.1) is None
    assert case.with_setting("under_fraction", 0.5) is not None


def test_rejections_are_grouped_and_counted_like_the_record() -> None:
    """What got furthest first, the cheapest of a group first, what could never host it last."""
    pools: Facts = {
        HERE: 0.040,
        THERE: 0.039,
        Pool("m5.xlarge", ZONES[1]): 0.0385,
        OTHER: {"price": 0.02, "advisor_bucket": 4},
        Pool("m6g.xlarge", ZONES[0]): 0.01,
        Pool("m5.large", ZONES[0]): {"price": float("nan")},
    }
    explanation = explained(workload(), pools)
    assert [(g.reason, g.count, g.usable) for g in explanation.groups] == [
        ("gain too small", 2, True),
        ("advisor > 20 %", 1, True),
        ("does not fit the home type", 1, False),
        ("no price", 1, False),
    ]
    assert {g.reason: g.count for g in explanation.groups} == {
        reason: n
        for reason, n in explanation.decision.rejected_counts.items()
        if reason != "the current pool"
    }
    assert [str(facts.pool) for facts in explanation.groups[0].pools] == [
        "m5.xlarge/us-east-1b",
        "m5a.xlarge/us-east-1b",
    ]
    # The current pool counts as usable: it is where it is.
    assert (explanation.pools, explanation.usable) == (6, 4)
    assert explanation.here is not None
    assert explanation.here.forecast_usd_per_hour == 0.040


def test_the_best_and_the_next_best_are_named() -> None:
    """Targets in rank order with their figures, then what was not let in."""
    pools = {HERE: 0.06, THERE: 0.030, Pool("m5.xlarge", ZONES[1]): 0.031}
    explanation = explained(workload(), pools)
    assert [(str(f.pool), f.fate) for f in explanation.rivals] == [
        (str(THERE), "the best"),
        ("m5.xlarge/us-east-1b", "next best"),
    ]
    assert explanation.verdict.pool == THERE
    assert _only(explanation, f"forecast price of {THERE}")[0].changes[0].needed == "0.0310 or more"


def test_every_guard_is_named_not_only_the_first() -> None:
    """Dry run and cooldown and manual mode: lifting one would not have been enough."""
    view = workload(
        settings=replace(ACTING, dry_run=True), cooldown_until=NOW + timedelta(minutes=5)
    )
    explanation = explained(view, {HERE: 0.06, THERE: 0.03}, stack=StackState(global_stop=True))
    assert [text.split(":")[0] for text in explanation.guards][:2] == ["global stop", "dry run"]
    assert any("cooldown" in text for text in explanation.guards)
    assert explanation.decision.held_by == explanation.guards[0]


def test_a_limit_that_switches_share_is_named_as_a_guard() -> None:
    """Switches in flight stand beside the workload's own guards."""
    full = StackState(switches_in_flight=10)
    explanation = explained(workload(), {HERE: 0.06, THERE: 0.03}, stack=full)
    assert explanation.guards == (explanation.decision.held_by,)
    assert "in flight" in explanation.decision.held_by


def test_a_target_that_a_user_named_has_no_alternatives() -> None:
    """The user has the last word; without a target the engine has."""
    for pool, tried in ((THERE, False), (None, True)):
        explanation = explained(
            workload(), {HERE: 0.04, THERE: 0.039}, force={"web-1": Force("ann", pool)}
        )
        assert bool(explanation.would_have_changed) == tried


def test_a_workload_that_cannot_be_judged_has_its_reason() -> None:
    """No market, no price of the current pool: the record says so, and nothing is invented."""
    view = workload()
    inputs = kept(World((view,), None, CATALOG), SettingLayers({"dry_run": False}))
    explanation = explain(inputs, None, CATALOG, "web-1", BUILT_IN)
    assert (explanation.decision.reason, explanation.pools, explanation.rivals) == (
        "there is no market data",
        0,
        (),
    )
    explanation = explained(view, {THERE: 0.03})
    assert "no price of the current pool" in explanation.decision.reason
    assert explanation.here is None
    explanation = explained(view, {HERE: {"price": 2.0}, THERE: 0.03})
    assert "implausible" in explanation.decision.reason
    assert explanation.here is not None


def test_a_workload_that_was_not_judged_is_named_with_those_that_were() -> None:
    """Another's name is no reason for a guess."""
    snapshot = market({HERE: 0.04})
    inputs = kept(World((workload(),), snapshot, CATALOG), SettingLayers())
    with pytest.raises(NotDecided, match="'other' was not judged then; judged were web-1"):
        explain(inputs, snapshot, CATALOG, "other", BUILT_IN)


def test_a_setting_is_named_with_its_source() -> None:
    """The last of default, parameter, command for the stack, tag, command for the workload."""
    layers = SettingLayers(
        parameters={"cooldown_minutes": 12.0, "switch_gain_points": 4.0},
        stack={"switch_gain_points": 5.0, "switch_gain_risk": 0.1},
        tags={"web-1": {"switch_gain_risk": "0.2", "engine": "layered"}},
        workloads={"web-1": {"engine": "risk_score"}},
    )
    view = workload(settings=layers.settings_of("web-1"))
    snapshot = market({HERE: 0.04})
    explanation = explain(
        kept(World((view,), snapshot, CATALOG), layers), snapshot, CATALOG, "web-1", BUILT_IN
    )
    found = {used.name: (used.value, used.source) for used in explanation.settings}
    assert found["cooldown_minutes"] == (12.0, "parameter CooldownMinutes")
    assert found["switch_gain_points"] == (5.0, "command for the stack")
    assert found["switch_gain_risk"] == (0.2, "tag spot-optimizer:switch-gain-risk")
    assert found["engine"] == ("risk_score", "command for the workload")
    assert found["instability_max"] == (0.85, "parameter InstabilityMax (default)")


@given(st.integers(-50, 50), st.integers(0, 100))
def test_bisection_finds_the_last_that_holds(low: int, width: int) -> None:
    """For every border between holds and does not."""
    high = low + width
    for border in range(low - 1, high + 1):
        found = last_that_holds(low, high, partial(ge, border))
        assert found == (None if border < low else border)


@pytest.mark.parametrize("length", [0, 1, 5, 64, 65, 300, 1000])
def test_the_first_change_is_found_wherever_it_lies(length: int) -> None:
    """One that lasts is found to the point, near or far; none is none."""
    points = [float(n) for n in range(length)]
    assert first_change(points, lambda _: False) is None
    for at in points[:70] + points[-3:]:
        assert first_change(points, partial(le, at)) == at
    for at in points[:60]:  # near by even one that does not last
        assert first_change(points, partial(eq, at)) == at


def test_parameters_are_what_differs_from_the_defaults() -> None:
    """Only that is kept."""
    assert parameters_of(replace(ACTING, switch_gain_points=4)) == {
        "engine": "forecast",
        "dry_run": False,
        "switch_gain_points": 4,
    }


def test_a_smaller_type_that_was_not_selected_has_its_own_reason() -> None:
    """A workload that is too large for its use: of the smaller pool the gain counts, not its size."""
    small = Pool("m5.large", ZONES[1])
    explanation = explained(workload(usage=over_provisioned()), {HERE: 0.030, small: 0.029})
    assert [(g.reason, g.count, g.usable) for g in explanation.groups] == [
        ("gain too small", 1, True)
    ]
    (price,) = _only(explanation, f"forecast price of {small}")
    assert (price.changes[0].needed, str(price.then)) == (
        "0.0270 or less",
        f"SWITCH to {small} spot",
    )


def test_a_verdict_reads_as_a_sentence_of_people() -> None:
    """What is done, where to, and what would be done next."""
    assert str(Verdict(DecisionKind.STAY)) == "STAY"
    pending = Verdict(DecisionKind.STAY, pending=True)
    assert str(pending) == "STAY, then FALLBACK if the next cycle comes to the same result"


def test_a_pool_that_no_change_lets_in_has_no_explanation() -> None:
    """An engine that cannot be asked takes none; of a pool that was not chosen nothing can be lost."""
    unknown = case_of(judged_by(workload(), "thrifty"), {HERE: 0.04, THERE: 0.03})
    assert would_take(unknown, 1) is None
    case = case_of(workload(), {HERE: 0.040, THERE: 0.039})
    assert no_longer(case, 1) is None
