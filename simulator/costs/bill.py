"""The bill of a month."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from simulator.costs.meter import Usage
from simulator.costs.price_table import PRICES, Item, Price

__all__ = ["Bill", "Line", "bill_of"]


@dataclass(frozen=True)
class Line:
    """One item of the bill, and who used most of it."""

    item: Item
    price: Price
    quantity: float
    by: tuple[tuple[str, float], ...]
    """(who, quantity), the largest first."""

    @property
    def usd(self) -> float:
        return self.price.cost_usd(self.quantity)


@dataclass(frozen=True)
class Bill:
    """What a month costs."""

    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)

    @property
    def fixed_usd(self) -> float:
        """Dashboard, custom metrics and alarms: the same for one workload and for a thousand."""
        return sum(line.usd for line in self.lines if line.price.fixed)

    def services(self) -> Iterable[tuple[str, tuple[Line, ...]]]:
        """(service, its lines), the most expensive first."""
        found: dict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            found[line.price.service].append(line)
        ranked = sorted(found.items(), key=lambda each: -sum(line.usd for line in each[1]))
        return ((name, tuple(sorted(lines, key=lambda line: -line.usd))) for name, lines in ranked)


def bill_of(usage: Usage) -> Bill:
    """The bill of a month's usage; items that were not used are left out."""
    used: dict[Item, list[tuple[str, float]]] = defaultdict(list)
    for (item, who), quantity in usage.items():
        used[item].append((who, float(quantity)))
    return Bill(
        tuple(
            Line(
                item,
                PRICES[item],
                sum(quantity for _, quantity in rows),
                tuple(sorted(rows, key=lambda row: -row[1])),
            )
            for item, rows in used.items()
        )
    )
