"""``spot-optimizer cost``: the monthly cost of a stack, counted in the embedded account."""

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.plain import print_json
from cli.progress import measuring
from simulator.collector import collect_seldom
from simulator.costs.bill import Bill, bill_of
from simulator.costs.fleet import MIX, typical_fleet
from simulator.costs.month import BEGINNING, Life, Lived, market_for, month_of


def price_a_month(
    *,
    workloads: int,
    days: float,
    seed: int,
    as_json: bool,
) -> None:
    """Count every call of a month and price it: us-east-1, list prices, no free tier."""
    collect_seldom()
    lived = _lived(workloads, days, seed, quiet=as_json)
    bill = bill_of(month_of(lived))
    if as_json:
        print_json(_document(workloads, lived, bill))
    else:
        _print(workloads, lived, bill, Console(highlight=False))


def _lived(workloads: int, days: float, seed: int, *, quiet: bool) -> Lived:
    hours = BEGINNING.total_seconds() / 3600 + 24 * days
    market = market_for(hours + 1, seed)
    with measuring(quiet=quiet) as progress:
        task = progress.add_task("deploying", total=hours)

        def tick(now: datetime) -> None:
            done = (now - market.start).total_seconds() / 3600
            progress.update(task, completed=done, description=f"{now:%a %H:%M}")

        with Life(typical_fleet(workloads), market, seed=seed, on_tick=tick) as life:
            life.begin(BEGINNING)
            return life.go_on(days)


def _print(workloads: int, lived: Lived, bill: Bill, console: Console) -> None:
    table = Table(title=f"A month of {workloads} workloads")
    table.add_column("service")
    table.add_column("item")
    table.add_column("a month", justify="right")
    table.add_column("USD", justify="right")
    for service, lines in bill.services():
        table.add_row(f"[bold]{service}[/]", "", "", f"[bold]{sum(x.usd for x in lines):.2f}[/]")
        for line in lines:
            table.add_row("", line.price.what, _quantity(line.quantity), f"{line.usd:.2f}")
    table.add_section()
    table.add_row("[bold]total[/]", "", "", f"[bold]{bill.usd:.2f}[/]")
    table.add_row(
        "of these fixed", "dashboard, custom metrics, alarms", "", f"{bill.fixed_usd:.2f}"
    )
    per_workload = (bill.usd - bill.fixed_usd) / workloads
    table.add_row("the rest", "by use, per workload", "", f"{per_workload:.4f}")
    console.print(table)
    for note in _notes(lived):
        console.print(f"- {note}", soft_wrap=True)


def _notes(lived: Lived) -> list[str]:
    dates = sorted({line.price.seen for line in bill_of(lived.daily).lines})
    return [
        f"us-east-1, list prices as of {', '.join(dates)}, without the free tier; the cost of the managed"
        " instances is not included.",
        f"Simulated: the first {lived.beginning.total_seconds() / 3600:g} hours once, then"
        f" {lived.days:g} days with {lived.switches} switches and failovers, which represent the rest.",
        f"The workloads: {MIX}.",
        "Lambda's time is estimated: the handlers' CPU time on this computer, scaled to their memory,"
        " and an assumed latency for each call.",
        "Storage is counted as after a full retention period.",
    ]


def _quantity(quantity: float) -> str:
    return f"{quantity:,.0f}" if quantity >= 100 else f"{quantity:.3g}"


def _document(workloads: int, lived: Lived, bill: Bill) -> dict[str, Any]:
    return {
        "workloads": workloads,
        "usd_per_month": round(bill.usd, 4),
        "fixed_usd_per_month": round(bill.fixed_usd, 4),
        "lines": [
            {
                "service": service,
                "item": line.price.what,
                "quantity": line.quantity,
                "usd": round(line.usd, 6),
                "price_usd": line.price.usd,
                "per": line.price.per,
                "source": line.price.page,
                "seen": line.price.seen,
                "by": {who: round(quantity, 6) for who, quantity in line.by},
            }
            for service, lines in bill.services()
            for line in lines
        ],
        "notes": _notes(lived),
    }
