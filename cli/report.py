"""The summary of a simulation as tables for the terminal."""

from math import ceil

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.summary import Summary, SwitchSummary, WorkloadSummary
from spot_optimizer.decision.guards.state_tag import WITHOUT_STATE


def print_summary(summary: Summary, console: Console, *, verbose: bool = False) -> None:
    """Money first, then workloads and switches: all read from the account's ledger and bill."""
    console.print()
    _print_money(summary, console)
    console.print()
    console.print(_workloads(summary))
    if verbose:
        for switch in summary.switches:
            _print_switch(switch, console)
    elif summary.switches:
        console.print()
        console.print(_switches(summary))
    console.print()
    _print_remarks(summary, console)


def _workloads(summary: Summary) -> Table:
    table = _table("Workloads (simulated USD)")
    table.add_column("workload", style="bold", overflow="fold")
    table.add_column("now on", ratio=1)
    for name in ("cost", "on-demand", "unmoved"):
        table.add_column(name, justify="right", no_wrap=True)
    for workload in summary.workloads:
        table.add_row(
            workload.workload_id,
            _story(workload),
            f"{workload.cost_usd:.2f}",
            f"{workload.cost_on_demand_usd:.2f}",
            f"{workload.cost_standing_still_usd:.2f}",
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
    )


def _story(workload: WorkloadSummary) -> str:
    """Where it is, or what is said of it; below that what it shows."""
    if workload.status == "refused":  # the reason has its own line in the story
        said = f"[magenta]{workload.status}[/]"
    elif workload.status != "managed":
        said = f"[magenta]{workload.status}[/]: {escape(workload.status_reason)}"
    elif workload.status_reason.startswith(WITHOUT_STATE):
        said = f"{workload.is_on}, [magenta]{WITHOUT_STATE}[/]"
    else:
        said = workload.is_on
    return f"{said}\n[dim]{escape(workload.shows)}[/]" if workload.shows else said


def _switches(summary: Summary) -> Table:
    table = _table("Switches and failovers")
    for name in ("begun", "workload", "end"):
        table.add_column(name)
    for name in ("took", "downtime"):
        table.add_column(name, justify="right")
    for switch in summary.switches:
        word = ending(switch)
        down_s = switch.downtime_seconds
        table.add_row(
            f"{switch.at:%a %H:%M}",
            switch.workload_id,
            f"[{_COLORS.get(word, 'red')}]{word}[/]",
            duration(switch.seconds),
            "" if down_s is None else duration(down_s),
        )
    return table


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
    hours = (summary.end - summary.start).total_seconds() / 3600
    console.print(
        f"[bold]{cost:.2f} USD[/] simulated for {hours:g} h, overlap of switches included"
    )
    for usd, what in (
        (sum(w.cost_on_demand_usd for w in summary.workloads), "if all ran on-demand"),
        (sum(w.cost_standing_still_usd for w in summary.workloads), "if nothing had been switched"),
    ):
        console.print(f"{usd:.2f} USD {what}: {_saved(cost, usd)}")
    for workload in summary.workloads:
        if workload.forgone_usd > 0:
            console.print(
                f"{workload.forgone_usd:.2f} USD more were forecast to be saved by"
                f" {workload.workload_id}, whose mode is manual: its decisions are only recorded"
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


def _saved(cost: float, against: float) -> str:
    """What a cost saves against another one, in percent."""
    percent = 100 * (1 - cost / against) if against else 0.0
    word = "less" if percent >= 0 else "more"
    return f"this run costs [bold]{abs(percent):.1f} % {word}[/]"


_WORDS = {
    "STAY": "stay",
    "SWITCH": "switch to a better pool",
    "FALLBACK": "fall back to on-demand",
    "EVACUATE": "leave a pool that EC2 takes back",
}


def _print_remarks(summary: Summary, console: Console) -> None:
    counts = ", ".join(
        f"{count} {kind} ({_WORDS.get(kind, kind.lower())})"
        for kind, count in sorted(summary.decisions.items())
    )
    console.print(f"[bold]Decisions[/] {counts}")
    _print_faults(summary, console)
    for reason, count in sorted(summary.dropped.items()):
        console.print(f"[bold]Dropped[/] {count} {reason}")
    calls = ", ".join(f"{count} {service}" for service, count in summary.aws_calls.items())
    console.print(f"[bold]Calls of AWS[/] {calls}")
    checks = counted(summary.invariant_checks, "check", "checks")
    console.print(f"[bold]Invariants[/] held in each of {checks}")
    console.print(
        "[dim]Unmoved: had nothing been switched. A pool is a type in a zone. p95: 95 % of all values"
        " are lower. --verbose shows every decision.[/]"
    )
