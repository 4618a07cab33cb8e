"""One simulation: a scenario runs from its first hour to its last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.happenings import Happening, Watcher
from simulator.ledger_view import LedgerView
from simulator.markets import Market
from simulator.scenario import Scenario
from simulator.scenario_events import Scripted
from simulator.scene import Scene
from simulator.scripted import happen
from simulator.summary import Summary, summarize

_TICK = timedelta(minutes=5)
_RECOVERED = timedelta(minutes=21)
"""After the last fault: two runs of the sweep (invariant 3)."""
_PATIENCE = timedelta(minutes=45)
"""After the last fault: what is not settled by then never will be."""


@dataclass(frozen=True)
class Observer:
    """What is called while it runs."""

    on_tick: Callable[[datetime], None]
    on_happening: Callable[[Happening], None]


def silent() -> Observer:
    """An observer that does nothing."""
    return Observer(lambda _: None, lambda _: None)


def simulate(
    scenario: Scenario, market: Market, *, seed: int, observer: Observer | None = None
) -> Summary:
    """Run ``scenario`` on ``market`` and summarize the ledger and the account.

    The product's invariants are asserted throughout. Two runs with one seed are identical.
    """
    with Simulation(scenario, market, seed=seed, observer=observer or silent()) as simulation:
        return simulation.run()


class Simulation(Scene):
    """A scene that runs: time passes, what is scripted happens, invariants are checked."""

    def __init__(
        self, scenario: Scenario, market: Market, *, seed: int, observer: Observer
    ) -> None:
        super().__init__(scenario, market, seed=seed)
        self._observer = observer

    def _set_up(self) -> None:
        super()._set_up()
        self._watcher = Watcher(self.account, self.aftermath)

    def run(self) -> Summary:
        """Run the whole time, then let running switches end."""
        waiting = sorted(self.scenario.scripted, key=lambda event: event.hour)
        while self.account.clock.now() < self.market.end:
            while waiting and self._due(waiting[0]) <= self.account.clock.now():
                event = waiting.pop(0)
                text = happen(event, self)
                self._observer.on_happening(
                    Happening(self.account.clock.now(), "", "scripted", text)
                )
            self.pass_time(self._next_look(waiting) - self.account.clock.now())
        # No further cycle: it would start new switches.
        self.account.run_until_quiet()
        self._recover()
        self._look()
        self.auditor.check_quiet(self.injector.last_fault)
        return summarize(self)

    def _due(self, event: Scripted) -> datetime:
        return self.market.start + timedelta(hours=event.hour)

    def _next_look(self, waiting: Sequence[Scripted]) -> datetime:
        """The next event, at the latest the next full tick."""
        ticks = (self.account.clock.now() - self.market.start) // _TICK + 1
        tick = min(self.market.start + ticks * _TICK, self.market.end)
        return min(tick, self._due(waiting[0])) if waiting else tick

    def _recover(self) -> None:
        """Give the sweep its time to clear what the last fault left."""
        last = self.injector.last_fault
        if last is None:
            return
        self.account.run_until(max(last, self.account.clock.now()))
        while self.account.clock.now() < last + (_RECOVERED if self._is_settled() else _PATIENCE):
            self.pass_time(_TICK)

    def _is_settled(self) -> bool:
        ledger = LedgerView(self.account)
        return all(switch.ended_at is not None for switch in ledger.switches()) and not any(
            workload.claim_switch_id for workload in ledger.workloads().values()
        )

    def pass_time(self, duration: timedelta) -> None:
        """Let time run, and look at what happened."""
        self.account.run_for(duration)
        self.world.advance()
        self._look()

    def _look(self) -> None:
        for happening in self._watcher.news():
            self._observer.on_happening(happening)
        self.auditor.check()
        self._observer.on_tick(self.account.clock.now())
