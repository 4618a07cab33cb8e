"""Where every workload ran, and what happened to it: one row each."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from cli.html_report.faults import LANE, fault_marks, stack_faults, stack_row
from cli.html_report.markup import Markup, hint, joined, svg, tag
from cli.html_report.scales import LEFT, RIGHT, WIDTH, TimeScale, fitting, shortened
from cli.html_report.shapes import mark
from cli.html_report.signals import right_of_its_signal, signal_marks
from cli.report import duration, ending
from simulator.record import DecisionRecord, InstanceRecord, Record, ScriptedMoment, WorkloadRecord
from simulator.summary import SwitchSummary

_BAR = 17.0
_MARKS = 16.0
_TOP = 24.0


def timeline(record: Record, time: TimeScale) -> Markup:
    """Bars are instances; marks below them are switches, signals and refusals; below those are the
    injected faults."""
    rows: list[Markup] = []
    y = _TOP + 10
    for workload in record.workloads:
        lanes = _lanes(workload.instances)
        height = (max(lanes, default=0) + 1) * (_BAR + 2)
        faults = [f for f in record.summary.faults if f.workload_id == workload.workload_id]
        rows.append(_row(record, workload, lanes, y, height, time))
        y += height + _MARKS
        if faults:
            rows += fault_marks(faults, y + LANE / 2, time)
            y += LANE
        y += 8
    if of_stack := stack_faults(record.summary):
        rows.append(stack_row(of_stack, y + LANE / 2, time))
        y += LANE + 8
    return svg(
        WIDTH,
        y + 24,
        "Instances of every workload over time",
        time.axis(_TOP, y),
        *_scripted(record.scripted, time, y),
        *rows,
    )


def _lanes(instances: Iterable[InstanceRecord]) -> list[int]:
    """A lane for each instance, so that instances that run at the same time do not overlap."""
    free_at: list[InstanceRecord] = []
    lanes = []
    for instance in instances:
        lane = next((i for i, last in enumerate(free_at) if last.end <= instance.start), None)
        if lane is None:
            lane = len(free_at)
            free_at.append(instance)
        else:
            free_at[lane] = instance
        lanes.append(lane)
    return lanes


def _row(
    record: Record,
    workload: WorkloadRecord,
    lanes: list[int],
    y: float,
    height: float,
    time: TimeScale,
) -> Markup:
    summary = next(w for w in record.summary.workloads if w.workload_id == workload.workload_id)
    bars = [
        _bar(instance, y + lane * (_BAR + 2), time, summary.status == "managed")
        for instance, lane in zip(workload.instances, lanes, strict=True)
    ]
    name = tag(
        "text",
        shortened(workload.workload_id, 18),
        hint(workload.workload_id),
        class_="row-name",
        x=LEFT - 10,
        y=y + 13,
        text_anchor="end",
    )
    money = f"{summary.cost_usd:.2f} USD"
    cost = tag("text", money, class_="name", x=RIGHT + 8, y=y + 13)
    base = y + height + _MARKS / 2
    downtimes = _downtimes(record, workload, lanes, y, time)
    return joined(name, *downtimes, *bars, cost, *_marks(record, workload.workload_id, base, time))


def _downtimes(
    record: Record, workload: WorkloadRecord, lanes: list[int], y: float, time: TimeScale
) -> Iterator[Markup]:
    """From the end of an original to the hand-over of its failover, in the original's lane."""
    for switch in record.summary.switches:
        if switch.workload_id != workload.workload_id or not switch.downtime_seconds:
            continue
        served_at = switch.at + timedelta(seconds=switch.hand_over_seconds or 0.0)
        gone_at = served_at - timedelta(seconds=switch.downtime_seconds)
        text = (
            f"no instance served for {duration(switch.downtime_seconds)}\n"
            f"{gone_at:%d %b %H:%M:%S} to {served_at:%d %b %H:%M:%S}"
        )
        x = time.x(gone_at)
        width = max(time.x(served_at) - x, 2.0)
        ends = [abs(instance.end - gone_at) for instance in workload.instances]
        top = y + lanes[ends.index(min(ends))] * (_BAR + 2)
        box = tag("rect", x=x, y=top, width=width, height=_BAR, class_="down")
        yield tag("g", box, hint(text), class_="hinted")


