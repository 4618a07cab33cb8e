"""Many runs at once, each in a process of its own."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.trials.run import RunResult, RunSpec
from simulator.trials.trials import TRIALS

_BATCH = 20
"""Runs on one prepared ground: enough to spread its cost, few enough to keep all processes busy."""
_ROOT = Path(__file__).parents[2]


class Servers:
    """Processes that run trials (:mod:`simulator.trials.server`).

    Args:
        jobs: how many; as many as processors unless given.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = jobs or os.cpu_count() or 1
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        path = [str(_ROOT), str(_ROOT / "layers" / "spot_optimizer"), os.environ.get("PYTHONPATH")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(entry for entry in path if entry),
            # The order of sets is the same in each process: a run can be repeated.
            "PYTHONHASHSEED": "0",
        }
        command = [sys.executable, "-m", "simulator.trials.server"]
        self._processes = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the parent, which ends them
            )
            for _ in range(self._jobs)
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if kind is not None:
                os.killpg(process.pid, signal.SIGKILL)  # also the run that it has forked
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    def run(self, specs: Iterable[RunSpec]) -> Iterator[RunResult]:
        """Carry out the runs; results come as they end, in no particular order."""
        batches: queue.SimpleQueue[list[RunSpec]] = queue.SimpleQueue()
        for batch in _batches(specs):
            batches.put(batch)
        results: queue.SimpleQueue[RunResult | BaseException | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=_work, args=(process, batches, results), daemon=True)
            for process in self._processes
        ]
        for thread in threads:
            thread.start()
        working = len(threads)
        while working:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                working -= 1
            else:
                yield result


def _batches(specs: Iterable[RunSpec]) -> Iterator[list[RunSpec]]:
    for _, group in groupby(specs, key=lambda spec: TRIALS[spec.trial].ground):
        while batch := list(islice(group, _BATCH)):
            yield batch


def _work(
    process: "subprocess.Popen[str]",
    batches: "queue.SimpleQueue[list[RunSpec]]",
    results: "queue.SimpleQueue[RunResult | BaseException | None]",
) -> None:
    try:
        while True:
            try:
                batch = batches.get_nowait()
            except queue.Empty:
                break
            for result in _answers(process, batch):
                results.put(result)
    except BaseException as error:
        results.put(error)
    results.put(None)


def _answers(process: "subprocess.Popen[str]", batch: list[RunSpec]) -> Iterator[RunResult]:
    assert process.stdin is not None
    assert process.stdout is not None
    runs = [[spec.trial, spec.seed, spec.faults, spec.without] for spec in batch]
    process.stdin.write(json.dumps(runs) + "\n")
    process.stdin.flush()
    answered = 0
    for line in process.stdout:
        if not line.strip():
            break
        answered += 1
        yield RunResult.from_json(line)
    if answered != len(batch):
        raise RuntimeError(f"{len(batch) - answered} runs of {batch[0].trial} gave no answer")
