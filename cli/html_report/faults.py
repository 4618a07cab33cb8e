"""Injected faults, other failures, and their cures: marks and a table."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cli.html_report.markup import Markup, hint, joined, tag
from cli.html_report.scales import LEFT, TimeScale
from cli.html_report.shapes import mark
from cli.html_report.tables import table
from cli.report import duration, sentence
from simulator.faults.aftermath import FaultSummary
from simulator.record import RefusedLaunch
from simulator.summary import Summary, SwitchSummary

LANE = 17.0
"""Height of the row of marks."""
_MARK_GAP = 14.0


def fault_marks(faults: Sequence[FaultSummary], y: float, time: TimeScale) -> Iterator[Markup]:
    """A mark for each fault that happened, side by side if they would overlap; a line until its cure."""
    last_x = -_MARK_GAP
    marks = []
    for fault in faults:
        if fault.at is None:
            continue
        begun = time.x(fault.at)
        x = last_x = max(begun, last_x + _MARK_GAP)
        end = max(time.x(fault.cured_at), x) if fault.cured_at else x
        style = fault.ending
        yield tag("line", class_=f"recovery {style}", x1=begun, x2=end, y1=y, y2=y)
        marks.append(mark("fault", x, y, _described(fault), style))
    yield from marks


def _described(fault: FaultSummary) -> str:
    assert fault.at is not None
    return f"{fault.at:%d %b %H:%M:%S} {fault.kind}\n{fault.happened}\n{sentence(fault.done)}"


def stack_faults(summary: Summary) -> list[FaultSummary]:
    """Faults that happened and concern no single workload."""
    known = {workload.workload_id for workload in summary.workloads}
    return [f for f in summary.faults if f.at is not None and f.workload_id not in known]


def stack_row(faults: Sequence[FaultSummary], y: float, time: TimeScale) -> Markup:
    """The row of the whole stack."""
    name = tag(
        "text",
        "whole stack",
        hint("calls that concern no single workload"),
        class_="row-name",
        x=LEFT - 10,
        y=y + 4,
        text_anchor="end",
    )
    return joined(name, *fault_marks(faults, y, time))


def fault_table(summary: Summary, launches: Iterable[RefusedLaunch]) -> Markup:
    """Injected faults, refused launches, failed switches and unmanaged workloads, with their cures."""
    timed = [(fault.at, _injected(fault)) for fault in summary.faults if fault.at]
    timed += [(launch.at, _refused_launch(launch)) for launch in launches]
    failed = [s for s in summary.switches if s.phase != "DONE" and not s.taken_over]
    timed += [(s.at, _failed_switch(s)) for s in failed]
    rows = [row for _, row in sorted(timed, key=lambda pair: pair[0])]
    rows += [
        _row("", w.workload_id, [f"{w.status}: {w.status_reason}"], ["Not managed."])
        for w in summary.workloads
        if w.status != "managed"
    ]
    rows += [_never_met(fault) for fault in summary.faults if fault.at is None]
    if not rows:
        return tag("p", "No fault.", class_="none")
    return table(("time", "workload", "what happened", "cure"), rows)


def _injected(fault: FaultSummary) -> Markup:
    assert fault.at is not None
    after = _cured_after(fault.at, fault.cured_at)
    return _row(
        f"{fault.at:%d %b %H:%M:%S}",
        fault.workload_id or "whole stack",
        [tag("span", fault.kind, class_="pill fault"), f" {fault.happened}"],
        [
            tag("span", f"{fault.ending}{after}", class_=f"pill {fault.ending}"),
            f" {sentence(fault.done)}",
        ],
    )


def _cured_after(at: datetime, cured_at: datetime | None) -> str:
    seconds = (cured_at - at).total_seconds() if cured_at else 0.0
    return f" after {duration(seconds)}" if seconds > 0 else ""


def _never_met(fault: FaultSummary) -> Markup:
    ending = tag("span", fault.ending, class_="pill never-met")
    planned = fault.planned.removeprefix(f"{fault.kind}, ")
    what = [tag("span", fault.kind, class_="pill fault"), f" {planned}: {fault.happened}"]
    return _row("", "", what, [ending, f" {sentence(fault.done)}"])


def _refused_launch(launch: RefusedLaunch) -> Markup:
    what = f"launch refused in {launch.place}: {launch.code}. {launch.message}"
    return _row(f"{launch.at:%d %b %H:%M}", launch.workload_id, [what], [launch.cure])


def _failed_switch(switch: SwitchSummary) -> Markup:
    kind = "failover" if switch.is_failover else "switch"
    what = f"{kind} from {switch.came_from} failed"
    return _row(f"{switch.at:%d %b %H:%M}", switch.workload_id, [what], [switch.outcome])


def _row(when: str, workload_id: str, happened: list[str], done: list[str]) -> Markup:
    return tag(
        "tr",
        tag("td", when, class_="when"),
        tag("td", workload_id, class_="who"),
        tag("td", *happened),
        tag("td", *done),
        data_workload=workload_id,
    )
