"""Makes the fixtures of version 0.1.0 from a checkout of it.

    git worktree add /tmp/spot-optimizer-0-1-0 c8d0261
    python tests/compatibility/make_fixtures.py /tmp/spot-optimizer-0-1-0

Everything is made by the old code in the old simulator, from fixed seeds: the same checkout gives the
same fixtures. They need not be made again; this file says how they came about.

==================  ==============================================================================
``code.zip``        the old package, functions, state machines and template, without the shipped model
``ledger.json``     moment -> items of the ledger at that moment, as DynamoDB holds them
``executions.json`` state machine -> inputs of its executions
``steps.json``      function -> requests and answers, one of each kind
``events.json``     detail type -> details that were put on the stack's bus
``objects.zip``     objects of the data bucket by their keys
==================  ==============================================================================
"""

import importlib
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "version_0_1_0"
_KEPT_FILES = (
    "layers/spot_optimizer/spot_optimizer",
    "functions",
    "statemachines",
    "template.yaml",
)
_LEFT_OUT = ("/forecast/shipped/", "__pycache__")
_DATE = (2026, 3, 2, 0, 0, 0)
"""Of the files in an archive, so that its bytes do not depend on when it was made."""

_OBJECTS_OF_A_FOLDER_MAX = 3
_WRITES = ("UpdateItem", "PutItem", "TransactWriteItems")

_PLACES = {sys.prefix: "/var/lang"}
"""Folder here -> where Lambda has it: tracebacks name them."""

Item = dict[str, Any]


def main(checkout: Path) -> None:
    """Make all fixtures."""
    sys.path[:0] = [str(checkout), str(checkout / "layers" / "spot_optimizer")]
    _PLACES[str(checkout)] = "/var/task"
    OUT.mkdir(exist_ok=True)
    _write_zip("code.zip", dict(_code(checkout)))
    seen = Seen()
    for story in (_workloads, _surge, _models):
        story(seen)
    _write_json("ledger.json", seen.ledger)
    _write_json("executions.json", seen.executions)
    _write_json("steps.json", {k: list(v.values()) for k, v in sorted(seen.steps.items())})
    _write_json("events.json", seen.events)
    _write_zip("objects.zip", seen.objects)


class Seen:
    """What the stories leave."""

    def __init__(self) -> None:
        self.ledger: dict[str, list[Item]] = {}
        self.executions: dict[str, list[Any]] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[Any]] = {}
        self.objects: dict[str, bytes] = {}

    def look(self, stage: Any, moment: str, *, whole: bool = True) -> None:
        """Keep the ledger as it is: whole, or the items of switches and their workloads."""
        rows = sorted(_raw_items(stage), key=lambda row: (row["pk"]["S"], row["sk"]["S"]))
        kept = [row for row in rows if whole or _is_of_a_switch(row)]
        self.ledger.setdefault(moment, kept)

    def look_at_switches(self, stage: Any) -> None:
        """Keep each switch as it was when its record first stood so."""
        for row in _raw_items(stage):
            if row["sk"]["S"].startswith("SWITCH#"):
                kind = row["order"]["M"]["kind"]["S"]
                marks = [name for name in ("abandoned_at", "taken_over_by") if name in row]
                name = " ".join([kind, row["phase"]["S"], *marks])
                if name not in self.ledger:
                    workload = row["workload_id"]["S"]
                    self.ledger[name] = [
                        each
                        for each in _raw_items(stage)
                        if each["sk"]["S"] in (workload, row["sk"]["S"])
                        or each["pk"]["S"] == "STACK"
                    ]

    def end(self, stage: Any) -> None:
        """Keep what a stage has at its end."""
        for execution in stage.account.executions():
            self.executions.setdefault(execution.state_machine, []).append(execution.input)
        for call in stage.calls_of("PutEvents"):
            for entry in call.params["Entries"]:
                kept = self.events.setdefault(entry["DetailType"], [])
                if len(kept) < 12:
                    kept.append(json.loads(entry["Detail"]))
        for each in stage.account.trace:
            if isinstance(each.event, dict) and each.error is None:
                form = json.dumps([_shape(each.event), _shape(each.result)], sort_keys=True)
                of_function = self.steps.setdefault(each.function, {})
                of_function.setdefault(form, {"request": each.event, "answer": each.result})
        self._keep_objects(stage)

    def _keep_objects(self, stage: Any) -> None:
        boto3 = importlib.import_module("boto3")
        pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=stage.bucket)
        counts: dict[str, int] = {}
        for page in pages:
            for row in page.get("Contents", ()):
                folder = "/".join(row["Key"].split("/")[:2])
                counts[folder] = counts.get(folder, 0) + 1
                few = counts[folder] <= _OBJECTS_OF_A_FOLDER_MAX
                if few and row["Key"] not in self.objects and "boosters" not in row["Key"]:
                    self.objects[row["Key"]] = stage.object(row["Key"])


