"""How long a function runs on Lambda, which the embedded account cannot say: a model, in the open.

Billed seconds of an invocation =
    processor time of its own code in this process (what answers it here left out)
        x 1,769 MB / its memory, where that is less (Lambda Developer Guide, "Configure Lambda function
          memory": at 1,769 MB a function has one vCPU)
    + the latency of its calls (``latencies.py``)
    + what it waited in virtual time (retries, rates)
    + its start, where its environment is new.
Graviton's processors and those of this host count as equal.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulator.account.lambdas import Function

__all__ = ["Run", "Stopwatch", "billed_seconds"]

VCPU_MB = 1769
IDLE_LIFE = timedelta(minutes=10)
"""An environment that has had nothing to do for so long is gone. Assumption."""
LIFE = timedelta(hours=2)
"""An environment is replaced after so long in any case. Assumption."""
START_S = 0.7
START_WITH_FORECASTING_S = 2.0
"""Upper limits of the functions' initialization under the runtime's emulator."""


@dataclass
class Run:
    """One invocation: seconds of its start, its own code, its calls and its waits in virtual time, and
    how often it called what."""

    function: Function
    began: datetime
    core_s: float = 0.0
    calls_s: float = 0.0
    waited_s: float = 0.0
    start_s: float = 0.0
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    resumed_at: float | None = None


def billed_seconds(run: Run) -> float:
    """What Lambda bills, by the model above; whole milliseconds."""
    share = max(1.0, VCPU_MB / run.function.memory_mb)
    seconds = run.start_s + run.core_s * share + run.calls_s + run.waited_s
    return max(1, round(seconds * 1000)) / 1000


class Stopwatch:
    """Times the code of handlers, and stops while AWS answers.

    ``seconds`` is the processor time of the calling thread.
    """

    def __init__(self, now: Callable[[], datetime], seconds: Callable[[], float]) -> None:
        self._now, self._seconds = now, seconds
        self._running: dict[int, list[Run]] = {}
        self._environments: dict[str, tuple[datetime, datetime]] = {}
        """Function -> when its environment was made, and last used."""

    @contextmanager
    def timing(self, function: Function) -> Iterator[Run]:
        """Time what happens inside as one invocation."""
        thread = threading.get_ident()
        run = Run(function, self._now(), start_s=self._start(function))
        self._running.setdefault(thread, []).append(run)
        run.resumed_at = self._seconds()
        try:
            yield run
        finally:
            self.stop()
            self._running[thread].pop()
            run.waited_s = (self._now() - run.began).total_seconds()
            made, _ = self._environments[function.name]
            self._environments[function.name] = made, self._now()

    def current(self) -> Run | None:
        """The invocation of the calling thread."""
        stack = self._running.get(threading.get_ident())
        return stack[-1] if stack else None

    def stop(self) -> None:
        """A call has left the function."""
        run = self.current()
        if run is not None and run.resumed_at is not None:
            run.core_s += self._seconds() - run.resumed_at
            run.resumed_at = None

    def resume(self) -> None:
        """The reply is there."""
        run = self.current()
        if run is not None:
            run.resumed_at = self._seconds()

    def _start(self, function: Function) -> float:
        """Seconds of the start of a new environment, 0 for a warm one."""
        now = self._now()
        made, used = self._environments.get(function.name, (now - LIFE, now))
        if now - used < IDLE_LIFE and now - made < LIFE:
            return 0.0
        self._environments[function.name] = now, now
        heavy = any("forecasting" in str(layer) for layer in function.layers)
        return START_WITH_FORECASTING_S if heavy else START_S
