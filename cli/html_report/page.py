"""The whole page of the report."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cli.html_report.costs import cost_chart
from cli.html_report.faults import fault_table
from cli.html_report.markup import Markup, joined, tag
from cli.html_report.prices import price_chart
from cli.html_report.scales import TimeScale
from cli.html_report.shapes import legend
from cli.html_report.signals import signal_table
from cli.html_report.tables import decision_table, switch_table
from cli.html_report.template import filled
from cli.html_report.timeline import timeline
from cli.report import counted, duration
from simulator.record import Record, ScriptedMoment, WorkloadRecord
from simulator.summary import Summary, WorkloadSummary
from spot_optimizer.vocabulary import DecisionKind

_TEMPLATE = Path(__file__).with_name("page.html")


def html_page(record: Record) -> str:
    """One HTML document that loads nothing: it contains its drawings, styles and script."""
    summary = record.summary
    time = TimeScale(summary.start, summary.end)
    span = f"{summary.start:%d %b %Y %H:%M} to {summary.end:%d %b %Y %H:%M} UTC"
    return filled(
        _TEMPLATE,
        title=joined(f"Spot Optimizer, simulated on {summary.market}"),
        market=joined(summary.market),
        span=joined(span),
        seven=" seven" if summary.faults else "",
        totals=_totals(summary, len(record.refused_launches)),
        legend=legend(with_faults=bool(summary.faults)),
        timeline=timeline(record, time),
        scripted=_scripted(record.scripted),
        costs=cost_chart(record, time),
        workloads=joined(*(_workload(record, workload, time) for workload in record.workloads)),
        faults=fault_table(summary, record.refused_launches),
        signals=signal_table(summary),
        switches=switch_table(summary.switches),
        decisions=decision_table(record.decisions),
        choices=joined(
            *(tag("option", w.workload_id, value=w.workload_id) for w in summary.workloads)
        ),
        remarks=_remarks(summary),
    )


def _totals(summary: Summary, refused_launches: int) -> Markup:
    cost = sum(w.cost_usd for w in summary.workloads)
    on_demand = sum(w.cost_on_demand_usd for w in summary.workloads)
    still = sum(w.cost_standing_still_usd for w in summary.workloads)
    planned = [s.phase == "DONE" for s in summary.switches if not (s.is_failover or s.taken_over)]
    done, failed = planned.count(True), planned.count(False)
    cycles = sum(summary.decisions.values())
    kinds = ", ".join(
        f"{summary.decisions[kind]}\N{NO-BREAK SPACE}{kind}"
        for kind in DecisionKind
        if kind in summary.decisions
    )
    return joined(
        _total(f"{cost:.2f} USD", "cost of all workloads", "overlap of switches included"),
        _total(
            against(cost, on_demand),
            "against all on-demand",
            f"{on_demand:.2f} USD, {_saved(cost, on_demand)}",
        ),
        _total(
            against(cost, still),
            "against standing still",
            f"{still:.2f} USD, {_saved(cost, still)}",
        ),
        _total(
            str(done),
            "switch done" if done == 1 else "switches done",
            f"{failed} failed, {counted(refused_launches, 'launch', 'launches')} refused",
        ),
        _failovers(summary),
        *_faults(summary),
        _total(f"{cycles}", "decisions", kinds),
    )


def _failovers(summary: Summary) -> Markup:
    ended = [s.phase == "DONE" for s in summary.switches if s.is_failover]
    down = duration(sum(w.downtime_seconds for w in summary.workloads))
    signals = len(summary.signals)
    return _total(
        str(ended.count(True)),
        "failover" if ended.count(True) == 1 else "failovers",
        f"{down} of downtime, {ended.count(False)} failed,"
        f" {counted(signals, 'signal', 'signals')} of EC2",
    )


def _faults(summary: Summary) -> Iterator[Markup]:
    if not summary.faults:
        return
    endings = Counter(fault.ending for fault in summary.faults)
    happened = len(summary.faults) - endings["never met"]
    endings_text = ", ".join(
        f"{endings[ending]}\N{NO-BREAK SPACE}{ending}"
        for ending in ("cured", "undone", "open", "never met")
        if endings[ending]
    )
    yield _total(
        str(happened), "fault injected" if happened == 1 else "faults injected", endings_text
    )


def _total(value: str, name: str, more: str) -> Markup:
    return tag(
        "div", tag("dt", name), tag("dd", tag("strong", value), tag("span", more)), class_="total"
    )


def against(cost_usd: float, other_usd: float) -> str:
    """The difference in percent."""
    if not other_usd:
        return "–"
    change = round(100 * (cost_usd / other_usd - 1), 1)
    return f"{change:+.1f} %".replace("-", "−") if change else "0.0 %"


def _saved(cost_usd: float, other_usd: float) -> str:
    saved = other_usd - cost_usd
    return f"{saved:.2f} saved" if saved >= 0 else f"{-saved:.2f} more"


def _scripted(events: tuple[ScriptedMoment, ...]) -> Markup:
    if not events:
        return tag("p", "Nothing was scripted on top of the market.", class_="none")
    items = (tag("li", tag("b", f"{event.at:%d %b %H:%M}"), f" {event.text}") for event in events)
    return joined(
        tag("h3", "Scripted on top of the market"),
        tag("ol", *items, class_="scripted-list"),
    )


def _workload(record: Record, workload: WorkloadRecord, time: TimeScale) -> Markup:
    summary = next(w for w in record.summary.workloads if w.workload_id == workload.workload_id)
    head = tag(
        "header",
        tag("h3", summary.workload_id),
        tag("p", summary.shows),
        _money(summary),
    )
    why = f"{summary.status}: {summary.status_reason}" if summary.status != "managed" else ""
    return tag(
        "article",
        head,
        tag("p", why, class_="not-managed") if why else "",
        tag("div", price_chart(record, workload, time), class_="scroll"),
    )


def _money(summary: WorkloadSummary) -> Markup:
    cost = summary.cost_usd
    return tag(
        "p",
        tag("strong", f"{cost:.2f} USD"),
        f" · on-demand {summary.cost_on_demand_usd:.2f}"
        f" ({against(cost, summary.cost_on_demand_usd)})"
        f" · standing still {summary.cost_standing_still_usd:.2f}"
        f" ({against(cost, summary.cost_standing_still_usd)})",
        class_="money",
    )


def _remarks(summary: Summary) -> Markup:
    calls = ", ".join(f"{count} {service}" for service, count in summary.aws_calls.items())
    lines = [
        f"Invariants held in each of {summary.invariant_checks} checks.",
        f"AWS calls of the functions and state machines, all answered by the embedded account: {calls}.",
        *(f"Dropped from the market: {n} {why}." for why, n in sorted(summary.dropped.items())),
    ]
    return joined(*(tag("p", line) for line in lines))
