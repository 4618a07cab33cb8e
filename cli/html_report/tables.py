"""Switches and decisions as tables."""

from collections.abc import Iterable, Mapping, Sequence

from cli.html_report.markup import BREAK, Markup, joined, tag
from cli.report import duration, ending, states_in_order
from simulator.record import DecisionRecord
from simulator.summary import SwitchSummary


def switch_table(switches: Sequence[SwitchSummary]) -> Markup:
    """Each switch with its places, reason and outcome."""
    if not switches:
        return tag("p", "No switch.", class_="none")
    columns = ("claimed", "workload", "from → to", "reason and outcome", "USD per hour", "took")
    return table(columns, [_switch(switch) for switch in switches])


def _switch(switch: SwitchSummary) -> Markup:
    saving = switch.saving_usd_per_hour
    done = switch.phase == "DONE"
    refused = switch.refused_launches
    word = ending(switch)
    outcome = [
        tag("span", word, class_=f"pill {word.replace(' ', '-')}"),
        _after(refused) if done else f" {switch.outcome}",
    ]
    states = tag(
        "details",
        tag("summary", "states"),
        tag("p", states_in_order(switch.states)),
        class_="small",
    )
    downtime = switch.downtime_seconds
    return tag(
        "tr",
        tag("td", f"{switch.at:%d %b %H:%M}", class_="when"),
        tag("td", switch.workload_id, class_="who"),
        tag("td", switch.came_from, BREAK, f"→ {switch.went_to}", class_="places"),
        tag("td", tag("p", switch.why), tag("p", *outcome), states),
        tag("td", "–" if saving is None else _saving(saving), class_="number"),
        tag(
            "td",
            _took(switch),
            "" if downtime is None else joined(BREAK, f"{duration(downtime)} down"),
            class_="number",
        ),
        id=switch.switch_id,
        data_workload=switch.workload_id,
    )


def _after(refused_launches: int) -> str:
    if not refused_launches:
        return ""
    return f" after {refused_launches} refused launch{'es' if refused_launches > 1 else ''}"


def _took(switch: SwitchSummary) -> str:
    """Of a failover only the time to the hand-over: after it, EC2 terminates the original."""
    served = switch.hand_over_seconds if switch.is_failover else None
    return f"{switch.seconds if served is None else served:.0f} s"


def _saving(usd_per_hour: float) -> str:
    return f"{usd_per_hour:.4f} saved" if usd_per_hour >= 0 else f"{-usd_per_hour:.4f} more"


def decision_table(decisions: Iterable[DecisionRecord]) -> Markup:
    """Every change of decision with its reason, and the rejected pools."""
    columns = ("time", "workload", "decision", "row", "reason", "pools rejected")
    return table(columns, [_decision(decision) for decision in decisions])


def _decision(decision: DecisionRecord) -> Markup:
    held = decision.held_by
    kind = tag("span", decision.kind, class_=f"pill {decision.kind}{' held' if held else ''}")
    return tag(
        "tr",
        tag("td", f"{decision.at:%d %b %H:%M}", class_="when"),
        tag("td", decision.workload_id, class_="who"),
        tag("td", kind),
        tag("td", str(decision.row) if decision.row else "–", class_="number"),
        tag(
            "td",
            tag("p", decision.reason),
            tag("p", f"Held: {held}", class_="held") if held else "",
        ),
        tag("td", _counts(decision.rejected_counts), class_="small"),
        data_workload=decision.workload_id,
    )


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} {reason}" for reason, count in ordered)


def table(columns: Iterable[str], rows: Iterable[Markup]) -> Markup:
    """Rows under the names of their columns; a wide table scrolls on its own."""
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in columns)))
    return tag("div", tag("table", head, tag("tbody", *rows)), class_="scroll")
