"""Cost since the start, compared with all on-demand and with standing still."""

from cli.html_report.markup import Markup, path, svg
from cli.html_report.scales import WIDTH, TimeScale, ValueScale, line_names
from simulator.record import Record

_TOP, _BOTTOM = 12.0, 220.0


def cost_chart(record: Record, time: TimeScale) -> Markup:
    """Three curves that grow from 0; the area between this run and on-demand is the saving."""
    moments = record.costs
    last = moments[-1]
    usd = ValueScale(
        1.05 * max(last.cost_usd, last.on_demand_usd, last.standing_still_usd), _TOP, _BOTTOM
    )
    xs = [time.x(moment.at) for moment in moments]
    cost = [(x, usd.y(m.cost_usd)) for x, m in zip(xs, moments, strict=True)]
    on_demand = [(x, usd.y(m.on_demand_usd)) for x, m in zip(xs, moments, strict=True)]
    still = [(x, usd.y(m.standing_still_usd)) for x, m in zip(xs, moments, strict=True)]
    return svg(
        WIDTH,
        _BOTTOM + 26,
        "Cost since the start",
        time.axis(_TOP, _BOTTOM),
        usd.axis(0 if usd.largest >= 8 else 2),
        path([*on_demand, *reversed(cost)], class_="saved"),
        path(on_demand, class_="curve on-demand"),
        path(still, class_="curve still"),
        path(cost, class_="curve spot"),
        line_names(
            [
                (on_demand[-1][1], f"all on-demand {last.on_demand_usd:.2f}", "on-demand"),
                (still[-1][1], f"standing still {last.standing_still_usd:.2f}", ""),
                (cost[-1][1], f"this run {last.cost_usd:.2f}", "spot"),
            ]
        ),
    )
