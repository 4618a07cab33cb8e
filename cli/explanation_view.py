"""An explanation as tables for the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spot_optimizer.decision.explaining.explanation import Explanation, Group, PoolFacts
from spot_optimizer.services.explain.explanation import Explained

_OF_DOLLARS = (
    "engine",
    "interruption_cost_minutes",
    "expected_stay_hours",
    "switch_overlap_minutes",
    "switch_lost_minutes",
)
"""Settings of the engine ``expected_cost``."""
_OF_LIMITS = (
    "engine",
    "discount_baseline_points",
    "discount_margin_points",
    "switch_gain_points",
    "switch_gain_risk",
    "volatility_baseline",
    "volatility_factor",
    "instability_max",
    "unsafe_premium_fraction",
)
"""Settings of the other engines."""
_BUCKETS = ("<5 %", "5-10 %", "10-15 %", "15-20 %", ">20 %")
_NAMED_IN_A_GROUP = 3


def print_explained(explained: Explained, console: Console) -> None:
    """Print the record, inputs, rivals, rejections, and what would have changed the decision."""
    if explained.explanation is None:
        _print_recorded(explained.recorded, console)
    else:
        _print_explanation(explained.explanation, console)
    if explained.remark:
        console.print(f"\n[yellow]Note[/] {escape(explained.remark)}")


def _print_recorded(recorded: dict[str, Any], console: Console) -> None:
    console.print(
        f"[bold]{escape(str(recorded.get('workload_id', '')))}[/]  {recorded.get('at', '')}  "
        f"[dim]{recorded.get('decision_id', '')}[/]"
    )
    console.print(f"[bold]{recorded.get('kind', '')}[/]  {escape(str(recorded.get('reason', '')))}")
    grid = Table.grid(padding=(0, 2))
    for name, value in sorted(dict(recorded.get("evidence", {})).items()):
        grid.add_row(f"  {name}", escape(str(value)))
    console.print(grid)
    for reason, count in sorted(dict(recorded.get("rejected_counts", {})).items()):
        console.print(f"  {count} rejected: {escape(reason)}")


def _print_explanation(explanation: Explanation, console: Console) -> None:
    decision = explanation.decision
    console.print(
        f"[bold]{escape(decision.workload_id)}[/]  {decision.at:%Y-%m-%d %H:%M:%S} UTC  "
        f"[dim]{decision.decision_id}[/]"
    )
    row = f"row {decision.row}, " if decision.row else ""
    console.print(f"[bold cyan]{explanation.verdict}[/]  [dim]{row}engine {decision.engine}[/]")
    console.print(f"  {escape(decision.reason)}")
    _print_guards(explanation, console)
    _print_inputs(explanation, console)
    _print_settings(explanation, console)
    _print_rivals(explanation, console)
    _print_groups(explanation, console)
    _print_changes(explanation, console)


def _print_guards(explanation: Explanation, console: Console) -> None:
    if explanation.decision.held_by:
        console.print("[bold]Held by[/]")
    elif explanation.guards:
        console.print("[bold]A switch would have been held by[/]")
    for guard in explanation.guards:
        console.print(f"  {escape(guard)}")


def _print_inputs(explanation: Explanation, console: Console) -> None:
    workload, evidence = explanation.workload, explanation.decision.evidence
    grid = Table.grid(padding=(0, 2))
    state = evidence.get("state")
    place = f"{workload.pool} {workload.lifecycle}, {workload.instance_id}, {state}"
    grid.add_row("  place", place)
    grid.add_row(
        "  home type",
        f"{workload.home_type}, {_usd(evidence.get('home_on_demand_usd_per_hour'))} on-demand",
    )
    here = explanation.here
    if here is not None:
        grid.add_row(
            "  price",
            f"{_usd(here.spot_usd_per_hour)} now, {_usd(here.forecast_usd_per_hour)} forecast, "
            f"{_usd(here.forecast_p95_usd_per_hour)} forecast at most (95 %)",
        )
        grid.add_row("  discount", f"{_number(here.discount_points, 1)} points, forecast")
        grid.add_row("  risk", _risk(here))
    if (expected := evidence.get("expected_here_usd_per_hour")) is not None:
        grid.add_row(
            "  expected",
            f"{_usd(expected)} per hour; an interruption costs {_usd(_interruption_usd(explanation))}, "
            f"a switch {_usd(evidence.get('switch_usd'))}",
        )
    grid.add_row("  usage", f"{evidence.get('usage_class')}: {evidence.get('usage')}")
    degraded = f" ({explanation.degraded})" if explanation.degraded else ""
    grid.add_row("  forecast by", escape(f"{explanation.forecaster}{degraded}"))
    if unknown := evidence.get("unknown"):
        grid.add_row("  unknown", escape(str(unknown)))
    console.print("[bold]Inputs[/]")
    console.print(grid)


def _risk(facts: PoolFacts) -> str:
    return (
        f"{_number(facts.risk, 2)}: advisor {_bucket(facts)}, volatility of rises "
        f"{_number(facts.rise_volatility_24h, 3)}, instability {_number(facts.instability, 2)}, "
        f"hazard {_number(facts.hazard_per_hour, 6)} per hour"
    )


def _print_settings(explanation: Explanation, console: Console) -> None:
    thresholds = _OF_LIMITS if _interruption_usd(explanation) is None else _OF_DOLLARS
    console.print("[bold]Thresholds[/]")
    for used in explanation.settings:
        if used.name in thresholds or not used.source.endswith("(default)"):
            value = str(used.value).lower() if isinstance(used.value, bool) else f"{used.value}"
            line = f"  {used.name:<26}{value:<14}[dim]{escape(used.source)}[/]"
            console.print(line, soft_wrap=True)
    console.print(f"  {'types':<26}{','.join(explanation.workload.type_globs)}", soft_wrap=True)
    zones = ", ".join(sorted(explanation.workload.subnets)) or "none"
    console.print(f"  {'zones to launch in':<26}{zones}", soft_wrap=True)
    for zone, reason in sorted(explanation.workload.refused_zones.items()):
        console.print(f"  {'':<26}not {zone}: {escape(reason)}", soft_wrap=True)


def _print_rivals(explanation: Explanation, console: Console) -> None:
    if not explanation.rivals:
        return
    table = Table(title="Best usable pools", title_justify="left", box=None)
    interruption_usd = _interruption_usd(explanation)
    figures = ("discount", "risk") if interruption_usd is None else ("interruptions", "total")
    for name in ("pool", "forecast", *figures, "advisor", "result"):
        right = name in ("forecast", *figures)
        table.add_column(
            name, justify="right" if right else "left", overflow="fold", no_wrap=name == "pool"
        )
    for facts in explanation.rivals:
        table.add_row(
            str(facts.pool),
            _usd(facts.forecast_usd_per_hour),
            *_weighed(facts, interruption_usd),
            _bucket(facts),
            escape(facts.fate),
        )
    console.print(table)


def _interruption_usd(explanation: Explanation) -> float | None:
    """The cost of an interruption, None for engines that do not use it."""
    usd = explanation.decision.evidence.get("interruption_usd")
    return float(usd) if isinstance(usd, int | float) else None


def _weighed(facts: PoolFacts, interruption_usd: float | None) -> tuple[str, str]:
    """What the engine weighs besides the price, and the total."""
    if interruption_usd is None:
        return _number(facts.discount_points, 1), _number(facts.risk, 2)
    if facts.hazard_per_hour is None or facts.forecast_usd_per_hour is None:
        return "-", "-"
    interruptions = facts.hazard_per_hour * interruption_usd
    return _usd(interruptions), _usd(facts.forecast_usd_per_hour + interruptions)


def _print_groups(explanation: Explanation, console: Console) -> None:
    if not explanation.groups:
        return
    console.print(
        f"[bold]Rejected[/] of {explanation.pools} pools, {explanation.usable} of them usable"
    )
    for group in explanation.groups:
        console.print(f"  {group.count:>5}  {escape(_group_text(group))}", soft_wrap=True)


def _group_text(group: Group) -> str:
    if not group.usable:
        return group.reason
    named = ", ".join(
        f"{facts.pool} {_usd(facts.forecast_usd_per_hour)}"
        for facts in group.pools[:_NAMED_IN_A_GROUP]
    )
    more = ", ..." if group.count > _NAMED_IN_A_GROUP else ""
    return f"{group.reason}: {named}{more}"


def _print_changes(explanation: Explanation, console: Console) -> None:
    console.print("[bold]What would have changed it[/]")
    if explanation.verdict.pool is None and explanation.usable:
        why = ", ".join(f"{g.count} {g.reason}" for g in explanation.groups if g.usable)
        console.print(
            f"  a better pool; none of the {explanation.usable} usable ones is better"
            f"{escape(f' because: {why}' if why else '')}",
            soft_wrap=True,
        )
    for each in explanation.would_have_changed:
        needed = " and ".join(f"{c.what} {c.needed} (now {c.now})" for c in each.changes)
        console.print(f"  {escape(needed)}: [cyan]{each.then}[/]", soft_wrap=True)


def _usd(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "unknown"


def _number(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"


def _bucket(facts: PoolFacts) -> str:
    known = 0 <= facts.advisor_bucket < len(_BUCKETS)
    return _BUCKETS[facts.advisor_bucket] if known else "unknown"
