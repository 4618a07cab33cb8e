"""The summary of a simulation as tables for the terminal."""

from math import ceil

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.summary import Summary, SwitchSummary, WorkloadSummary
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE


def print_summary(summary: Summary, console: Console) -> None:
    """Workloads, switches, money: all read from the ledger and the bill of the account."""
    console.print()
    console.print(_workloads(summary))
    for switch in summary.switches:
        _print_switch(switch, console)
    console.print()
    _print_money(summary, console)
    _print_remarks(summary, console)


def _workloads(summary: Summary) -> Table:
    table = Table(title="Workloads (simulated USD)", title_justify="left", show_lines=True)
    table.add_column("workload", overflow="fold")
    for name in ("cost", "all on-demand", "standing still"):
        table.add_column(name, justify="right", max_width=9)
    for workload in summary.workloads:
        table.add_row(
            _story(workload),
            f"{workload.cost_usd:.2f}",
            f"{workload.cost_on_demand_usd:.2f}",
            f"{workload.cost_standing_still_usd:.2f}",
        )
    return table


def _story(workload: WorkloadSummary) -> str:
    place = workload.began_on
    if workload.is_on != workload.began_on:
        place += f" -> {workload.is_on}"
    if workload.status == "managed":
        counts = (f"{count} {kind}" for kind, count in sorted(workload.decisions.items()))
        said = f"{', '.join(counts)}; {counted(workload.switches, 'switch', 'switches')}"
        if workload.failovers:
            failovers = counted(workload.failovers, "failover", "failovers")
            said += f", {failovers}, {duration(workload.downtime_seconds)} down"
        if workload.status_reason.startswith(WITHOUT_STATE):
            said += f"\n[magenta]{WITHOUT_STATE}[/]"
    else:
        said = f"[magenta]{workload.status}[/]: {workload.status_reason}"
    return f"[bold]{workload.workload_id}[/]  {workload.shows}\n{place}\n{said}"


def ending(switch: SwitchSummary) -> str:
    """The outcome of a switch in a word or two."""
    if switch.taken_over:
        return "taken over"
    done = switch.phase == "DONE"
    if switch.is_failover:
        return "failed over" if done else "failover failed"
    return "done" if done else "failed"


def counted(number: int, one: str, several: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else several}"


def duration(seconds: float) -> str:
    """A duration for people: to the second below an hour, rounded up to whole seconds."""
    minutes, rest = divmod(ceil(seconds), 60)
    if minutes >= 60:
        return f"{seconds / 3600:.1f} h"
    if minutes < 2:
        return f"{60 * minutes + rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


_COLORS = {"done": "green", "failed over": "green", "taken over": "yellow"}


def _print_switch(switch: SwitchSummary, console: Console) -> None:
    word = ending(switch)
    console.print(
        f"\n[{_COLORS.get(word, 'red')} bold]{word.upper()}[/] {switch.at:%H:%M}"
        f" [bold]{switch.workload_id}[/]"
        f" {switch.kind} {switch.came_from} -> {switch.went_to}"
    )
    saving = switch.saving_usd_per_hour
    money = "" if saving is None else f"{saving:+.4f} USD per hour"
    rows = {
        "why": switch.why,
        "saving": money,
        "took": _took(switch),
        "outcome": "" if switch.phase == "DONE" and not switch.is_failover else switch.outcome,
        "states": f"[dim]{states_in_order(switch.states)}[/]",
    }
    grid = Table.grid(padding=(0, 2))
    for label, text in rows.items():
        if text:
            grid.add_row(f"  {label}", text)
    console.print(grid)


def _took(switch: SwitchSummary) -> str:
    parts = [f"{switch.seconds:.0f} s"]
    if switch.is_failover and switch.hand_over_seconds is not None:
        parts = [f"{switch.hand_over_seconds:.0f} s until the replacement served"]
    if switch.downtime_seconds is not None:
        parts.append(f"downtime {duration(switch.downtime_seconds)}")
    if switch.refused_launches:
        parts.append(f"{counted(switch.refused_launches, 'launch', 'launches')} refused")
    return ", ".join(parts)


def states_in_order(states: tuple[str, ...]) -> str:
    """States in order; a loop is listed once with its count."""
    steps: list[list[object]] = []
    for state in states:
        known = next((step for step in steps if step[0] == state), None)
        if known is None:
            steps.append([state, 1])
        else:
            known[1] = int(str(known[1])) + 1
    return " > ".join(f"{name}" + (f" x{count}" if count != 1 else "") for name, count in steps)


def _print_money(summary: Summary, console: Console) -> None:
    cost = sum(w.cost_usd for w in summary.workloads)
    on_demand = sum(w.cost_on_demand_usd for w in summary.workloads)
    still = sum(w.cost_standing_still_usd for w in summary.workloads)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.decisions.items()))
    console.print(f"[bold]Decisions[/] {counts}")
    console.print(
        f"[bold]Cost[/] {cost:.2f} USD simulated, overlap included;"
        f" all on-demand {on_demand:.2f} ({_percent(cost, on_demand)}),"
        f" standing still {still:.2f} ({_percent(cost, still)})"
    )


_FAULT_COLORS = {"cured": "green", "undone": "yellow", "open": "red", "never met": "yellow"}


def _print_faults(summary: Summary, console: Console) -> None:
    for fault in summary.faults:
        when = f"{fault.at:%H:%M} {fault.workload_id or 'stack'}" if fault.at else fault.planned
        console.print(
            f"[bold]Fault[/] [{_FAULT_COLORS[fault.ending]}]{fault.ending}[/] {escape(when)}:"
            f" {escape(fault.happened)}. {escape(sentence(fault.done))}"
        )


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def _percent(cost: float, against: float) -> str:
    return f"{100 * (cost / against - 1):+.1f} %" if against else "no comparison"


def _print_remarks(summary: Summary, console: Console) -> None:
    for signal in summary.signals:
        console.print(
            f"[bold]Signal[/] {signal.received_at:%H:%M} {signal.workload_id} {signal.what}:"
            f" {signal.effect}, {escape(signal.reason)}"
        )
    _print_faults(summary, console)
    console.print("[bold]Scripted on top of the market[/]")
    for event in summary.scripted:
        console.print(f"  {event}", markup=False)
    for reason, count in sorted(summary.dropped.items()):
        console.print(f"[bold]Dropped[/] {count} {reason}")
    calls = ", ".join(f"{count} {service}" for service, count in summary.aws_calls.items())
    console.print(f"[bold]AWS calls[/] {calls}")
    console.print(f"[bold]Invariants[/] held in each of {summary.invariant_checks} checks")
