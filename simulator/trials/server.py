"""A process that runs trials: prepares the ground once and forks a child for each run.

The child gets the deployed account with its adopted workloads at no cost: pages are shared until they
are written. Forking needs Linux or macOS and a process with a single thread; therefore runs have a
process of their own, which reads batches as JSON lines and answers with one line per run::

    [["switch", 1, ["17:lost-reply"], ""], ...]
"""

import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from simulator.trials.ground import open_ground
from simulator.trials.run import RunResult, RunSpec, run
from simulator.trials.trials import TRIALS

RUN_S_MAX = 120
"""A run takes about half a second; one that takes this long would never end."""
_THREAD_ENDS_WITHIN_S = 20


def serve() -> None:
    """Carry out batches until standard input ends."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _warm_up()
    for line in sys.stdin:
        specs = [
            RunSpec(trial, seed, tuple(faults), without)
            for trial, seed, faults, without in json.loads(line)
        ]
        child = os.fork()
        if child == 0:
            _run_batch(specs, answers)
            os._exit(0)
        os.waitpid(child, 0)
        os.write(answers, b"\n")


def _warm_up() -> None:
    """Whole runs of a switch that succeeds and one that fails: every child inherits what they read, parse
    and compile. Garbage collection is off because it would copy the shared pages."""
    for name in ("switch", "undo"):
        with open_ground(TRIALS[name].prices, TRIALS[name].parameters, seed=0) as ground:
            TRIALS[name].prepare(ground)
            run(ground, RunSpec(name, 0))
    gc.collect()
    gc.freeze()
    gc.disable()


def _run_batch(specs: Sequence[RunSpec], answers: int) -> None:
    """Prepare the ground of these runs, whose trials share it, and run each in a child."""
    trial = TRIALS[specs[0].trial]
    with open_ground(trial.prices, trial.parameters, seed=0) as ground:
        trial.prepare(ground)
        _join_threads()
        if threading.active_count() > 1:
            raise RuntimeError(f"{trial.name}: an execution still runs, so no run can be forked")
        for spec in specs:
            child = os.fork()
            if child == 0:
                signal.alarm(RUN_S_MAX)
                _write(answers, run(ground, spec))
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if status:
                _write(answers, _died(spec, status))


def _join_threads() -> None:
    """The thread of an execution that has ended may still be running."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            threading.Thread.join(thread, _THREAD_ENDS_WITHIN_S)  # in real time, not the clock's


def _write(answers: int, result: RunResult) -> None:
    body = result.to_json().encode() + b"\n"
    while body:
        body = body[os.write(answers, body) :]


def _died(spec: RunSpec, status: int) -> RunResult:
    code = os.waitstatus_to_exitcode(status)
    ended = f"did not end within {RUN_S_MAX} s" if code == -signal.SIGALRM else f"died with {code}"
    return RunResult(spec, f"the run {ended}", (), 0, (), (), (), (), 0.0, "", 0.0)


if __name__ == "__main__":
    serve()
