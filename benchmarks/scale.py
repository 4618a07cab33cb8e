"""How a cycle grows with the workloads: `.venv/bin/python benchmarks/scale.py [WORKLOADS ...]`.

The stack takes so many workloads in, in the embedded account and in a dry run; then the replies to one
run of `refresh_market`, of `decide` (once as usual, once with everybody's use and traffic due) and of
`sweep` are recorded, and each is replayed in a process of its own, whose processor time and memory are
those of a function. Simulated seconds are

    processor time x 1,769 MB / the function's memory (Lambda's share of a processor)
    + the assumed latency of its calls (simulator/costs/latencies.py) + its waits for EC2's rates.
"""

import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.response import StreamingBody

from simulator.account.interception import WireCall
from simulator.account.lambdas import Function
from simulator.collector import collect_seldom
from simulator.costs.compute import VCPU_MB, Run
from simulator.costs.fleet import typical_fleet
from simulator.costs.latencies import body_bytes
from simulator.costs.meter import Meter
from simulator.costs.month import Life, market_for
from simulator.costs.tables import Tables
from spot_optimizer.aws import data_bucket as archive
from spot_optimizer.services.decide import refresh_templates
from spot_optimizer.services.refresh_market import kept_models

SIZES = (100, 1_000, 10_000)
READ_AT_ONCE = 2_000
"""Instances adopted per cycle here; a hundred at a time would make the preparation long."""
AGE_HOURS = 24
"""Of the instances: a week of metrics of each makes the preparation long, and is read once."""
REPLAY = Path(__file__).with_name("replay_cycle.py")
CYCLE_S = 300


