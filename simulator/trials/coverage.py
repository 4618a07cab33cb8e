"""What a set of runs went through."""

from collections import Counter
from functools import cache
from typing import Any

import yaml

from simulator.faults.kinds import FaultKind
from simulator.trials.ground import TEMPLATE
from simulator.trials.run import RunResult
from simulator.trials.trials import RANDOM

_MACHINES = TEMPLATE.parent / "statemachines"


@cache
def definitions() -> dict[str, dict[str, Any]]:
    """State machine -> its states, from the files that are deployed."""
    return {
        path.name.split(".")[0]: yaml.safe_load(path.read_text())["States"]
        for path in sorted(_MACHINES.glob("*.asl.yaml"))
    }


class Coverage:
    """Counts what runs did; asked in the end what none of them did."""

    kinds = tuple(kind.value for kind in FaultKind)

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.violated: Counter[str] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.single = 0
        self.degraded = 0
        """Runs in which a left-over was adopted without its traffic."""
        self.settled_s_max = 0.0
        self._states: set[str] = set()
        self._edges: set[str] = set()

    def add(self, result: RunResult) -> None:
        """Count a run."""
        trial = result.spec.trial
        self.runs[trial] += 1
        self.violated[trial] += result.violation is not None
        self.faults.update((trial, text.rpartition(":")[2]) for text in result.met)
        self.single += trial != RANDOM and len(result.spec.faults) == 1
        self.degraded += bool(result.degraded)
        self._states.update(result.states)
        self._edges.update(result.edges)
        if trial != RANDOM:
            self.settled_s_max = max(self.settled_s_max, result.settled_s)

    @property
    def violations(self) -> int:
        """How many runs violated something."""
        return self.violated.total()

    @property
    def states_entered(self) -> str:
        """Such as ``48 of 48``."""
        return f"{len(_states() & self._states)} of {len(_states())}"

    @property
    def catches_taken(self) -> str:
        """Such as ``31 of 31``."""
        return f"{len(_catches() & self._edges)} of {len(_catches())}"

    def never_entered(self) -> list[str]:
        """States, Catches and kinds of faults that no run has met."""
        met = {kind for _, kind in self.faults}
        return [
            *(f"state {name}" for name in sorted(_states() - self._states)),
            *(f"catch {edge}" for edge in sorted(_catches() - self._edges)),
            *(f"fault {kind}" for kind in self.kinds if kind not in met),
        ]


def _states() -> set[str]:
    return {name for states in definitions().values() for name in states}


def _catches() -> set[str]:
    return {
        f"{name}!{catch['Next']}"
        for states in definitions().values()
        for name, state in states.items()
        for catch in state.get("Catch", ())
    }
