"""The demo, run whole: the real template, handlers and state machine for 24 virtual hours."""

import io
from collections import Counter
from datetime import timedelta

import pytest
from rich.console import Console

from cli.happenings import is_step
from cli.report import print_summary
from simulator.demo import demo
from simulator.expectations import disappointments
from simulator.happenings import Happening
from simulator.markets import builtin_market
from simulator.scenario_file import builtin_run
from simulator.simulation import Observer, simulate
from simulator.summary import Summary, SwitchSummary, WorkloadSummary
from tests.cli.printed import on_terminal

SEED = 1
_STORY: list[Happening] = []


@pytest.fixture(scope="module")
def summary() -> Summary:
    """One run of what `make demo` runs."""
    observer = Observer(lambda _: None, _STORY.append)
    return simulate(demo(), builtin_market(SEED, None, 24), seed=SEED, observer=observer)


def workload(summary: Summary, name: str) -> WorkloadSummary:
    return next(w for w in summary.workloads if w.workload_id == name)


def switches(summary: Summary, name: str) -> list[SwitchSummary]:
    return [s for s in summary.switches if s.workload_id == name]


def test_every_cycle_decides_for_every_managed_workload(summary: Summary) -> None:
    """Of 288 ticks the first has no catalog yet; the refused workload gets no decision."""
    for each in summary.workloads:
        decided = sum(each.decisions.values())
        assert decided == (0 if each.status == "refused" else 287), each.workload_id


def test_workload_leaves_on_demand_past_pools_without_capacity(summary: Summary) -> None:
    """web-shop: two refused launches, the third candidate takes over without downtime."""
    switch = switches(summary, "web-shop")[0]
    assert switch.phase == "DONE"
    assert switch.refused_launches == 2
    assert switch.states.count("NoCapacity") == 2
    assert switch.saving_usd_per_hour is not None
    assert switch.saving_usd_per_hour > 0
    assert switch.downtime_seconds == 0
    assert switch.went_to.endswith(" spot")


def test_cheaper_pool_is_used_once_it_has_capacity(summary: Summary) -> None:
    """web-shop: the pool that refused it is used an hour later, because it saves enough in a day."""
    first, second = switches(summary, "web-shop")[:2]
    assert (second.phase, second.came_from) == ("DONE", first.went_to)
    assert "saves" in second.why
    assert "the switch costs" in second.why
    assert second.saving_usd_per_hour is not None
    assert second.saving_usd_per_hour > 0


def test_interrupted_workload_fails_over_with_targets_and_address(summary: Summary) -> None:
    """web-shop: a warning that came twice leads to one failover; target group and address follow. The
    interrupted pool is used again when the signal is two hours old."""
    *_, failover, back = switches(summary, "web-shop")
    assert (back.came_from, back.went_to) == (failover.went_to, failover.came_from)
    assert back.at - failover.at >= timedelta(hours=2)
    assert (failover.kind, failover.phase, failover.states[-1]) == (
        "EVACUATE",
        "DONE",
        "FailedOver",
    )
    (signal,) = summary.signals
    assert (signal.workload_id, signal.effect) == ("web-shop", "EVACUATE")
    shop = workload(summary, "web-shop")
    assert (shop.failovers, shop.served, shop.is_on) == (1, True, back.went_to)
    assert shop.downtime_seconds == failover.downtime_seconds


def test_good_pool_is_kept(summary: Summary) -> None:
    """search: STAY in every cycle."""
    assert set(workload(summary, "search").decisions) == {"STAY"}
    assert switches(summary, "search") == []


def test_risky_type_is_left(summary: Summary) -> None:
    """cache: after the Spot Advisor's change a more expensive type has the lower expected cost."""
    (switch,) = switches(summary, "cache")
    assert switch.saving_usd_per_hour is not None
    assert switch.saving_usd_per_hour < 0
    assert "saves" in switch.why
    assert switch.went_to.startswith("r5.large/")


def test_price_surge_leads_to_fallback_and_return(summary: Summary) -> None:
    """etl: FALLBACK, and the return to spot once a pool has been safe for half an hour."""
    away, back = switches(summary, "etl")
    assert (away.kind, away.went_to.split()[1]) == ("FALLBACK", "on-demand")
    assert (back.kind, back.came_from.split()[1], back.went_to.split()[1]) == (
        "SWITCH",
        "on-demand",
        "spot",
    )
    on_demand = workload(summary, "etl").cost_on_demand_usd
    assert workload(summary, "etl").cost_usd < on_demand


