"""EC2's signals and their effects: marks and a table."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from cli.html_report.markup import Markup, tag
from cli.html_report.scales import TimeScale
from cli.html_report.shapes import mark
from cli.html_report.tables import table
from cli.report import duration, ending
from simulator.summary import SignalSummary, Summary, SwitchSummary

_FOLLOWS_WITHIN = timedelta(minutes=15)
"""A signal leads to its failover at once, or in the next sweep."""
MARK_WIDTH = 13.0


def signal_marks(signals: Sequence[SignalSummary], y: float, time: TimeScale) -> Iterator[Markup]:
    """A flash for each signal, filled for interruptions."""
    for signal in signals:
        text = (
            f"{signal.received_at:%d %b %H:%M:%S} {signal.what}\n{signal.effect}: {signal.reason}"
        )
        yield mark(shape_of(signal), time.x(signal.received_at), y, text)


def shape_of(signal: SignalSummary) -> str:
    """The mark of an interruption, a rebalance recommendation or a change of state."""
    return {"interruption": "warned", "rebalance": "rebalance"}.get(signal.kind, "ended")


def right_of_its_signal(
    switch: SwitchSummary, signals: Sequence[SignalSummary], time: TimeScale
) -> float:
    """Position of a switch's mark: to the right of the signal that led to it, which it would hide."""
    x = time.x(switch.at)
    for signal in signals:
        if _leads_to(signal, switch):
            x = max(x, time.x(signal.received_at) + MARK_WIDTH)
    return x


def _leads_to(signal: SignalSummary, switch: SwitchSummary) -> bool:
    if signal.workload_id != switch.workload_id:
        return False
    if (signal.effect == "EVACUATE") != switch.is_failover or signal.effect == "RECORDED":
        return False
    return timedelta() <= switch.at - signal.received_at <= _FOLLOWS_WITHIN


def signal_table(summary: Summary) -> Markup:
    """Each signal with its effect and outcome."""
    if not summary.signals:
        return tag("p", "EC2 sent no signal.", class_="none")
    columns = ("received", "workload", "signal", "effect", "reason", "outcome")
    return table(columns, [_row(signal, summary.switches) for signal in summary.signals])


def _row(signal: SignalSummary, switches: Sequence[SwitchSummary]) -> Markup:
    late_s = (signal.received_at - signal.at).total_seconds()
    late = tag("p", f"{duration(late_s)} late", class_="held") if late_s >= 60 else ""
    following = [s for s in switches if _leads_to(signal, s)]
    return tag(
        "tr",
        tag("td", f"{signal.received_at:%d %b %H:%M:%S}", class_="when"),
        tag("td", signal.workload_id, class_="who"),
        tag("td", signal.what, late),
        tag("td", tag("span", signal.effect, class_=f"pill {signal.effect}")),
        tag("td", *_with_whole_ids(signal.reason)),
        tag("td", *(_what_was_done(s) for s in following[:1]) if following else "Nothing."),
    )


def _with_whole_ids(text: str) -> Iterator[str]:
    """Instance ids are never wrapped at their hyphen."""
    for number, part in enumerate(re.split(r"(\bi-[0-9a-f]{8,17}\b)", text)):
        yield tag("span", part, class_="whole") if number % 2 else part


def _what_was_done(switch: SwitchSummary) -> Markup:
    word = ending(switch)
    times = []
    if switch.is_failover and switch.hand_over_seconds is not None:
        times.append(f" in {duration(switch.hand_over_seconds)}")
    if switch.downtime_seconds is not None:
        times.append(f", {duration(switch.downtime_seconds)} of downtime")
    return tag(
        "p",
        tag("span", word, class_=f"pill {word.replace(' ', '-')}"),
        f"{''.join(times)}: {switch.came_from} → {switch.went_to}",
    )