def _bar(instance: InstanceRecord, y: float, time: TimeScale, managed: bool) -> Markup:
    x, width = time.x(instance.start), max(time.x(instance.end) - time.x(instance.start), 2.0)
    place = f"{instance.instance_type} {instance.availability_zone}"
    label = fitting([f"{place} {instance.lifecycle}", place, instance.instance_type], width)
    text = (
        f"{instance.instance_id}\n{instance.place}\n{instance.start:%d %b %H:%M:%S} to"
        f" {instance.end:%d %b %H:%M:%S}\n{instance.cost_usd:.4f} USD"
    )
    return tag(
        "g",
        tag("rect", class_=f"bar {instance.lifecycle}", x=x, y=y, width=width, height=_BAR, rx=3),
        tag("text", label, class_="bar-name", x=x + 6, y=y + 12.5) if label else "",
        hint(text),
        class_="hinted" if managed else "hinted unmanaged",
    )


def _marks(record: Record, workload_id: str, y: float, time: TimeScale) -> Iterator[Markup]:
    signals = [s for s in record.summary.signals if s.workload_id == workload_id]
    switches = [s for s in record.summary.switches if s.workload_id == workload_id]
    places = {s.at: right_of_its_signal(s, signals, time) for s in switches}
    launches = [r for r in record.refused_launches if r.workload_id == workload_id]
    for place, launch in enumerate(launches, start=1):
        before = sum(other.at == launch.at for other in launches[: place - 1])
        text = (
            f"{launch.at:%d %b %H:%M} launch refused\n{launch.place}: {launch.code}\n{launch.cure}"
        )
        # Right of the mark of the switch that it belongs to.
        x = places.get(launch.at, time.x(launch.at))
        yield mark("refused", x + 13 * (before + 1), y, text)
    for decision in record.decisions:
        if decision.workload_id == workload_id and decision.held_by:
            yield decision_mark(decision, y, time)
    yield from signal_marks(signals, y, time)
    for switch in switches:
        yield _switch_mark(switch, places[switch.at], y)
    summary = next(w for w in record.summary.workloads if w.workload_id == workload_id)
    if summary.status == "refused":
        text = shortened(f"not managed: {summary.status_reason}", 130)
        yield tag("text", text, hint(summary.status_reason), class_="note", x=LEFT, y=y + 4)


def decision_mark(decision: DecisionRecord, y: float, time: TimeScale) -> Markup:
    """A change of decision, hollow if a guard held it."""
    held = f"\nheld: {decision.held_by}" if decision.held_by else ""
    text = f"{decision.at:%d %b %H:%M} {decision.kind}\n{decision.reason}{held}"
    return mark(decision.kind, time.x(decision.at), y, text, "held" if held else "")


def _switch_mark(switch: SwitchSummary, x: float, y: float) -> Markup:
    word = ending(switch)
    times = ""
    if switch.is_failover and switch.hand_over_seconds is not None:
        times = f" in {duration(switch.hand_over_seconds)}"
    if switch.downtime_seconds:
        times += f", {duration(switch.downtime_seconds)} of downtime"
    how = {"done": "switched", "failed": "not switched"}.get(word, word)
    text = (
        f"{switch.at:%d %b %H:%M} {how}{times}\n{switch.came_from} → {switch.went_to}\n{switch.why}"
    )
    return mark(word.replace(" ", "-"), x, y, text)


def _scripted(events: Iterable[ScriptedMoment], time: TimeScale, bottom: float) -> Iterator[Markup]:
    last_x = LEFT - 99
    for number, event in enumerate(events, start=1):
        x = time.x(event.at)
        yield tag("line", class_="scripted", x1=x, x2=x, y1=_TOP - 4, y2=bottom)
        last_x = max(x, last_x + 19)
        yield tag(
            "g",
            tag("circle", cx=last_x, cy=_TOP - 13, r=8.5),
            tag("text", str(number), x=last_x, y=_TOP - 9.2, text_anchor="middle"),
            hint(f"{event.at:%H:%M} scripted: {event.text}"),
            class_="badge hinted",
        )
