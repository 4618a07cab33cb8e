"""Scenario files: read, checked as a whole before anything runs, and turned into a scenario.

Whatever is wrong is told in one line each: file, key, value and what is allowed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from samtranslator.yaml_helper import yaml_parse

from simulator.account.parameters import ParameterError, check_parameters
from simulator.expectations import Expectations, ExpectedWorkload
from simulator.limits import LIMITS
from simulator.markets import BUILTIN_REGION, builtin_zones
from simulator.scenario import Scenario, WorkloadSpec
from simulator.scenario_errors import lines_of
from simulator.scenario_events import scripted
from simulator.scenario_faults import fault_faults, placed
from simulator.scenario_schema import (
    EventTable,
    ExpectTable,
    InterruptingTable,
    ScenarioTable,
    WindowTable,
    WorkloadTable,
)
from simulator.scenario_yaml import UnreadableYaml, load_yaml
from spot_optimizer.vocabulary import TAG_PREFIX

FOLDER = Path(__file__).parent / "scenarios"
TEMPLATE = Path(__file__).parents[1] / "template.yaml"
_TAG_KEY_MAX, _TAG_VALUE_MAX = 128, 256
_SHOWN_MAX = 60
_ALWAYS_TAGGED = ("Name", f"{TAG_PREFIX}managed", f"{TAG_PREFIX}workload")


class InvalidScenario(ValueError):
    """The file is no scenario; the text has one line for each fault."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A scenario with the market that it is meant for and what must come of it."""

    scenario: Scenario
    shows: str
    region: str | None
    start: datetime | None
    hours: float
    seed: int
    prices: Path | None
    """Recorded prices; None for the built-in market."""
    on_demand: Path | None
    expected: Expectations


def builtin_names() -> list[str]:
    """Names of the scenarios that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def builtin_run(name: str) -> PlannedRun:
    """One of the scenarios that come along; InvalidScenario names them where there is no such one."""
    if name not in builtin_names():
        raise InvalidScenario(
            f"scenario {name!r} is neither a file nor one of {', '.join(builtin_names())}"
        )
    return read_scenario(FOLDER / f"{name}.yaml")


def read_scenario(path: Path) -> PlannedRun:
    """Read and check a scenario file.

    Raises:
        InvalidScenario: with a line for each fault: file, key, value, what is allowed.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidScenario(f"{path}: {error.strerror}") from error
    except (UnreadableYaml, UnicodeDecodeError) as error:
        raise InvalidScenario(f"{path.name}: {error}") from error
    try:
        table = ScenarioTable.model_validate(content)
    except ValidationError as error:
        faults = lines_of(error)
        raise InvalidScenario("\n".join(f"{path.name}: {fault}" for fault in faults)) from error
    run = _planned(path, table)
    faults = list(_faults(table, run))
    if faults:
        raise InvalidScenario("\n".join(f"{path.name}: {fault}" for fault in faults))
    return run


def _planned(path: Path, table: ScenarioTable) -> PlannedRun:
    files = table.market
    return PlannedRun(
        scenario=Scenario(
            name=path.stem,
            workloads=tuple(spec for row in table.workloads for spec in _workloads(row)),
            scripted=tuple(scripted(event) for event in table.events),
            parameters=table.parameters,
            limits=table.limits,
            quotas_vcpu=table.quotas,
            rates=table.rates,
            faults=tuple(placed(row) for row in table.faults),
        ),
        shows=table.shows,
        region=table.region,
        start=table.start,
        hours=table.hours,
        seed=table.seed,
        prices=path.parent / files.prices if files else None,
        on_demand=path.parent / files.on_demand if files and files.on_demand else None,
        expected=_expected(table.expect),
    )


def _workloads(row: WorkloadTable) -> list[WorkloadSpec]:
    spec = WorkloadSpec(
        name=row.name,
        shows=row.shows,
        instance_type=row.type,
        lifecycle=row.lifecycle,
        placement=row.zone,
        cpu_vcpu=row.cpu_vcpu,
        memory_gib=row.memory_gib,
        tags=row.tags,
        other_tags=row.other_tags,
        target_group=row.target_group,
        elastic_address=row.elastic_ip,
        persistent=row.persistent,
    )
    if row.count == 1:
        return [spec]
    return [replace(spec, name=f"{row.name}-{number:02}") for number in range(1, row.count + 1)]


def _expected(table: ExpectTable) -> Expectations:
    return Expectations(
        stack_breaker=table.stack_breaker,
        faults=table.faults,
        workloads={
            pattern: ExpectedWorkload(
                status=row.status,
                decisions=None if row.decisions is None else frozenset(row.decisions),
                done=row.done,
                rescued=row.rescued,
                taken_over=row.taken_over,
                failed=row.failed,
                signals=None if row.signals is None else frozenset(row.signals),
                downtime_seconds=row.downtime_seconds,
                original=row.original,
                served=row.served,
                refused_launches=row.refused_launches,
                breaker=row.breaker,
                lifecycle=row.lifecycle,
                type=row.type,
            )
            for pattern, row in table.workloads.items()
        },
    )


