"""Counts what a stack uses while it runs in the embedded account."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from simulator.account import EmbeddedAccount
from simulator.account.interception import WireCall
from simulator.account.lambdas import Function
from simulator.costs.call_units import charges, items_before
from simulator.costs.compute import Run, Stopwatch, billed_seconds
from simulator.costs.latencies import call_seconds
from simulator.costs.price_table import HOURS_PER_MONTH, Item
from simulator.costs.tables import Tables

__all__ = ["Meter", "Usage"]


class Usage(dict[tuple[Item, str], float]):
    """(item, who used it) -> how much."""

    def add(self, item: Item, who: str, quantity: float) -> None:
        """Add a quantity."""
        self[item, who] = self.get((item, who), 0.0) + quantity


LOG_LINE_BYTES = 26
"""Counted for each line beside its text (Amazon CloudWatch Logs, PutLogEvents)."""
LAMBDA_LINES_BYTES = 1_000
"""What Lambda itself logs of an invocation in JSON: platform.start and platform.report."""
KEY_CACHED_S = 300
"""DynamoDB asks for a table's key again after five minutes, for each caller (AWS KMS Developer Guide,
"How Amazon DynamoDB uses AWS KMS")."""
STEPS_OF_AN_EXECUTION = 2
"""Its start and its end count as transitions (AWS Step Functions pricing, example)."""


class Meter:
    """Stands between the stack and AWS, answers nothing itself, and counts.

    What the driver calls is not the stack's. Everything counts for the moment at which it happens;
    :meth:`take` hands over what was counted since the last time.
    """

    def __init__(
        self,
        account: EmbeddedAccount,
        *,
        seconds: Callable[[], float] | None = None,
        on_run: Callable[[Run], None] = lambda _: None,
    ) -> None:
        self._account, self._on_run = account, on_run
        self._tables = Tables(account.account_id)
        self._watch = Stopwatch(account.clock.now, seconds or time.thread_time)
        self._usage = Usage()
        self._before: dict[int, tuple[int, ...]] = {}
        self._metric_hours: set[tuple[str, ...]] = set()
        self._key_windows: set[tuple[str, int]] = set()
        self._read = 0
        self._transitions: dict[str, int] = {}
        account.stand_between(self, lambda *_: (timedelta(0),))
        account.lambdas.around = self._around

    # --- what stands between the callers and AWS --------------------------------------------------

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        """Note the size of its items, and let the call pass."""
        self._watch.stop()
        if call.caller.kind != "driver":
            self._before[id(call)] = items_before(call, self._tables)
        return None

    def arrives_twice(self, call: WireCall) -> bool:
        """Never."""
        del call
        return False

    def after(
        self, call: WireCall, status: int, reply: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        """Count the call, and leave its reply as it is."""
        if call.caller.kind != "driver":
            self._count(call, status, reply)
        self._watch.resume()
        return None

    def _count(self, call: WireCall, status: int, reply: Mapping[str, Any]) -> None:
        who = f"{call.caller.name} {call.service}:{call.operation}"
        before = self._before.pop(id(call), ())
        for item, quantity in charges(call, status, reply, before, self._tables):
            self._usage.add(item, who, quantity)
        if call.service == "dynamodb":
            window = int(self._account.clock.now().timestamp()) // KEY_CACHED_S
            if (call.caller.name, window) not in self._key_windows:
                self._key_windows.add((call.caller.name, window))
                self._usage.add(Item.KEY_REQUESTS, call.caller.name, 1)
        run = self._watch.current()
        if run is not None:
            run.calls_s += call_seconds(call.service, call.operation, call.params, reply)
            name = (call.service, call.operation)
            run.calls[name] = run.calls.get(name, 0) + 1

    # --- invocations ---------------------------------------------------------------------------------

    @contextmanager
    def _around(self, function: Function) -> Iterator[None]:
        with self._watch.timing(function) as run:
            yield
        who = function.logical_id
        self._usage.add(Item.LAMBDA_REQUESTS, who, 1)
        if not any(caller.kind == "states" for caller in self._account.callers.chain()):
            self._usage.add(Item.TRACES, who, 1)
        gb_seconds = billed_seconds(run) * function.memory_mb / 1024
        self._usage.add(Item.LAMBDA_GB_SECONDS, who, gb_seconds)
        self._on_run(run)

    def _read_trace(self) -> None:
        """Logs and metrics of the invocations since the last look."""
        trace = self._account.trace
        for entry in trace[self._read :]:
            lines = entry.logs.splitlines()
            size = sum(len(line.encode()) + LOG_LINE_BYTES for line in lines) + LAMBDA_LINES_BYTES
            self._usage.add(Item.LOGS, entry.function, size / 1e9)
            for line in lines:
                if line.startswith('{"_aws"'):
                    self._count_metrics(json.loads(line), entry.time)
        self._read = len(trace)

    def _count_metrics(self, line: Mapping[str, Any], at: datetime) -> None:
        """Custom metrics are paid by the hour in which they are sent (Amazon CloudWatch pricing)."""
        hour = f"{at:%Y-%m-%dT%H}"
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = tuple(f"{name}={line[name]}" for name in names)
                for metric in directive["Metrics"]:
                    key = (directive["Namespace"], metric["Name"], *dimensions, hour)
                    if key not in self._metric_hours:
                        self._metric_hours.add(key)
                        shown = " ".join((metric["Name"], *dimensions))
                        self._usage.add(Item.METRICS, shown, 1 / HOURS_PER_MONTH)

    def _read_executions(self) -> None:
        """What executions have done since the last look; one that still runs is counted on later. A
        function that an execution invokes is in its trace."""
        for execution in self._account.executions():
            total = _transitions(self._account.history_of(execution.name))
            known = self._transitions.get(execution.name, 0)
            self._usage.add(Item.TRANSITIONS, execution.state_machine, total - known)
            self._usage.add(Item.TRACES, execution.state_machine, not known)
            self._transitions[execution.name] = total

    # --- what was counted ----------------------------------------------------------------------------

    def take(self) -> Usage:
        """What was counted since the last time."""
        self._read_trace()
        self._read_executions()
        taken, self._usage = self._usage, Usage()
        return taken


def _transitions(history: list[dict[str, Any]]) -> int:
    """State entries, retries, start and end."""
    kinds = Counter(event["type"] for event in history)
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    tried = kinds["TaskScheduled"] + kinds["LambdaFunctionScheduled"]
    return entered + max(0, tried - kinds["TaskStateEntered"]) + STEPS_OF_AN_EXECUTION
