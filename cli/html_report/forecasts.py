"""Changes of spot prices since the launch of an instance, compared with their forecasts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cli.html_report.markup import Markup, joined, path, tag
from cli.html_report.scales import LEFT, RIGHT, TimeScale, steps
from simulator.record import InstanceRecord, WorkloadRecord

_USUAL = 0.95
"""Share of the moments whose forecasts lie within the panel: a surge must not flatten the rest."""
_SMALLEST = 0.01


@dataclass(frozen=True)
class ChangeScale:
    """Change relative to the price at launch; 0 is in the middle, larger changes lie on the edge."""

    launch_usd_per_hour: float
    limit: float
    top: float
    bottom: float

    def y(self, usd_per_hour: float) -> float:
        """Position of a price."""
        change = (usd_per_hour / self.launch_usd_per_hour - 1) / self.limit
        middle, half = (self.top + self.bottom) / 2, (self.bottom - self.top) / 2
        return middle - half * min(max(change, -1.0), 1.0)


def has_changes(workload: WorkloadRecord) -> bool:
    """Whether a spot price that it paid changed, or was forecast to change."""
    return any(
        len(instance.prices) > 1
        or any(band.p05_usd_per_hour != band.p95_usd_per_hour for band in instance.bands)
        for instance in workload.instances
        if instance.lifecycle == "spot"
    )


def forecast_panel(workload: WorkloadRecord, time: TimeScale, top: float, bottom: float) -> Markup:
    """Of each spot instance: price and band in percent of its first price."""
    spot = [instance for instance in workload.instances if instance.lifecycle == "spot"]
    limit = _limit(spot)
    parts = [
        tag("rect", class_="panel", x=LEFT, y=top, width=RIGHT - LEFT, height=bottom - top),
        *_axis(limit, top, bottom),
    ]
    for instance in spot:
        if not instance.prices:
            continue
        change = ChangeScale(instance.prices[0].usd_per_hour, limit, top, bottom)
        if instance.bands:
            high = [(time.x(b.at), change.y(b.p95_usd_per_hour)) for b in instance.bands]
            low = [(time.x(b.at), change.y(b.p05_usd_per_hour)) for b in instance.bands]
            parts.append(path([*high, *reversed(low)], class_="band large"))
        points = steps(instance.prices, instance.end, time, change.y)
        parts.append(path(points, class_="change"))
    return joined(*parts)


def _limit(spot: list[InstanceRecord]) -> float:
    """1, 2 or 5 times a power of ten."""
    changes = sorted(
        abs(price / instance.prices[0].usd_per_hour - 1)
        for instance in spot
        for band in instance.bands
        for price in (band.p05_usd_per_hour, band.p95_usd_per_hour)
        if instance.prices
    )
    usual = changes[int(_USUAL * (len(changes) - 1))] if changes else 0.0
    wanted = max(1.05 * usual, _SMALLEST)
    power = 10.0 ** math.floor(math.log10(wanted) + 1e-9)
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted * (1 - 1e-9))


def _axis(limit: float, top: float, bottom: float) -> Iterator[Markup]:
    percent = f"{100 * limit:g} %"
    for y, name in ((top, f"+{percent}"), ((top + bottom) / 2, "0"), (bottom, f"−{percent}")):
        yield tag("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        yield tag("text", name, class_="tick", x=LEFT - 8, y=y + 4, text_anchor="end")
    yield tag("text", "change since launch", class_="tick", x=RIGHT + 8, y=(top + bottom) / 2 - 2)
    yield tag("text", "and its forecast", class_="tick", x=RIGHT + 8, y=(top + bottom) / 2 + 12)