def test_workloads_are_sized_both_ways(summary: Summary) -> None:
    """api grows one size, reports shrinks; their home types follow."""
    up, down = switches(summary, "api")[0], switches(summary, "reports")[0]
    assert "under-provisioned" in up.why
    assert workload(summary, "api").home_type.endswith(".xlarge")
    assert "over-provisioned" in down.why
    assert workload(summary, "reports").home_type.endswith(".large")


def test_manual_mode_decides_without_acting(summary: Summary) -> None:
    """billing: SWITCH in nearly every cycle, no switch."""
    assert workload(summary, "billing").decisions["SWITCH"] > 280
    assert switches(summary, "billing") == []
    assert workload(summary, "billing").is_on == workload(summary, "billing").began_on


def test_refused_instance_is_left_alone_with_the_reason(summary: Summary) -> None:
    """worker-node belongs to EKS."""
    refused = workload(summary, "worker-node")
    assert refused.status == "refused"
    assert "EKS node group" in refused.status_reason
    assert refused.is_on == refused.began_on


def test_summary_adds_up(summary: Summary) -> None:
    """Counts and money of the parts are those of the whole."""
    total: Counter[str] = Counter()
    for each in summary.workloads:
        total.update(each.decisions)
    assert dict(total) == dict(summary.decisions)
    assert sum(w.switches + w.failovers for w in summary.workloads) == len(summary.switches)
    still = workload(summary, "search")
    assert still.cost_usd == pytest.approx(still.cost_standing_still_usd)
    assert all(s.states[-1] in ("Switched", "FailedOver") for s in summary.switches)


def test_happenings_are_reported_in_order(summary: Summary) -> None:
    """Decisions, launches, refusals and switches reach the observer in the order of time."""
    assert {h.kind for h in _STORY} == {
        "decision", "launched", "no capacity", "switched", "refused", "scripted", "signal",
        "failed over",
    }  # fmt: skip
    ends = [h for h in _STORY if h.kind in ("switched", "failed over")]
    assert len(ends) == len(summary.switches)
    assert [h.time for h in ends] == sorted(h.time for h in ends)


def test_scripted_events_are_in_the_summary(summary: Summary) -> None:
    """The summary lists every scripted event."""
    assert len(summary.scripted) == len(demo().scripted)


def test_demo_meets_the_expectations_of_its_file(summary: Summary) -> None:
    """`make demo` ends with exit code 0."""
    assert disappointments(builtin_run("demo").expected, summary) == []


def test_invariants_are_checked_throughout(summary: Summary) -> None:
    """They are checked at every tick and after every scripted event."""
    assert summary.invariant_checks > 288


def test_output_fits_a_person(summary: Summary) -> None:
    """At most 120 lines of 80 columns, money on top of the summary."""
    file = io.StringIO()
    print_summary(summary, Console(file=file, width=80))
    story = [on_terminal(each, width=80, whole=False) for each in _STORY if not is_step(each)]
    lines = ["", "", "", *"".join(story).splitlines(), *file.getvalue().splitlines()]
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 80
    assert file.getvalue().split()[1:3] == ["USD", "simulated"]


def test_manual_mode_says_what_it_forgoes(summary: Summary) -> None:
    """billing's recorded switches, and nobody else's, at the prices that were forecast for them."""
    forgone = {w.workload_id: w.forgone_usd for w in summary.workloads if w.forgone_usd}
    assert forgone.keys() == {"billing"}
    billing = workload(summary, "billing")
    assert 0.2 * billing.cost_usd < forgone["billing"] < billing.cost_usd


@pytest.mark.usefixtures("summary")
def test_switch_to_a_higher_price_says_why() -> None:
    """Its whole reason stands below it: the expected cost of interruptions, or a too small size."""
    costly = [
        on_terminal(each, width=80, whole=False) for each in _STORY if " more at " in each.text
    ]
    assert costly
    assert not any("..." in each for each in costly)
    assert all("because" in each for each in costly)
