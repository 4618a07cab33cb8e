"""Which states, transitions and faults a set of runs has entered."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from simulator.deployed import TEMPLATE
from simulator.faults.kinds import FaultKind
from simulator.trials.run import RunResult
from simulator.trials.trials import RANDOM

_DEFINITIONS = TEMPLATE.parent / "statemachines"


@cache
def definitions() -> dict[str, dict[str, Any]]:
    """Logical id of a state machine -> its states, from the files that are deployed."""
    return {
        path.name.split(".")[0].replace("_", " ").title().replace(" ", ""): yaml.safe_load(
            path.read_text()
        )["States"]
        for path in sorted(_DEFINITIONS.glob("*.asl.yaml"))
    }


class Coverage:
    """Counts what runs entered, and lists what none of them did."""

    kinds = tuple(kind.value for kind in FaultKind)

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.violated: list[RunResult] = []
        self.faults: Counter[tuple[str, str]] = Counter()
        self.single = 0
        self.slowest: RunResult | None = None
        """The run of a trial that needed the longest time from its last fault until it was quiet."""
        self._states: set[str] = set()
        self._edges: set[str] = set()

    def add(self, result: RunResult) -> None:
        """Count a run."""
        trial = result.spec.trial
        self.runs[trial] += 1
        if result.violation is not None:
            self.violated.append(result)
        self.faults.update((trial, text.rpartition(":")[2]) for text in result.met)
        self.single += trial != RANDOM and len(result.spec.faults) == 1
        self._states.update(result.states)
        self._edges.update(result.edges)
        slowest_s = self.slowest.settled_s if self.slowest else 0.0
        if trial != RANDOM and result.settled_s > slowest_s:
            self.slowest = result

    def faults_by_kind(self) -> dict[str, int]:
        """How many faults of each kind happened, in all trials."""
        return {
            kind: sum(count for (_, each), count in self.faults.items() if each == kind)
            for kind in self.kinds
        }

    @property
    def states_entered(self) -> str:
        """Such as ``48 of 48``."""
        return f"{len(_states() & self._states)} of {len(_states())}"

    @property
    def catches_taken(self) -> str:
        """Such as ``31 of 31``."""
        return f"{len(_catches() & self._edges)} of {len(_catches())}"

    @property
    def choices_made(self) -> str:
        """Such as ``38 of 38``."""
        return f"{len(_choices() & self._edges)} of {len(_choices())}"

    def never_entered(self) -> list[str]:
        """States, Catches, exits of Choices and kinds of faults that no run has entered."""
        met = {kind for _, kind in self.faults}
        return [
            *(f"state {name}" for name in sorted(_states() - self._states)),
            *(f"catch {edge}" for edge in sorted(_catches() - self._edges)),
            *(f"choice {edge}" for edge in sorted(_choices() - self._edges)),
            *(f"fault {kind}" for kind in self.kinds if kind not in met),
        ]


def _states() -> set[str]:
    return {f"{state_machine}/{name}" for state_machine, name, _ in _all()}


def _catches() -> set[str]:
    return {
        f"{state_machine}/{name}!{catch['Next']}"
        for state_machine, name, state in _all()
        for catch in state.get("Catch", ())
    }


def _choices() -> set[str]:
    return {
        f"{state_machine}/{name}>{following}"
        for state_machine, name, state in _all()
        if state["Type"] == "Choice"
        for following in (*(choice["Next"] for choice in state["Choices"]), state["Default"])
    }


def _all() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for state_machine, states in definitions().items():
        for name, state in states.items():
            yield state_machine, name, state
