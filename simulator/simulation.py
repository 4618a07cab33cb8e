"""One simulation: the real template in the embedded account, on a market, with a scenario's workloads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.happenings import Happening, Watcher
from simulator.ledger_view import LedgerView
from simulator.markets import Market
from simulator.scenario import Scenario, Scripted
from simulator.scene import Scene
from simulator.scripted import happen
from simulator.summary import Summary, summarise

_TICK = timedelta(minutes=5)
_RECOVERED = timedelta(minutes=21)
"""Of the last fault: two runs of the sweep (invariant 3)."""
_PATIENCE = timedelta(minutes=45)
"""Of the last fault: then what is not settled yet never will be."""


@dataclass(frozen=True)
class Observer:
    """Whom to tell while it runs."""

    on_tick: Callable[[datetime], None]
    on_happening: Callable[[Happening], None]


def silent() -> Observer:
    """Tells nobody."""
    return Observer(lambda _: None, lambda _: None)


def simulate(
    scenario: Scenario, market: Market, *, seed: int, observer: Observer | None = None
) -> Summary:
    """Run ``scenario`` on ``market`` and sum up what the ledger and the account say afterwards.

    The product's invariants are asserted all the while. Two runs with one seed are alike.
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
        """Let the whole time pass, then let running switches end."""
        waiting = sorted(self.scenario.scripted, key=lambda event: event.hour)
        while self.account.clock.now() < self.market.end:
            while waiting and self._due(waiting[0]) <= self.account.clock.now():
                event = waiting.pop(0)
                told = happen(event, self)
                self._observer.on_happening(
                    Happening(self.account.clock.now(), "", "scripted", told)
                )
            self.pass_time(self._next_look(waiting) - self.account.clock.now())
        # Another cycle would start new switches: only what is under way may end.
        self.account.run_until_quiet()
        self._recover()
        self._look()
        self.auditor.check_quiet(self.injector.last_fault)
        return summarise(self)

    def _due(self, event: Scripted) -> datetime:
        return self.market.start + timedelta(hours=event.hour)

    def _next_look(self, waiting: Sequence[Scripted]) -> datetime:
        """The next event, at the latest the next full tick."""
        ticks = (self.account.clock.now() - self.market.start) // _TICK + 1
        tick = min(self.market.start + ticks * _TICK, self.market.end)
        return min(tick, self._due(waiting[0])) if waiting else tick

    def _recover(self) -> None:
        """Give the sweep the time that it has to clear away what the last fault left."""
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