@dataclass
class Recorder:
    """Writes down the replies to the calls of one function, and passes everything on to the meter."""

    meter: Meter
    function: str = ""
    file: Any = None
    retries: int = 0
    bytes_put: dict[str, int] = field(default_factory=dict)

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        return self.meter.before(call)

    def arrives_twice(self, call: WireCall) -> bool:
        return self.meter.arrives_twice(call)

    def after(
        self, call: WireCall, status: int, reply: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        if call.caller.name == self.function:
            self._record(call, status, reply)
        return self.meter.after(call, status, reply)

    def _record(self, call: WireCall, status: int, reply: dict[str, Any]) -> None:
        kept = dict(reply)
        if isinstance(body := reply.get("Body"), StreamingBody):
            kept["Body"] = bytes(body.read())
            reply["Body"] = StreamingBody(BytesIO(kept["Body"]), len(kept["Body"]))
        pickle.dump((call.service, call.operation, status, kept), self.file)
        self.retries += reply["ResponseMetadata"].get("RetryAttempts", 0)
        if call.operation == "PutObject":
            kind = "/".join(call.params["Key"].split("/")[:2]).split("/dt=")[0]
            self.bytes_put[kind] = body_bytes(call.params)


@dataclass(frozen=True)
class Measured:
    """One recorded and replayed run."""

    name: str
    memory_mb: int
    run: Run
    core_s: float
    peak_mib: float
    retries: int
    bytes_put: dict[str, int]

    @property
    def simulated_s(self) -> float:
        share = max(1.0, VCPU_MB / self.memory_mb)
        return self.core_s * share + self.run.calls_s + self.run.waited_s


class Bench:
    """A stack with this many adopted workloads."""

    def __init__(self, life: Life, runs: list[Run]) -> None:
        self.life, self.runs = life, runs
        self.account = life.simulation.account
        self.recorder = Recorder(life.meter)
        self.account.stand_between(self.recorder, lambda *_: (timedelta(0),))

    def adopt(self) -> int:
        """Let the stack adopt everything; how many cycles it takes. Schedules are off from now on."""
        events = boto3.client("events")
        for rule in events.list_rules()["Rules"]:
            if "ScheduleExpression" in rule:
                events.disable_rule(Name=rule["Name"])
        for task in ("reference", "prices"):
            self.account.invoke("RefreshMarket", {"task": task})
        cycles = 0
        while True:
            self.account.run_for(timedelta(seconds=CYCLE_S))
            answer = self.account.invoke("Decide", {"trigger": "schedule"})
            cycles += 1
            if not answer.get("waiting", 1):
                break
        for _ in range(12):  # slices of the price history, so that the model forecasts
            self.account.invoke("RefreshMarket", {"task": "prices"})
            self.account.invoke("RefreshMarket", {"task": "gaps"})
        return cycles

    def measured(self, name: str, function: str, event: dict[str, str]) -> Measured:
        """Record a run of a cold function, and replay it."""
        # Nothing is at hand in a new environment.
        archive._loaded.clear()
        kept_models._loaded.clear()
        deployed = self.account.lambdas.find(function)
        with tempfile.NamedTemporaryFile(suffix=".pickle") as file:
            with self._recording(deployed, event, file):
                self.account.invoke(function, event)
            file.flush()
            print(f"  {name} recorded", file=sys.stderr)
            answer = subprocess.run(
                [sys.executable, str(REPLAY), file.name],
                capture_output=True,
                text=True,
                check=False,
            )
        if answer.returncode:
            raise RuntimeError(answer.stderr)
        found = json.loads(answer.stdout.splitlines()[-1])
        return Measured(
            name,
            deployed.memory_mb,
            self.runs[-1],
            found["core_s"],
            found["peak_mib"],
            self.recorder.retries,
            dict(self.recorder.bytes_put),
        )

    @contextmanager
    def _recording(self, function: Function, event: dict[str, str], file: Any) -> Iterator[None]:
        header = {
            "handler": str(function.code / "app.py"),
            "layers": [str(layer) for layer in function.layers],
            "environment": {
                **self.account.lambdas._environment(function),
                "PYTHONHASHSEED": "0",
                "PYTHONPATH": os.pathsep.join(map(str, function.layers)),
            },
            "event": event,
            "now": self.account.clock.now(),
            "context": SimpleNamespace(
                aws_request_id="replayed",
                function_name=function.name,
                memory_limit_in_mb=str(function.memory_mb),
                invoked_function_arn=function.arn,
            ),
        }
        pickle.dump(header, file)
        self.recorder.function, self.recorder.file = function.logical_id, file
        self.recorder.retries, self.recorder.bytes_put = 0, {}
        yield
        self.recorder.function = ""


def measure(workloads: int) -> tuple[list[Measured], dict[str, Any]]:
    """All runs with this many workloads, and the sizes of what they store."""
    scenario = typical_fleet(workloads)
    scenario = replace(
        scenario,
        parameters={"DryRun": "true"},
        workloads=tuple(
            spec.model_copy(update={"age_hours": AGE_HOURS}) for spec in scenario.workloads
        ),
    )
    runs: list[Run] = []
    with Life(scenario, market_for(12, 1), seed=1, on_run=runs.append) as life:
        bench = Bench(life, runs)
        cycles = bench.adopt()
        bench.account.run_for(timedelta(hours=2, minutes=5))
        found = [
            bench.measured("refresh_market", "RefreshMarket", {"task": "prices"}),
            bench.measured("decide, all due", "Decide", {"trigger": "schedule"}),
        ]
        bench.account.run_for(timedelta(seconds=CYCLE_S))
        found += [
            bench.measured("decide", "Decide", {"trigger": "schedule"}),
            bench.measured("sweep", "Sweep", {"trigger": "schedule"}),
        ]
        tables = Tables(bench.account.account_id)
        items = tables.table_sizes(bench.account.region, bench.account.outputs["LedgerTable"])
        return found, {"cycles": cycles, "items": len(items), "largest_item": max(items)}


def show(workloads: int, found: Sequence[Measured], sizes: dict[str, Any]) -> None:
    print(
        f"\n{workloads} workloads ({sizes['items']} items, largest {sizes['largest_item']} bytes)"
    )
    for each in found:
        by_service: Counter[str] = Counter()
        for (service, _), count in each.run.calls.items():
            by_service[service] += count
        calls = ", ".join(f"{name} {count}" for name, count in by_service.most_common())
        print(
            f"  {each.name:<16} {each.core_s:7.2f} s on the core, {each.run.calls_s:6.2f} s calls,"
            f" {each.run.waited_s:5.1f} s waits: {each.simulated_s:7.2f} s simulated at"
            f" {each.memory_mb} MB; peak {each.peak_mib:5.0f} MiB; {each.retries} refused by rates"
        )
        print(f"  {'':<16} calls: {calls}")
        put = ", ".join(f"{kind} {size / 1024:,.0f} KB" for kind, size in each.bytes_put.items())
        if put:
            print(f"  {'':<16} puts: {put}")


def main() -> None:
    if os.environ.get("PYTHONHASHSEED") != "0":  # replayed calls must have the same order
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    collect_seldom()
    vars(refresh_templates)["READS_MAX"] = READ_AT_ONCE
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    before: dict[str, tuple[int, float]] = {}
    for workloads in [int(text) for text in sys.argv[1:]] or SIZES:
        found, sizes = measure(workloads)
        show(workloads, found, sizes)
        for each in found:
            if each.name in before:
                size, seconds = before[each.name]
                factor = each.simulated_s / seconds
                print(
                    f"  {each.name}: {factor:.1f} times the seconds for {workloads / size:g} times"
                    " the workloads"
                )
            before[each.name] = workloads, each.simulated_s
        sys.stdout.flush()


if __name__ == "__main__":
    main()
