"""Engines chosen by tag and by parameter, and the guards of planned switches, in the embedded account."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.deployed import PRICE_USD_PER_HOUR, ZONES
from simulator.stage import Stage, open_stage
from simulator.world import Load
from spot_optimizer.workflow.engines import load_engines
from tests.workflow.story import Story, StoryOf, record

ENGINES = ("forecast", "layered", "risk_score", "expected_cost")
CHEAP = ("m5a.large", ZONES[1])


OWN = """
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.words import DecisionKind

class Waiting:
    name = "waiting"
    def judge(self, situation):
        return Outcome(DecisionKind.STAY, 4, "waits for better times")

class Failing:
    name = "failing"
    def judge(self, situation):
        raise ZeroDivisionError("division by zero")

no_engine = 7
waiting = Waiting()
"""
ENTRY_POINTS = """
[spot_optimizer.engines]
waiting = acme_engines:Waiting
ready = acme_engines:waiting
failing = acme_engines:Failing
missing = acme_engines:Nowhere
number = acme_engines:no_engine
"""


def _install(path: Path, package: str = "acme_engines") -> None:
    """What pip leaves of a package in a layer: its module and its entry points."""
    (path / "acme_engines.py").write_text(OWN)
    info = path / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)


def _last_decision(stage: Stage, workload: str = "web") -> dict[str, Any]:
    return stage.history(workload, "DECISION")[-1]


def engines_side_by_side() -> Story:
    """One cycle over workloads that each have an engine of their own; one pool costs half."""
    market = {CHEAP: PRICE_USD_PER_HOUR / 2}
    with open_stage(market, MovesIntoOnePoolFraction=1, Engine="layered") as stage:
        for engine in ("forecast", "risk_score", "expected_cost", "clairvoyant"):
            stage.launch(engine, tags={"spot-optimizer:engine": engine})
        stage.launch("layered")
        stage.adopt()
        stage.cycle()
        last = {w: _last_decision(stage, w) for w in (*ENGINES, "clairvoyant")}
        stage.cycle()
        stage.finish()
        return record(stage, last=last)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_moves_its_workload(story_of: StoryOf, engine: str) -> None:
    """By the template's parameter, or the workload's tag; the record names it and its scores."""
    story = story_of(engines_side_by_side)
    decision = story.seen["last"][engine]
    assert (decision["kind"], decision["engine"]) == ("SWITCH", engine)
    first = decision["candidates"][0]
    assert (first["instance_type"], first["availability_zone"]) == CHEAP
    assert (first["score"] is not None) == (engine != "forecast")
    moved = story.workload(engine)
    assert (moved["instance_type"], moved["availability_zone"]) == CHEAP


def test_an_unknown_engine_is_recorded_and_sends_one_alert(story_of: StoryOf) -> None:
    """STAY; the next cycle with the same result sends no second alert."""
    story = story_of(engines_side_by_side)
    decision = story.seen["last"]["clairvoyant"]
    assert (decision["kind"], decision["engine"]) == ("STAY", "clairvoyant")
    assert "engine 'clairvoyant' is unknown" in decision["reason"]
    (alert,) = story.alerts
    assert "engine 'clairvoyant' is unknown; known are expected_cost" in alert
    assert alert.endswith("they stay where they are: clairvoyant.")


def test_engines_of_a_users_own_come_by_entry_point(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class or an object decides; a failing, missing or invalid engine means STAY and an alert."""
    _install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = ("waiting", "ready", "failing", "missing", "number")
    for engine in names:
        stage.launch(engine, lifecycle="on-demand", tags={"spot-optimizer:engine": engine})
    stage.adopt()
    assert stage.cycle()["decisions"] == {"STAY": 5}
    reasons = {engine: str(_last_decision(stage, engine)["reason"]) for engine in names}
    assert reasons["waiting"] == reasons["ready"] == "waits for better times"
    assert "engine 'failing' failed: ZeroDivisionError: division by zero" in reasons["failing"]
    assert "cannot be loaded: acme_engines:Nowhere: AttributeError" in reasons["missing"]
    assert "acme_engines:no_engine is int" in reasons["number"]
    assert len(stage.calls_of("Publish")) == 3