def _shape(value: Any) -> Any:
    """Names and kinds of what a payload holds, without its values but for those that name a kind."""
    if isinstance(value, dict):
        kinds = ("action", "task", "command", "trigger", "detail-type", "verdict", "effect")
        return {k: v if k in kinds else _shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


def _is_of_a_switch(row: Item) -> bool:
    return row["pk"]["S"] in ("WORKLOADS", "PLANS", "STACK") or row["sk"]["S"].startswith("SWITCH#")


def _raw_items(stage: Any) -> list[Item]:
    """Every item of the ledger in DynamoDB's own form, read past the API."""
    models = importlib.import_module("moto.dynamodb.models")
    account = importlib.import_module("simulator.account.account")
    name = stage.account.stack.physical_ids["Ledger"]
    table = models.dynamodb_backends[account.ACCOUNT_ID][stage.account.region].tables[name]
    return [
        {key: value.to_regular_json() for key, value in item.attrs.items()}
        for item in table.all_items()
    ]


# --- stories -------------------------------------------------------------------------------------


@contextmanager
def _watched_stage(seen: Seen, prices: Mapping[tuple[str, str], float]) -> Iterator[Any]:
    """A stage of which every state of a switch's record is kept."""
    stages = importlib.import_module("tests.workflow.stage")
    with stages.open_stage(prices) as stage:
        for operation in _WRITES:
            stage.before_call[operation] = lambda: seen.look_at_switches(stage)
        yield stage
        seen.look_at_switches(stage)
        seen.end(stage)


def _workloads(seen: Seen) -> None:
    """Four workloads that are switched, interrupted, refused and commanded."""
    zones = importlib.import_module("tests.workflow.stage").ZONES
    load = importlib.import_module("simulator.world.metrics").Load
    cheap = {("c6i.xlarge", zones[0]): 0.06, ("m5a.large", zones[2]): 0.015}
    with _watched_stage(seen, cheap) as stage:
        group = stage.world.create_target_group("shop")
        stage.world.loads["batch"] = load(
            cpu_vcpu=lambda _: 0.2, memory_gib=lambda _: 1.0, network_mib_per_s=lambda _: 1.0
        )
        stage.launch("web", target_group_arn=group, address=True, tags={"team": "shop"})
        stage.launch("api")
        stage.launch("queue", persistent=True)
        stage.launch("batch", "c6i.xlarge", tags={"Name": "batch", "spot-optimizer:mode": "manual"})
        stage.launch("refused", tags={"spot-optimizer:state": "stateful"})
        stage.command(command="set-threshold", name="cooldown_minutes", value=1)
        stage.before_call["StartExecution"] = lambda: seen.look(stage, "in a cycle")
        stage.take_in()
        stage.cycle()
        stage.finish()
        _commands(stage)
        _graceful_switch_is_taken_over(stage, zones)
        _leftover_switch_is_resumed(stage, zones)
        _launches_are_refused(stage, zones)
        stage.world.recommend_rebalance(stage.workload("api")["instance_id"])
        stage.finish()
        stage.world.terminate_instance(stage.workload("batch")["instance_id"])
        stage.account.run_for(timedelta(hours=2))
        _ask(stage, zones)
        seen.look(stage, "at the end")


def _commands(stage: Any) -> None:
    stage.command(command="set-mode", workload="queue", mode="auto")
    stage.command(command="set-threshold", name="expected_stay_hours", value=12, workload="queue")
    stage.command(command="reset-breaker", workload="queue")
    stage.command(command="reset-breaker")
    stage.command(command="stop")
    stage.cycle()
    stage.command(command="resume")


def _graceful_switch_is_taken_over(stage: Any, zones: Any) -> None:
    """A switch is under way as EC2 takes the instance: the failover goes on with its replacement."""
    _start(stage, "web", ("m5a.large", zones[1], "spot"), name="graceful")
    stage.run_until_entered("WaitForBoot")
    stage.world.interrupt(stage.workload("web")["instance_id"])
    stage.finish()
    stage.world.interrupt(stage.workload("queue")["instance_id"], "stop")
    stage.finish()
    stage.cycle()


def _start(stage: Any, workload: str, *candidates: tuple[str, str, str], name: str) -> str:
    """Start a switch by hand, once what a cycle has started is over."""
    stage.account.run_for(timedelta(minutes=20))
    stage.finish()
    arn: str = stage.start(stage.order(workload, *candidates, name=name))
    return arn


def _leftover_switch_is_resumed(stage: Any, zones: Any) -> None:
    """The execution of a switch is stopped; the sweep resumes it."""
    boto3 = importlib.import_module("boto3")
    arn = _start(stage, "web", ("m5a.large", zones[0], "spot"), name="stopped")
    stage.run_until_entered("WaitForBoot")
    boto3.client("stepfunctions").stop_execution(executionArn=arn)
    stage.account.run_for(timedelta(minutes=30))
    stage.sweep()
    stage.finish()


def _launches_are_refused(stage: Any, zones: Any) -> None:
    """No capacity for the first candidate, a replacement that never becomes healthy, then neither."""
    stage.world.close_capacity("m5a.large", zones[1])
    two = (("m5a.large", zones[1], "spot"), ("m6i.large", zones[1], "spot"))
    _start(stage, "web", *two, name="second")
    stage.finish()
    stage.world.fail_status_checks("m6i.large", zones[2])
    for workload in ("api", "web"):
        _start(stage, workload, ("m6i.large", zones[2], "spot"), name="unfit")
        stage.finish()
    stage.world.reopen_capacity()


def _ask(stage: Any, zones: Any) -> None:
    """Every question, and every task that is not scheduled on a stage."""
    stage.command(command="evaluate", instance_type="m5.large", availability_zone=zones[0])
    size = {"vcpu": 2, "memory_gib": 8, "count": 2, "architecture": "x86_64"}
    stage.command(command="recommend", **size)
    stage.command(command="models")
    boto3 = importlib.import_module("boto3")
    rows = ["Timestamp,InstanceType,AvailabilityZone,SpotPrice"]
    rows += [f"2026-02-{day}T00:00:00Z,m5.large,{zones[0]},0.0{day}" for day in range(20, 25)]
    key = "import/prices.csv"
    boto3.client("s3").put_object(Bucket=stage.bucket, Key=key, Body="\n".join(rows).encode())
    for task in (
        {"task": "gaps"},
        {"task": "fill"},
        {"task": "status"},
        {"task": "analyse"},
        {"task": "reference", "accept_prices": ["m5.large"]},
        {"task": "import", "key": key, "rows_are": "changes"},
    ):
        stage.account.invoke("RefreshMarket", task)


def _surge(seen: Seen) -> None:
    """Every spot pool costs more than on-demand: a fallback."""
    stages = importlib.import_module("tests.workflow.stage")
    expensive = {(name, zone): 0.5 for name in stages.TYPES for zone in stages.ZONES}
    with _watched_stage(seen, expensive) as stage:
        stage.launch("web")
        stage.take_in()
        stage.cycle()
        stage.account.run_for(timedelta(hours=2))  # the next cycle has to say so too
        seen.look(stage, "after a fallback")


def _models(seen: Seen) -> None:
    """A model is uploaded, scored, tried, activated and rolled back."""
    uploads = importlib.import_module("tests.models.uploads")
    small = importlib.import_module("tests.models.small_markets")
    conftest = importlib.import_module("tests.models.conftest")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prices = small.write_csv(folder / "prices.csv", small.small_market(conftest.DAYS))
        conftest.train_small(prices, folder / "artifact")
        files = _small_files(uploads.files_of, folder / "artifact")
    with uploads.priced_stage() as stage:
        uploads.make_live(stage, "small", files("small"))
        stage.refresh()
        uploads.upload(stage, "twin", files("twin"))
        stage.account.run_for(timedelta(hours=7, minutes=5))
        stage.command(command="try-model", version="twin", share=0.5)
        stage.refresh()
        seen.look(stage, "with a model on trial")
        stage.account.run_for(timedelta(hours=18))
        stage.command(command="activate-model", version="twin")
        stage.account.run_for(timedelta(hours=1))
        stage.command(command="roll-back-model")
        stage.command(command="models")
        seen.look(stage, "with models")
        seen.end(stage)


def _small_files(files_of: Callable[..., dict[str, bytes]], folder: Path) -> Callable[[str], Any]:
    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def named(name: str) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as place:
            for file, body in contents.items():
                (Path(place) / file).write_bytes(body)
            return files_of(Path(place), name)

    return named


# --- files -----------------------------------------------------------------------------------------


def _code(checkout: Path) -> Iterator[tuple[str, bytes]]:
    for kept in _KEPT_FILES:
        place = checkout / kept
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            name = path.relative_to(checkout).as_posix()
            if path.is_file() and not any(part in name for part in _LEFT_OUT):
                yield name, path.read_bytes()


def _write_zip(name: str, files: Mapping[str, bytes]) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for file, content in sorted(files.items()):
            entry = zipfile.ZipInfo(file, _DATE)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    (OUT / name).write_bytes(body.getvalue())


def _write_json(name: str, value: Any) -> None:
    text = "{\n" + ",\n".join(_lines(value)) + "\n}"
    for here, there in _PLACES.items():
        text = text.replace(here, there)
    (OUT / name).write_text(text + "\n", encoding="utf-8")


def _lines(value: Mapping[str, list[Any]]) -> Iterator[str]:
    """Each element of a list on a line of its own."""
    for name, elements in sorted(value.items()):
        rows = ",\n ".join(json.dumps(row, sort_keys=True, default=str) for row in elements)
        yield f"{json.dumps(name)}: [\n {rows}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
