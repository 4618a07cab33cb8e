"""What a workload paid, what its pools cost, what had been forecast, and what was decided."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cli.html_report.markup import Markup, hint, joined, path, svg, tag
from cli.html_report.scales import LEFT, RIGHT, WIDTH, TimeScale, ValueScale, fitting, line_names
from cli.html_report.timeline import decision_mark
from simulator.record import InstanceRecord, PriceChange, Record, WorkloadRecord

_TOP, _BOTTOM = 24.0, 176.0
_MARKS = _BOTTOM + 34.0
_STRIP = _MARKS + 12.0


def price_chart(record: Record, workload: WorkloadRecord, time: TimeScale) -> Markup:
    """Prices above, below them the changes of decision and what each cycle decided."""
    usd = ValueScale(_largest(workload), _TOP, _BOTTOM)
    decided = [d for d in record.decisions if d.workload_id == workload.workload_id]
    switches = [s for s in record.summary.switches if s.workload_id == workload.workload_id]
    moved = [time.x(switch.at) for switch in switches]
    return svg(
        WIDTH,
        _STRIP + 14,
        f"Prices of the pools that {workload.workload_id} used, and its decisions",
        time.axis(_TOP, _BOTTOM),
        usd.axis(3 if usd.largest < 0.4 else 2),
        *(tag("line", class_="moved", x1=x, x2=x, y1=_TOP, y2=_MARKS) for x in moved),
        *_idle_pools(workload, time, usd),
        *(_of_instance(instance, time, usd) for instance in workload.instances),
        *_instance_names(workload.instances, time),
        line_names(_names(workload, usd)),
        _row_name("decisions", _MARKS + 4),
        # The rarer ones on top.
        *(decision_mark(d, _MARKS, time) for d in decided if d.kind == "STAY"),
        *(decision_mark(d, _MARKS, time) for d in decided if d.kind != "STAY"),
        *_cycles(workload, time),
    )


def _largest(workload: WorkloadRecord) -> float:
    """On-demand and all that was paid and forecast; pools that were not in use may pass the edge."""
    values = [i.on_demand_usd_per_hour for i in workload.instances]
    for instance in workload.instances:
        values += [change.price_usd_per_hour for change in instance.prices]
    return 1.12 * max(values)


def _steps(
    changes: Sequence[PriceChange], end: datetime, time: TimeScale, usd: ValueScale
) -> list[tuple[float, float]]:
    """A price holds until the next one."""
    points: list[tuple[float, float]] = []
    for change in changes:
        x, y = time.x(change.at), usd.y(change.price_usd_per_hour)
        if points:
            points.append((x, points[-1][1]))
        points.append((x, y))
    return [*points, (time.x(end), points[-1][1])] if points else []


def _idle_pools(workload: WorkloadRecord, time: TimeScale, usd: ValueScale) -> Iterator[Markup]:
    for pool, changes in workload.pool_prices.items():
        if points := _steps(changes, time.end, time, usd):
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
        parts.append(path(_steps(reference, end, time, usd), class_="reference"))
    if points := _steps(instance.prices, end, time, usd):
        told = f"{instance.place}\n" + "\n".join(_listed(instance.prices))
        parts += [path(points, class_=f"paid {instance.lifecycle}"), _hoverable(points, told)]
    return joined(*parts)


def _hoverable(points: list[tuple[float, float]], told: str) -> Markup:
    """A wide invisible line on top: a thin one is hard to hit."""
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", hint(told), class_="grip told", d=drawn)


_LISTED_MAX = 8


def _listed(changes: Sequence[PriceChange]) -> Iterator[str]:
    for change in changes[:_LISTED_MAX]:
        yield f"from {change.at:%d %b %H:%M}: {change.price_usd_per_hour:.4f} USD per hour"
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
            names.append((usd.y(changes[-1].price_usd_per_hour), pool, "spot" if used else ""))
    return names


def _row_name(name: str, y: float) -> Markup:
    return tag("text", name, class_="tick", x=LEFT - 8, y=y, text_anchor="end")


def _cycles(workload: WorkloadRecord, time: TimeScale) -> Iterator[Markup]:
    yield _row_name("every cycle", _STRIP + 8)
    for span in workload.cycles:
        x = time.x(span.start)
        held = ", held" if span.held else ""
        count = "1 cycle" if span.cycles == 1 else f"{span.cycles} cycles"
        told = f"{span.start:%H:%M} to {span.end:%H:%M}: {span.kind}{held}\n{count}"
        yield tag(
            "rect",
            hint(told),
            class_=f"cycle told {span.kind}{' held' if span.held else ''}",
            x=x,
            y=_STRIP,
            width=max(time.x(span.end) - x, 3.0),
            height=8,
        )
