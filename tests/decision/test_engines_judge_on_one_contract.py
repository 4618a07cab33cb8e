"""Every engine, ours or a user's, on one contract: what it is asked, what it may answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.contract import Engine
from spot_optimizer.decision.engines.expected_cost import EXPECTED_COST
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.engines.staged import StagedEngine
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.selection import Stage, spot_candidate
from spot_optimizer.decision.situation import Situation
from spot_optimizer.decision.world import (
    Force,
    WorkloadView,
    World,
)
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
    Rule,
)
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    HOME,
    NOW,
    REGION,
    ZONES,
    market,
    over_provisioned,
    target_of,
    under_provisioned,
    workload,
)

B, C = "us-east-1b", "us-east-1c"
THERE = Pool("m5a.xlarge", B)
CHEAPER = {HERE: 0.060, THERE: 0.030, Pool("m6g.xlarge", B): 0.010}
ENGINES = sorted(BUILT_IN)


def _by(engine: str, **changes: Any) -> WorkloadView:
    settings = replace(ACTING, engine=engine, **changes.pop("settings", {}))
    return workload(settings=settings, **changes)


def _decide(
    view: WorkloadView, pools: dict[Pool, Any], engines: dict[str, Any] | None = None, **world: Any
) -> Decision:
    made = World((view,), market(pools), CATALOG, **world)
    return decide(made, NOW, region=REGION, engines={**BUILT_IN, **(engines or {})})[0]


@dataclass(frozen=True)
class Own:
    """A user's engine that does what a test wants."""

    judge_by: Callable[[Situation], Any]
    name: str = "own"

    def judge(self, situation: Situation) -> Any:
        return self.judge_by(situation)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_fits_the_contract(engine: str) -> None:
    """Its name is the one by which it is selected."""
    assert isinstance(BUILT_IN[engine], Engine)
    assert BUILT_IN[engine].name == engine


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_switches_to_a_pool_at_half_the_price(engine: str) -> None:
    """The record says who judged, what its figures are, and why the others were left out."""
    decision = _decide(_by(engine), CHEAPER)
    assert (decision.kind, target_of(decision), decision.engine) == (
        DecisionKind.SWITCH,
        THERE,
        engine,
    )
    assert decision.reason
    assert decision.saving_forecast_usd_per_hour == pytest.approx(0.03)
    assert decision.rejected_counts["does not fit the home type"] == 1
    assert [c.instance_type for c in decision.failover_plan] == ["m5a.xlarge"]
    has_scores = engine != "forecast"
    assert (decision.score_meaning != "") == has_scores
    assert (decision.current_score is not None) == has_scores
    assert (decision.candidates[0].score is not None) == has_scores


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_stays_where_nothing_is_better(engine: str) -> None:
    """And says what the best of the others lacks."""
    decision = _decide(_by(engine), {HERE: 0.030, THERE: 0.0299})
    assert decision.kind is DecisionKind.STAY
    assert "m5a.xlarge/us-east-1b" in decision.reason
    assert sum(decision.rejected_counts.values()) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_overrides_every_engine(engine: str) -> None:
    """A workload leaves a flagged pool for a more expensive one, or for on-demand if there is none."""
    flagged = _by(engine, signals={HERE: NOW - timedelta(minutes=5)})
    decision = _decide(flagged, {HERE: 0.030, THERE: 0.045})
    assert (decision.kind, decision.row, decision.urgent) == (DecisionKind.SWITCH, 6, True)
    assert target_of(decision) == THERE
    assert decision.candidates[-1].lifecycle is Lifecycle.ON_DEMAND
    alone = replace(flagged, fallback_pending_since=NOW - timedelta(minutes=5))
    decision = _decide(alone, {HERE: 0.030})
    assert (decision.kind, decision.urgent) == (DecisionKind.FALLBACK, True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signalled_pool_without_a_price_is_left_by_every_engine(engine: str) -> None:
    """An urgent switch needs no price of the pool that it leaves, and its saving is 0."""
    decision = _decide(_by(engine, signals={HERE: NOW}, usage=over_provisioned()), {THERE: 0.045})
    assert (decision.kind, target_of(decision)) == (DecisionKind.SWITCH, THERE)
    assert decision.saving_forecast_usd_per_hour == 0.0


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_comes_back_from_on_demand_and_waits_for_the_confirmation(engine: str) -> None:
    """A pool that is known for less than 30 minutes is not yet the way back."""
    view = _by(engine, lifecycle=Lifecycle.ON_DEMAND)
    assert _decide(view, {THERE: 0.03}).kind is DecisionKind.SWITCH
    new = {THERE: {"price": 0.03, "history_s": 1799.0}}
    decision = _decide(view, new)
    assert decision.kind is DecisionKind.STAY
    assert decision.rejected_counts == {"not safe for long enough yet": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_sizes_up_what_is_short(engine: str) -> None:
    """Row 1 at any gain; the type becomes the home type."""
    larger = Pool("m5.2xlarge", B)
    decision = _decide(
        _by(engine, usage=under_provisioned()), {HERE: 0.030, larger: 0.090, THERE: 0.01}
    )
    assert (decision.row, target_of(decision), decision.home_type_after) == (
        1,
        larger,
        "m5.2xlarge",
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_stays_short_where_no_larger_type_is_to_be_had(engine: str) -> None:
    """Then the rows below decide."""
    decision = _decide(_by(engine, usage=under_provisioned()), {HERE: 0.030, THERE: 0.03})
    assert (decision.kind, decision.row) == (DecisionKind.STAY, 4)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_sizes_down_where_that_is_worth_it(engine: str) -> None:
    """A smaller type at half the price is taken, one at the same price is not."""
    smaller = Pool("m5.large", B)
    view = _by(engine, usage=over_provisioned())
    decision = _decide(view, {HERE: 0.040, smaller: 0.020})
    assert (decision.row, decision.home_type_after) == (2, "m5.large")
    assert (decision.kind, target_of(decision)) == (DecisionKind.SWITCH, smaller)
    assert _decide(view, {HERE: 0.040, smaller: 0.050}).kind is DecisionKind.STAY


@pytest.mark.parametrize("engine", ["layered", "risk_score", "expected_cost"])
def test_one_switch_leads_to_the_best_of_all_sizes(engine: str) -> None:
    """A pool of the home type's size that costs less than every smaller one wins at once."""
    smaller, same = Pool("m5.large", B), Pool("m5.xlarge", B)
    view = _by(engine, usage=replace(over_provisioned(), cpu_p95_vcpu=1.1, memory_p95_gib=6.0))
    decision = _decide(view, {HERE: 0.060, smaller: 0.030, same: 0.008})
    assert (decision.row, target_of(decision)) == (5, same)
    assert decision.home_type_after == HOME


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("price", [float("nan"), 0.0, -0.1, float("inf")])
def test_absurd_prices_give_no_target(engine: str, price: float) -> None:
    """Neither as the current price nor as a candidate's."""
    assert _decide(_by(engine), {HERE: 0.060, THERE: price}).kind is DecisionKind.STAY
    decision = _decide(_by(engine), {HERE: price, THERE: 0.03})
    assert (decision.kind, decision.row) == (DecisionKind.STAY, 0)
    assert "implausible" in decision.reason


@pytest.mark.parametrize("engine", ENGINES)
def test_a_market_without_any_fitting_pool_means_stay(engine: str) -> None:
    """Types that the tag forbids, zones without a subnet: the counts show why each is rejected."""
    view = _by(engine, type_globs=("m*",), subnets={ZONES[0]: ("subnet-a",)})
    decision = _decide(view, {HERE: 0.060, Pool("c5.xlarge", B): 0.01, THERE: 0.01})
    assert decision.kind is DecisionKind.STAY
    assert decision.rejected_counts["not in the allowed types"] == 1
    assert decision.rejected_counts["no subnet to use in the zone"] == 1


def test_an_unknown_engine_means_stay_and_an_alarm() -> None:
    """With the names that there are; the failover plan is kept up all the same."""
    decision = _decide(_by("clairvoyant"), CHEAPER)
    assert (decision.kind, decision.row) == (DecisionKind.STAY, 0)
    known = "expected_cost, forecast, layered, risk_score"
    assert decision.alarm == f"engine 'clairvoyant' is unknown; known are {known}"
    assert decision.alarm in decision.reason
    assert [c.instance_type for c in decision.failover_plan] == ["m5a.xlarge"]


def test_an_engine_that_could_not_be_loaded_means_stay_and_an_alarm() -> None:
    """With what went wrong."""
    decision = _decide(_by("own"), CHEAPER, {"own": "acme:Own: ImportError: no module"})
    assert decision.alarm == "engine 'own' cannot be loaded: acme:Own: ImportError: no module"
    assert decision.kind is DecisionKind.STAY


def _raise(error: BaseException) -> Callable[[Situation], Any]:
    def judge(_situation: Situation) -> Any:
        raise error

    return judge


@pytest.mark.parametrize("error", [ZeroDivisionError("division"), SystemExit("bye"), KeyError("x")])
def test_an_engine_that_raises_costs_its_own_decision_only(error: BaseException) -> None:
    """STAY and an alarm for its workload, a decision for the other."""
    views = (
        replace(_by("own"), workload_id="own"),
        replace(_by("forecast"), workload_id="other"),
    )
    world = World(views, market(CHEAPER), CATALOG)
    engines = {**BUILT_IN, "own": Own(_raise(error))}
    own, other = decide(world, NOW, region=REGION, engines=engines)
    assert (own.kind, other.kind) == (DecisionKind.STAY, DecisionKind.SWITCH)
    assert own.alarm.startswith(f"engine 'own' failed: {type(error).__name__}")
    assert other.alarm == ""


def _to(pool: Pool, **changes: Any) -> Callable[[Situation], Outcome]:
    def judge(situation: Situation) -> Outcome:
        row = situation.table.market.index_of(pool)
        assert row is not None
        target = replace(spot_candidate(situation, row), **changes)
        return Outcome(DecisionKind.SWITCH, Rule.IMPROVE, "because", candidates=(target,))

    return judge


ANSWERS: dict[str, tuple[Callable[[Situation], Any], str]] = {
    "nothing": (lambda _: None, "an engine returned NoneType; allowed is Outcome"),
    "another kind": (
        lambda _: Outcome(DecisionKind.EVACUATE, Rule.NONE, "x"),
        "allowed are STAY, SWITCH and FALLBACK",
    ),
    "no target": (
        lambda _: Outcome(DecisionKind.SWITCH, Rule.IMPROVE, "x"),
        "SWITCH with 0 candidates",
    ),
    "no reason": (
        lambda _: Outcome(DecisionKind.STAY, Rule.IMPROVE, ""),
        "an engine returned no reason",
    ),
    "a score that is no number": (
        _to(THERE, score=float("nan")),
        "allowed are finite numbers and None",
    ),
    "a figure that cannot be kept": (
        lambda _: Outcome(DecisionKind.STAY, Rule.IMPROVE, "x", figures={"a": [1]}),  # type: ignore[dict-item]
        "the figure a = [1]",
    ),
    "another architecture": (_to(Pool("m6g.xlarge", B)), "cannot host the workload: architecture"),
    "an unknown type": (
        _to(THERE, instance_type="z9.big"),
        "whose type is not in the catalog",
    ),
    "a strange subnet": (_to(THERE, subnet_id="subnet-z"), "none of the workload's"),
    "no forecast": (
        _to(THERE, forecast_usd_per_hour=float("nan")),
        "with forecast_usd_per_hour = nan",
    ),
    "no spot price": (_to(THERE, spot_usd_per_hour=0.0), "with spot_usd_per_hour = 0.0"),
    "where it is": (_to(HERE), "where the workload already runs"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_engine_may_not_send_a_workload_where_it_cannot_run(answer: str) -> None:
    """A target that could not be launched or recorded is STAY with an alarm."""
    judge_by, text = ANSWERS[answer]
    decision = _decide(_by("own"), CHEAPER, {"own": Own(judge_by)})
    assert decision.kind is DecisionKind.STAY
    assert text in decision.alarm


def test_an_engine_of_a_users_own_decides() -> None:
    """What it answers is the decision, its figures are on the record."""
    own = Own(lambda s: replace(_to(THERE)(s), figures={"moon": 0.5, "phase": "full"}))
    decision = _decide(_by("own"), CHEAPER, {"own": own})
    assert (decision.kind, target_of(decision), decision.reason) == (
        DecisionKind.SWITCH,
        THERE,
        "because",
    )
    assert (decision.evidence["moon"], decision.evidence["phase"]) == (0.5, "full")
    assert decision.alarm == ""


def test_an_engine_may_choose_any_subnet_of_the_zone() -> None:
    """The first is preferred, the others are allowed."""
    view = replace(_by("own"), subnets={ZONES[0]: ("subnet-a",), B: ("subnet-b", "subnet-e")})
    for subnet_id in ("subnet-b", "subnet-e"):
        own = Own(_to(THERE, subnet_id=subnet_id))
        (best,) = _decide(view, CHEAPER, {"own": own}).candidates
        assert best.placement == (*THERE, subnet_id)
    (best,) = _decide(view, CHEAPER, {"own": Own(_to(THERE))}).candidates
    assert best.subnet_id == "subnet-b"


def test_an_engine_of_stages_says_why_each_stage_removed_a_pool() -> None:
    """A user's engine may be made of stages too; a stage without details gives its label."""

    def cheap_first(selection: Any) -> Any:
        return selection.forecast_usd_per_hour

    own = StagedEngine(
        name="own",
        score_meaning="price, less is better",
        gates=(
            Stage("built on AMD", lambda selection: np.ones(len(selection.ranked), dtype=bool)),
        ),
        scores=cheap_first,
        here=lambda selection: selection.situation.forecast_usd_per_hour,
        worth=(),
        why=lambda _, n: f"number {n}",
    )
    decision = _decide(_by("own"), {HERE: 0.06, THERE: 0.03}, {"own": own})
    assert decision.rejected_counts == {"the current pool": 1, "built on AMD": 1}
    assert decision.rejected[0].reason == "built on AMD"
    assert "none of 2 pools is compatible and allowed" in decision.reason


@pytest.mark.parametrize(
    ("part", "answer"),
    [("gates", np.array([1.0])), ("gates", np.array([True, False])), ("scores", np.array([]))],
)
def test_a_stage_that_answers_in_another_shape_is_broken(part: str, answer: Any) -> None:
    """One truth, or one figure, for each of the pools left."""
    made = replace(EXPECTED_COST, name="own")
    if part == "gates":
        own = replace(made, gates=(Stage("odd", lambda _: answer),))
    else:
        own = replace(made, scores=lambda _: answer)
    decision = _decide(_by("own"), {HERE: 0.06, THERE: 0.03}, {"own": own})
    assert "ValueError" in decision.alarm
    assert "shape" in decision.alarm


def test_a_forced_target_does_not_ask_the_engine() -> None:
    """The user has looked."""
    force = {"web-1": Force("ann", THERE)}
    decision = _decide(_by("own"), CHEAPER, {"own": Own(_raise(ValueError("no")))}, force=force)
    assert (decision.kind, decision.alarm) == (DecisionKind.SWITCH, "")


def test_confidence_is_the_share_of_the_inputs_that_were_known() -> None:
    """The others are named."""
    decision = _decide(_by("forecast"), CHEAPER)
    assert decision.confidence == pytest.approx(3 / 5)
    assert decision.evidence["unknown"] == "CPU use, memory use"
    decision = _decide(_by("forecast", usage=over_provisioned()), CHEAPER)
    assert (decision.confidence, decision.evidence["unknown"]) == (1.0, "")