def test_an_engine_that_two_packages_provide_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them was meant nobody can say."""
    _install(tmp_path)
    _install(tmp_path, "zeta_engines")
    monkeypatch.syspath_prepend(tmp_path)
    problem = load_engines(["waiting", "layered"])["waiting"]
    assert problem == "2 packages provide it: acme_engines:Waiting, acme_engines:Waiting"


def test_a_maintenance_window_holds_a_planned_switch_until_it_opens(stage: Stage) -> None:
    """Held with the time on the record; at that time the switch starts."""
    assert f"{stage.account.clock.now():%a %H}" == "Mon 00"
    stage.launch(lifecycle="on-demand", tags={"spot-optimizer:window": "mon 02:00-03:00"})
    stage.adopt()
    stage.command(command="set-threshold", name="snapshot_age_minutes_max", value=30)
    (made,) = stage.cycle()["made"]
    assert made["held_by"].endswith("planned switches wait until 2026-03-02T02:00:00Z")
    assert not stage.account.executions()
    stage.account.run_for(timedelta(hours=2))
    assert list(stage.cycle()["started"]) == ["web"]


def test_a_pool_that_refused_is_avoided_by_other_workloads_too(stage: Stage) -> None:
    """One workload's refused launch counts for all in the next cycle."""
    stage.launch("first", lifecycle="on-demand")
    stage.adopt()
    (made,) = stage.cycle()["made"]
    best = _last_decision(stage, "first")["candidates"][0]
    pool = f"{best['instance_type']}/{best['availability_zone']}"
    stage.world.close_capacity(best["instance_type"], best["availability_zone"])
    assert made["kind"] == "SWITCH"
    stage.finish()
    assert [i["pool"] for i in stage.items() if i["pk"] == "POOLS"] == [pool]
    stage.launch("second", lifecycle="on-demand")
    stage.adopt()
    stage.cycle()
    second = _last_decision(stage, "second")
    assert second["rejected_counts"]["refused a launch lately"] == 1
    targets = {f"{c['instance_type']}/{c['availability_zone']}" for c in second["candidates"]}
    assert pool not in targets


def test_the_switches_of_a_day_are_counted_from_the_workloads_history(stage: Stage) -> None:
    """After as many planned switches as the tag allows the next one waits for a day to pass."""
    tags = {
        "spot-optimizer:switches-per-day-max": "1",
        "spot-optimizer:interruption-cost-minutes": "1440",  # worth leaving a pool for
    }
    stage.launch(lifecycle="on-demand", tags=tags)
    stage.adopt()
    stage.cycle()
    assert stage.finish().status == "SUCCEEDED"
    (move,) = stage.workload()["moves"]
    assert (move["planned"], move["lifecycle"]) == (True, "spot")
    stage.account.run_for(timedelta(minutes=30))
    here = stage.workload()
    stage.world.advisor.set(here["instance_type"], 4)
    stage.account.invoke("RefreshMarket", {"task": "reference"})
    (made,) = stage.cycle()["made"]
    assert made["held_by"].startswith("at most 1 planned switch in 24 hours until 2026-03-03")


def test_throughput_is_read_where_a_smaller_type_depends_on_it() -> None:
    """Once a day, not every cycle; what is used decides whether the slower type will do."""
    with open_stage({CHEAP: PRICE_USD_PER_HOUR / 2}) as stage:
        stage.world.loads["web"] = Load(
            cpu_vcpu=lambda _: 0.2,
            memory_gib=lambda _: 1.0,
            network_mib_per_s=lambda _: 1.0,
        )
        tags = {"Name": "web", "spot-optimizer:mode": "manual"}
        stage.launch(instance_type="c6i.xlarge", tags=tags)
        stage.adopt()
        (made,) = stage.cycle()["made"]
        assert made["kind"] == "SWITCH"
        evidence = _last_decision(stage)["evidence"]
        assert evidence["network_used_gbps"] == pytest.approx(8 * 2**20 / 1e9, rel=0.1)
        stage.cycle()
        reads = [c for c in stage.calls_of("GetMetricData") if "NetworkIn" in str(c.params)]
        assert len(reads) == 1
