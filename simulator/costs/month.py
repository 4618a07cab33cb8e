"""A month of a stack, from a day of it.

A month of many workloads at five-minute cycles cannot be lived through call by call. What is lived
through is its beginning, which happens once (adoption, the first moves, the back-fill of the price
history), and so many whole days after it, which stand for all others::

    month = beginning + days watched x (days of a month - beginning) / days watched

What is stored is counted as if the retention were full (``storage.py``); alarms and dashboards are
those of the deployed stack.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Self

from simulator.account import Call, EmbeddedAccount
from simulator.costs import storage
from simulator.costs.compute import Run
from simulator.costs.fleet import INTERRUPTED_PER_MONTH
from simulator.costs.meter import Meter, Usage
from simulator.costs.price_table import HOURS_PER_MONTH, Item
from simulator.markets import Market, builtin_market
from simulator.scenario import Scenario
from simulator.scenario_events import Interruption
from simulator.scripted import happen
from simulator.simulation import Simulation, silent

__all__ = ["BEGINNING", "HISTORY_DAYS", "Life", "Lived", "market_for", "month_of"]

BEGINNING = timedelta(hours=8)
"""Adoption takes a cycle for 100 instances, the back-fill of 90 days some six hours, ten switches are in
flight at a time."""
HISTORY_DAYS = 20.0
"""What the shipped model needs before it forecasts: 16 days."""

_TICK = timedelta(minutes=5)
_LOGS = "logs"


@dataclass(frozen=True)
class Lived:
    """Usage at the beginning, and in the days after it."""

    beginning: timedelta
    days: float
    once: Usage
    daily: Usage
    """Of all ``days``."""
    stored_at_begin: storage.Stored
    stored_at_end: storage.Stored
    kept_days: Mapping[str, float]
    deployed: Mapping[Item, int]
    """Metrics of alarms, and dashboards."""
    switches: int
    """Executions that began in ``days``."""
    calls: Counter[Call]
    """All calls of AWS, from the first moment on."""


def market_for(hours: float, seed: int) -> Market:
    """The built-in market, with the history that the shipped model needs."""
    return builtin_market(seed, None, hours, history_days=HISTORY_DAYS)


class Life:
    """A stack with workloads, metered from its deployment on.

    Args:
        interrupted_per_month: share of the workloads that EC2 interrupts in a month; at least one in
            each span of days unless it is 0: a failover has its cost too.
        seconds: processor time of the calling thread, by default the real one.
        on_tick: called with the time every five minutes.
        on_run: called with every invocation.
    """

    def __init__(
        self,
        scenario: Scenario,
        market: Market,
        *,
        seed: int,
        interrupted_per_month: float = INTERRUPTED_PER_MONTH,
        seconds: Callable[[], float] | None = None,
        on_tick: Callable[[datetime], None] = lambda _: None,
        on_run: Callable[[Run], None] = lambda _: None,
    ) -> None:
        self.simulation = Simulation(scenario, market, seed=seed, observer=silent())
        self._seconds, self._on_tick, self._on_run = seconds, on_tick, on_run
        self._interrupted_per_month = interrupted_per_month
        self._days = 0.0
        self._once, self._daily = Usage(), Usage()
        self._stored = storage.Stored()

    def __enter__(self) -> Self:
        self.simulation.__enter__()
        account = self.simulation.account
        self._start = account.clock.now()
        self.meter = Meter(account, on_run=self._on_run, seconds=self._seconds)
        return self

    def __exit__(self, *details: object) -> None:
        self.simulation.__exit__(*details)

    def begin(self, beginning: timedelta) -> None:
        """Run the beginning: what happens once."""
        self.live_until(self._start + beginning)
        self._once, self._stored = self.meter.take(), storage.look(self.simulation.account)
        self._beginning = beginning
        self._ran = len(self.simulation.account.executions())

    def go_on(self, days: float) -> Lived:
        """Run so many days more; returns everything since the beginning."""
        start = self._start + self._beginning + timedelta(days=self._days)
        span = timedelta(days=days)
        workloads = self.simulation.scenario.workloads
        share_of_month = 24 * days / HOURS_PER_MONTH
        hit = ceil(len(workloads) * self._interrupted_per_month * share_of_month)
        for number in range(hit):
            self.live_until(start + span * (number + 0.5) / hit)
            happen(Interruption(hour=0, workload=workloads[number].name), self.simulation)
        self.live_until(start + span)
        self._days += days
        for (item, who), quantity in self.meter.take().items():
            self._daily.add(item, who, quantity)
        account = self.simulation.account
        return Lived(
            beginning=self._beginning,
            days=self._days,
            once=self._once,
            daily=Usage(self._daily),
            stored_at_begin=self._stored,
            stored_at_end=storage.look(account),
            kept_days=_kept_days(account),
            deployed=_deployed(account),
            switches=len(account.executions()) - self._ran,
            calls=Counter(account.calls),
        )

    def live_until(self, until: datetime) -> None:
        """Let the schedules, the market and the instances go on."""
        account = self.simulation.account
        while (now := account.clock.now()) < until:
            account.run_until(min(now + _TICK, until))
            self.simulation.world.advance()
            self._on_tick(account.clock.now())


def month_of(lived: Lived) -> Usage:
    """The usage of a whole month."""
    hours_left = HOURS_PER_MONTH - lived.beginning.total_seconds() / 3600
    times = hours_left / 24 / lived.days
    month = Usage(lived.once)
    for (item, who), quantity in lived.daily.items():
        month.add(item, who, quantity * times)
    for item, count in lived.deployed.items():
        month.add(item, "stack", count)
    sizes = storage.full_gb(lived.stored_at_begin, lived.stored_at_end, lived.days, lived.kept_days)
    for folder, gb in sizes.items():
        is_table = folder == storage.ITEMS
        month.add(Item.DYNAMODB_STORAGE if is_table else Item.S3_STORAGE, folder, gb)
    month.add(Item.DYNAMODB_RECOVERY, storage.ITEMS, sizes[storage.ITEMS])
    logs_gb = sum(quantity for (item, _), quantity in month.items() if item is Item.LOGS)
    months_kept = lived.kept_days[_LOGS] * 24 / HOURS_PER_MONTH
    month.add(Item.LOGS_STORED, "log groups", logs_gb * months_kept)
    return month


def _kept_days(account: EmbeddedAccount) -> dict[str, float]:
    """Retention in days, from the template."""
    properties = account.stack.properties
    rules = properties["DataBucket"]["LifecycleConfiguration"]["Rules"]
    kept = {rule["Prefix"]: float(rule["ExpirationInDays"]) for rule in rules}
    kept[storage.ITEMS] = float(account.stack.functions[0].environment["RETENTION_DAYS"])
    kept[_LOGS] = float(properties["Logs"]["RetentionInDays"])
    return kept


def _deployed(account: EmbeddedAccount) -> dict[Item, int]:
    types = Counter(account.stack.types.values())
    return {
        Item.ALARMS: sum(
            len([m for m in properties.get("Metrics", [{"MetricStat": {}}]) if "MetricStat" in m])
            for name, properties in account.stack.properties.items()
            if account.stack.types[name] == "AWS::CloudWatch::Alarm"
        ),
        Item.DASHBOARDS: types["AWS::CloudWatch::Dashboard"],
    }