# --- what only the file as a whole can tell ------------------------------------------------------


def _faults(table: ScenarioTable, run: PlannedRun) -> Iterator[str]:
    names = [spec.name for spec in run.scenario.workloads]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"workloads: the name {name!r} is given {names.count(name)} times; once is allowed"
    for number, row in enumerate(table.workloads):
        if row.persistent and row.lifecycle != "spot":
            where = f"workloads[{number}].persistent = true"
            yield f"{where}: allowed is false where lifecycle is on-demand"
        yield from _tag_faults(f"workloads[{number}]", row)
    addresses = sum(spec.elastic_address for spec in run.scenario.workloads)
    most = run.scenario.limits.quota_elastic_ips
    if addresses > most:
        yield f"workloads: {addresses} elastic IPs are wanted; {most} are allowed"
    if table.market is None:
        yield from _zone_faults(table)
    else:
        yield from _file_faults(table, run)
    for number, event in enumerate(table.events):
        yield from _event_faults(f"events[{number}]", event, table, names)
    yield from fault_faults(table, _template(), names)
    for pattern in run.expected.workloads:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield _unknown(f"expect.workloads.{pattern}", pattern, "one that fits", names)
    yield from _parameter_faults(table.parameters)


def _file_faults(table: ScenarioTable, run: PlannedRun) -> Iterator[str]:
    if table.region is not None:
        yield f"region = {table.region!r}: a recorded market has its own; leave the key out"
    for key, path in (("prices", run.prices), ("on_demand", run.on_demand)):
        if path is not None and not path.is_file():
            yield f"market.{key}: {path} is no file"


def _zone_faults(table: ScenarioTable) -> Iterator[str]:
    zones = builtin_zones(BUILTIN_REGION if table.region is None else table.region)
    if not zones:
        yield f"region = {table.region!r}: not a region of EC2 that the simulator knows"
        return
    for number, row in enumerate(table.workloads):
        if row.zone not in (*zones, "cheapest", "dearest"):
            allowed = ", ".join(("cheapest", "dearest", *zones))
            yield f"workloads[{number}].zone = {row.zone!r}: allowed is one of {allowed}"
    for number, event in enumerate(table.events):
        pattern = getattr(event, "zone", "*")
        if not any(fnmatchcase(zone, pattern) for zone in zones):
            yield _unknown(f"events[{number}].zone", pattern, "one that fits", zones)


def _event_faults(
    where: str, event: EventTable, table: ScenarioTable, names: list[str]
) -> Iterator[str]:
    if event.at >= table.hours:
        yield f"{where}.at = {event.at:g}: allowed is less than hours = {table.hours:g}"
    until = event.until if isinstance(event, WindowTable) else None
    if until is not None and until <= event.at:
        yield f"{where}.until = {until:g}: allowed is more than at = {event.at:g}"
    if isinstance(event, InterruptingTable) and not event.warned:
        if event.deliveries != 1:
            yield f"{where}.deliveries = {event.deliveries}: allowed is 1 where warned is false"
        if event.late_seconds:
            told = f"{event.late_seconds:g}: allowed is 0 where warned is false"
            yield f"{where}.late_seconds = {told}"
    workload = getattr(event, "workload", None)
    if workload is not None and workload not in names:
        yield _unknown(f"{where}.workload", workload, "one", names)


def _tag_faults(where: str, row: WorkloadTable) -> Iterator[str]:
    """What EC2 takes for a tag (EC2 user guide, "Tag restrictions")."""
    ours = {f"{TAG_PREFIX}{name}": value for name, value in row.tags.items()}
    count = len({*ours, *row.other_tags, *_ALWAYS_TAGGED})
    if count > LIMITS.tags_per_resource:
        yield f"{where}: {count} tags with ours are too many; allowed are {LIMITS.tags_per_resource}"
    for key, tags in (("tags", ours), ("other_tags", row.other_tags)):
        for name, value in tags.items():
            told = _shown(f"{where}.{key}.{name.removeprefix(TAG_PREFIX)}")
            if not name.removeprefix(TAG_PREFIX) or len(name) > _TAG_KEY_MAX:
                yield f"{told}: allowed are keys of 1 to {_TAG_KEY_MAX} characters"
            elif name.lower().startswith("aws:"):
                yield f"{told}: allowed are keys that do not begin with aws:, which EC2 reserves"
            elif len(value) > _TAG_VALUE_MAX:
                yield f"{told} = {_shown(value)!r}: allowed are {_TAG_VALUE_MAX} characters at most"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


def _unknown(where: str, value: str, how_many: str, names: list[str]) -> str:
    return f"{where} = {value!r}: allowed is {how_many} of {', '.join(names)}"


def _parameter_faults(parameters: Mapping[str, str]) -> Iterator[str]:
    try:
        check_parameters(_template(), parameters)
    except ParameterError as error:
        yield f"parameters: {error}"


@cache
def _template() -> Mapping[str, Any]:
    template: Mapping[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return template
