"""The prices that a workload paid, those of its pools, their forecasts, and its decisions."""

from collections.abc import Iterator, Sequence

from cli.html_report.forecasts import forecast_panel, has_changes
from cli.html_report.markup import Markup, hint, joined, path, svg, tag
from cli.html_report.scales import (
    LEFT,
    RIGHT,
    WIDTH,
    TimeScale,
    ValueScale,
    fitting,
    line_names,
    steps,
)
from cli.html_report.timeline import decision_mark
from cli.report import ending
from simulator.record import InstanceRecord, PriceChange, Record, WorkloadRecord

_TOP, _BOTTOM = 24.0, 160.0
_PANEL_TOP, _PANEL_BOTTOM = _BOTTOM + 22.0, _BOTTOM + 74.0


def price_chart(record: Record, workload: WorkloadRecord, time: TimeScale) -> Markup:
    """Prices on top; below them their change against the forecast, if any; then decisions."""
    with_panel = has_changes(workload)
    bottom = _PANEL_BOTTOM if with_panel else _BOTTOM
    marks = bottom + 34.0
    usd = ValueScale(_largest(workload), _TOP, _BOTTOM)
    return svg(
        WIDTH,
        marks + (26 if workload.cycles else -10),
        f"Prices of the pools that {workload.workload_id} used, and its decisions",
        time.axis(_TOP, bottom),
        usd.axis(3 if usd.largest < 0.4 else 2),
        forecast_panel(workload, time, _PANEL_TOP, _PANEL_BOTTOM) if with_panel else "",
        *_switch_lines(record, workload, time, marks),
        *_idle_pools(workload, time, usd),
        *(_of_instance(instance, time, usd) for instance in workload.instances),
        *_instance_names(workload.instances, time),
        line_names(_names(workload, usd)),
        *_decided(record, workload, time, marks),
    )


def _switch_lines(
    record: Record, workload: WorkloadRecord, time: TimeScale, bottom: float
) -> Iterator[Markup]:
    for switch in record.summary.switches:
        if switch.workload_id == workload.workload_id:
            style = f"switch {ending(switch).replace(' ', '-')}"
            x = time.x(switch.at)
            yield tag("line", class_=style, x1=x, x2=x, y1=_TOP, y2=bottom)


def _decided(
    record: Record, workload: WorkloadRecord, time: TimeScale, y: float
) -> Iterator[Markup]:
    if not workload.cycles:
        return
    yield _row_name("decisions", y + 4)
    changes = [d for d in record.decisions if d.workload_id == workload.workload_id]
    # The rarer ones on top.
    for decision in sorted(changes, key=lambda change: change.kind != "STAY"):
        yield decision_mark(decision, y, time)
    yield _row_name("every cycle", y + 20)
    yield from _cycles(workload, time, y + 12)


def _largest(workload: WorkloadRecord) -> float:
    """On-demand and all paid and forecast prices fit; prices of unused pools may lie on the edge."""
    values = [i.on_demand_usd_per_hour for i in workload.instances]
    for instance in workload.instances:
        values += [change.usd_per_hour for change in instance.prices]
    return 1.12 * max(values)


def _idle_pools(workload: WorkloadRecord, time: TimeScale, usd: ValueScale) -> Iterator[Markup]:
    for pool, changes in workload.pool_prices.items():
        if points := steps(changes, time.end, time, usd.y):
            yield path(points, class_="idle-price")
            yield _hoverable(points, f"{pool}, spot price")


def _of_instance(instance: InstanceRecord, time: TimeScale, usd: ValueScale) -> Markup:
    end = instance.end
    parts = []
    if instance.bands:
        high = [(time.x(b.at), usd.y(b.p95_usd_per_hour)) for b in instance.bands]
        low = [(time.x(b.at), usd.y(b.p05_usd_per_hour)) for b in instance.bands]
        parts.append(path([*high, *reversed(low)], class_="band"))
    if instance.lifecycle == "spot":
        reference = (PriceChange(instance.start, instance.on_demand_usd_per_hour),)
        parts.append(path(steps(reference, end, time, usd.y), class_="reference"))
    if points := steps(instance.prices, end, time, usd.y):
        text = f"{instance.place}\n" + "\n".join(_listed(instance.prices))
        parts += [path(points, class_=f"paid {instance.lifecycle}"), _hoverable(points, text)]
    return joined(*parts)


def _hoverable(points: list[tuple[float, float]], text: str) -> Markup:
    """A wide invisible line on top, since a thin line is hard to point at."""
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", hint(text), class_="grip hinted", d=drawn)


_LISTED_MAX = 8


def _listed(changes: Sequence[PriceChange]) -> Iterator[str]:
    for change in changes[:_LISTED_MAX]:
        yield f"from {change.at:%d %b %H:%M}: {change.usd_per_hour:.4f} USD per hour"
    if len(changes) > _LISTED_MAX:
        yield f"and {len(changes) - _LISTED_MAX} more changes"


def _instance_names(instances: Sequence[InstanceRecord], time: TimeScale) -> Iterator[Markup]:
    ends = [time.x(instance.start) for instance in instances[1:]] + [RIGHT]
    for instance, end in zip(instances, ends, strict=True):
        x = time.x(instance.start)
        name = f"{instance.instance_type}/{instance.availability_zone}"
        if label := fitting([instance.place, name, instance.instance_type], end - x):
            yield tag("text", label, class_=f"place {instance.lifecycle}", x=x + 4, y=_TOP - 9)


def _names(workload: WorkloadRecord, usd: ValueScale) -> list[tuple[float, str, str]]:
    last = workload.instances[-1]
    current = f"{last.instance_type}/{last.availability_zone}"
    on_demand = last.on_demand_usd_per_hour
    names = [(usd.y(on_demand), f"on-demand {on_demand:.4f}", "on-demand")]
    for pool, changes in workload.pool_prices.items():
        if changes:
            used = last.lifecycle == "spot" and pool == current
            names.append((usd.y(changes[-1].usd_per_hour), pool, "spot" if used else ""))
    return names


def _row_name(name: str, y: float) -> Markup:
    return tag("text", name, class_="tick", x=LEFT - 8, y=y, text_anchor="end")


def _cycles(workload: WorkloadRecord, time: TimeScale, y: float) -> Iterator[Markup]:
    for span in workload.cycles:
        x = time.x(span.start)
        held = ", held" if span.held else ""
        count = "1 cycle" if span.cycles == 1 else f"{span.cycles} cycles"
        text = f"{span.start:%H:%M} to {span.end:%H:%M}: {span.kind}{held}\n{count}"
        yield tag(
            "rect",
            hint(text),
            class_=f"cycle hinted {span.kind}{' held' if span.held else ''}",
            x=x,
            y=y,
            width=max(time.x(span.end) - x, 3.0),
            height=8,
        )
