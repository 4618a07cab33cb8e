"""One run of one trial on prepared ground, and its result."""

import hashlib
import importlib
import json
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from simulator.faults.places import parse_fault
from simulator.invariants import InvariantViolated
from simulator.trials import crowd
from simulator.trials.ground import Ground, TrialFailed
from simulator.trials.trials import RANDOM, TRIALS
from simulator.trials.verdict import judge, run_until_settled


@dataclass(frozen=True)
class RunSpec:
    """What is to be run.

    Attributes:
        seed: of identifiers, jitter, boot times and, in a random trial, of all that happens.
        faults: as :func:`simulator.faults.places.parse_fault` reads them.
        without: ``module:function`` that removes a protection from the product before the run.
    """

    trial: str
    seed: int
    faults: tuple[str, ...] = ()
    without: str = ""

    @property
    def command(self) -> str:
        """The command that repeats it."""
        faults = "".join(f" --fault {fault}" for fault in self.faults)
        return f"spot-optimizer soak --trial {self.trial}{faults} --seed {self.seed}"


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        violation: what went wrong, or None.
        calls: each call of the product, and the kinds of faults possible for it.
        met: the faults that happened.
        states: ``StateMachine/state`` of all executions.
        edges: ``StateMachine/state>next`` of every step, ``StateMachine/state!next`` of a Catch.
        trace: digest of all calls and of the ledger at the end.
    """

    spec: RunSpec
    violation: str | None
    calls: tuple[tuple[str, ...], ...]
    deliveries: int
    met: tuple[str, ...]
    states: tuple[str, ...]
    edges: tuple[str, ...]
    outcomes: tuple[str, ...]
    settled_s: float
    trace: str
    real_s: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "RunResult":
        """The reverse of :meth:`to_json`."""
        fields = json.loads(text)
        spec = fields.pop("spec")
        return cls(
            spec=RunSpec(**{name: _tuples(value) for name, value in spec.items()}),
            **{key: _tuples(value) for key, value in fields.items()},
        )


def run(ground: Ground, spec: RunSpec) -> RunResult:
    """Run the trial with its faults; violations are caught and reported."""
    trial, begun = TRIALS[spec.trial], time.perf_counter()
    ground.account.reseed(spec.seed)
    ground.world.reseed(spec.seed)
    ground.rng = Random(spec.seed)
    drawn = crowd.faults(spec.seed) if spec.trial == RANDOM and not spec.faults else ()
    if spec.without:
        module, _, function = spec.without.partition(":")
        getattr(importlib.import_module(module), function)(ground)
    ground.injector.arm([*map(parse_fault, spec.faults), *drawn])
    violation = None
    try:
        trial.act(ground)
        run_until_settled(ground, trial)
        judge(ground, trial)
        trial.expect(ground)
    except (InvariantViolated, TrialFailed) as error:
        violation = f"{type(error).__name__}: {error}"
    except Exception:
        violation = traceback.format_exc()
    return _result(ground, spec, violation, time.perf_counter() - begun)


def _result(ground: Ground, spec: RunSpec, violation: str | None, real_s: float) -> RunResult:
    injector = ground.injector
    edges = sorted(
        {
            f"{state_machine}/{edge}"
            for state_machine, each in _histories(ground)
            for edge in _edges(each)
        }
    )
    executions = ground.account.executions()
    return RunResult(
        spec=spec,
        violation=violation,
        calls=tuple((str(passed), *passed.kinds) for passed in injector.passed),
        deliveries=injector.deliveries,
        met=tuple(map(str, injector.met)),
        states=tuple(
            sorted({f"{e.state_machine}/{state}" for e in executions for state in e.states})
        ),
        edges=tuple(edges),
        outcomes=tuple(
            f"{switch.workload_id} {switch.phase.value}" for switch in ground.ledger.switches()
        ),
        settled_s=0.0
        if injector.last_fault is None
        else (ground.now - injector.last_fault).total_seconds(),
        trace=_trace(ground),
        real_s=real_s,
    )


def _trace(ground: Ground) -> str:
    rows = [f"{each.at.isoformat()} {each}" for each in ground.injector.passed]
    rows += sorted(json.dumps(row, default=str, sort_keys=True) for row in _items(ground))
    return hashlib.blake2b("\n".join(rows).encode(), digest_size=12).hexdigest()


def _items(ground: Ground) -> list[dict[str, Any]]:
    return ground.account.table_items("Ledger")


def _histories(ground: Ground) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    backend = stepfunctions_parser_backends[ground.account.account_id][ground.account.region]
    for state_machine in backend.state_machines:
        for execution in state_machine.executions:
            environment = execution.exec_worker.env
            if environment is not None:
                name = ground.account.logical_id(state_machine.arn)
                yield name, environment.event_manager.get_event_history()


def _edges(events: list[dict[str, Any]]) -> Iterator[str]:
    state, failed = None, False
    for event in events:
        if "stateEnteredEventDetails" in event:
            name = event["stateEnteredEventDetails"]["name"]
            if state is not None:
                yield f"{state}{'!' if failed else '>'}{name}"
            state, failed = name, False
        elif event["type"] in ("TaskSucceeded", "TaskFailed", "TaskTimedOut"):
            failed = event["type"] != "TaskSucceeded"


def _tuples(value: Any) -> Any:
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
