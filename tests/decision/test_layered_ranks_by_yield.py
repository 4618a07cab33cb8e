"""``layered``: yield on the total cost of ownership, behind its gates."""

from dataclasses import replace

import pytest

from spot_optimizer.decision.decision import Decision
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import ACTING, HERE, NOW, decide_one, target_of, workload

B, C = "us-east-1b", "us-east-1c"
LAYERED = replace(ACTING, engine="layered")
ONE, TWO = Pool("m5.xlarge", B), Pool("m5a.xlarge", C)


def _decide(pools: dict[Pool, object], **changes: object) -> Decision:
    return decide_one(workload(settings=LAYERED, **changes), pools)  # type: ignore[arg-type]


def test_the_yield_is_the_formula() -> None:
    """100 x (1 - tco / max_tco) x (1 - p): here 100 x .5 x .8 against 100 x .6 x .9."""
    decision = _decide(
        {HERE: {"price": 0.05, "instability": 0.2}, ONE: {"price": 0.04, "instability": 0.1}}
    )
    assert decision.candidates[0].score == pytest.approx(54.0)
    assert decision.current_score == pytest.approx(40.0)
    assert "m5.xlarge/us-east-1b yields 54.0 points against 40.0 here" in decision.reason


def test_instability_takes_from_the_yield() -> None:
    """The calmer of two pools wins although it costs more."""
    shaky, calm = {"price": 0.030, "instability": 0.8}, {"price": 0.035, "instability": 0.1}
    assert target_of(_decide({HERE: 0.09, ONE: shaky, TWO: calm})) == TWO


@pytest.mark.parametrize(
    ("facts", "let_in", "reason"),
    [
        ({"instability": 0.85}, True, ""),
        ({"instability": 0.86}, False, "instability"),
        ({"advisor_bucket": 3}, True, ""),
        ({"advisor_bucket": 4}, False, "advisor > 20 %"),
        ({"rise_volatility_24h": 3.0}, True, ""),
        ({"instability": float("nan")}, False, "no price history"),
    ],
)
def test_the_gates_are_the_advisor_and_the_probability(
    facts: dict[str, float], let_in: bool, reason: str
) -> None:
    """Above 0.85 is out, 0.85 is not; prices may swing."""
    decision = _decide({HERE: 0.09, ONE: {"price": 0.001, **facts}})
    assert (decision.kind is DecisionKind.SWITCH) == let_in
    if reason:
        assert decision.rejected_counts[reason] == 1


def test_idle_capacity_is_a_cost() -> None:
    """Of two pools at one price the smaller yields more: 4 of 8 vCPU idle are waste."""
    larger, same = Pool("m5.2xlarge", B), Pool("m5.xlarge", B)
    decision = _decide({HERE: 0.09, larger: 0.030, same: 0.030})
    scores = {c.instance_type: c.score for c in decision.candidates}
    assert scores == {"m5.xlarge": pytest.approx(63.0), "m5.2xlarge": pytest.approx(49.5)}


def test_waste_is_counted_from_what_is_used() -> None:
    """Usage known: half of the home type idles, on-demand as well as here."""
    usage = Usage(NOW, 2.0 / 1.2, 8.0 / 1.2, 10.0)
    decision = _decide({HERE: 0.05, Pool("m5.xlarge", B): 0.03}, usage=usage)
    assert decision.current_score == pytest.approx(100 * (1 - 0.05 / 0.1) * 0.9)
    only_cpu = replace(usage, memory_p95_gib=None)
    decision = _decide({HERE: 0.05, Pool("m5.2xlarge", B): 0.01}, usage=only_cpu)
    assert decision.candidates[0].score == pytest.approx(
        100 * (1 - 0.01 * (1 + (0.75 + 0.5) / 2) / (0.1 * 1.25)) * 0.9
    )


def test_oversized_types_are_allowed_when_cheaper() -> None:
    """Twice the size at half the price is taken; at the price of the current pool it is not."""
    larger = Pool("m5.2xlarge", B)
    assert target_of(_decide({HERE: 0.06, larger: 0.03})) == larger
    decision = _decide({HERE: {"price": 0.06, "instability": 0.8}, larger: 0.06})
    assert decision.rejected_counts["oversized and not cheaper"] == 1


def test_a_switch_gains_as_many_points_of_yield_as_the_setting_says() -> None:
    """2.9 points of yield stay, 3.0 move."""
    for price, kind in ((0.0468, DecisionKind.STAY), (0.0466, DecisionKind.SWITCH)):
        assert _decide({HERE: 0.05, ONE: price}).kind is kind


def test_a_pool_that_would_not_be_entered_is_left_at_a_small_premium() -> None:
    """10 % more, whatever the yield; beyond it stays."""
    here = {"price": 0.05, "advisor_bucket": 4}
    decision = _decide({HERE: here, ONE: 0.055})
    assert target_of(decision) == ONE
    assert "here, which is excluded" in decision.reason
    assert _decide({HERE: here, ONE: 0.0551}).kind is DecisionKind.STAY


def test_on_demand_yields_nothing() -> None:
    """So every pool that yields 3 points is worth the way back."""
    decision = _decide({ONE: 0.05}, lifecycle=Lifecycle.ON_DEMAND)
    assert decision.current_score == pytest.approx(0.0)
    assert decision.kind is DecisionKind.SWITCH


def test_a_current_type_that_the_catalogue_lost_is_left_by_signal_only() -> None:
    """Without its size there is no yield to compare with."""
    strange = Pool("z9.big", "us-east-1a")
    view = {"instance_type": "z9.big"}
    decision = _decide({strange: 0.05, ONE: 0.01}, **view)
    assert (decision.kind, decision.current_score) == (DecisionKind.STAY, None)
    flagged = _decide({strange: 0.05, ONE: 0.01}, **view, signals={strange: NOW})
    assert target_of(flagged) == ONE
