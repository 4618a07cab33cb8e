"""What only a scenario file as a whole can tell: values that contradict each other or the template."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from simulator.account.parameters import ParameterError, check_parameters
from simulator.limits import LIMITS
from simulator.markets import BUILTIN_REGION, builtin_zones
from simulator.scenario import WorkloadSpec
from simulator.scenario_events import Event, InterruptionSignal, NoCapacity, WindowEvent
from simulator.scenario_faults import impossible_faults
from simulator.scenario_fields import cut
from simulator.scenario_schema import PlannedRun
from simulator.tags import TAG_PREFIX

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
_TAG_KEY_MAX, _TAG_VALUE_MAX = 128, 256
_ALWAYS_TAGGED = ("Name", f"{TAG_PREFIX}managed", f"{TAG_PREFIX}workload")


def contradictions(run: PlannedRun) -> Iterator[str]:
    """One line for each."""
    names = [spec.name for row in run.workloads for spec in row.each]
    yield from _of_workloads(run, names)
    yield from _of_zones(run) if run.market is None else _of_files(run)
    for number, event in enumerate(run.events):
        if isinstance(event, NoCapacity) and (event.subnet or 1) > run.subnets:
            yield (
                f"events[{number}].subnet = {event.subnet}: allowed is up to subnets = {run.subnets}"
            )
        yield from _of_event(f"events[{number}]", event, run.hours, names)
    types = {name: part["Type"] for name, part in _template()["Resources"].items()}
    yield from impossible_faults(run.faults, run.hours, types, names)
    for pattern in run.expected.workloads:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield _unknown(f"expect.workloads.{pattern}", pattern, "one that fits", names)
    try:
        check_parameters(_template(), run.parameters)
    except ParameterError as error:
        yield f"parameters: {error}"


def _of_workloads(run: PlannedRun, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"workloads: the name {name!r} is given {names.count(name)} times; once is allowed"
    for number, row in enumerate(run.workloads):
        where = f"workloads[{number}]"
        if row.persistent and row.lifecycle != "spot":
            yield f"{where}.persistent = true: allowed is false where lifecycle is on-demand"
        yield from _of_tags(where, row)
    addresses = sum(row.count for row in run.workloads if row.elastic_address)
    if addresses > (most := run.limits.quota_elastic_ips):
        yield f"workloads: {addresses} elastic IPs are wanted; {most} are allowed"


def _of_tags(where: str, row: WorkloadSpec) -> Iterator[str]:
    """What EC2 refuses (EC2 user guide, "Tag restrictions")."""
    ours = {f"{TAG_PREFIX}{name}": value for name, value in row.tags.items()}
    count = len({*ours, *row.other_tags, *_ALWAYS_TAGGED})
    if count > LIMITS.tags_per_resource:
        yield f"{where}: {count} tags with ours are too many; allowed are {LIMITS.tags_per_resource}"
    for key, tags in (("tags", ours), ("other_tags", row.other_tags)):
        for name, value in tags.items():
            place = cut(f"{where}.{key}.{name.removeprefix(TAG_PREFIX)}")
            if not name.removeprefix(TAG_PREFIX) or len(name) > _TAG_KEY_MAX:
                yield f"{place}: allowed are keys of 1 to {_TAG_KEY_MAX} characters"
            elif name.lower().startswith("aws:"):
                yield f"{place}: allowed are keys that do not begin with aws:, which EC2 reserves"
            elif len(value) > _TAG_VALUE_MAX:
                yield f"{place} = {cut(value)!r}: allowed are {_TAG_VALUE_MAX} characters at most"


def _of_files(run: PlannedRun) -> Iterator[str]:
    if run.region is not None:
        yield f"region = {run.region!r}: a recorded market has its own; leave the key out"
    for key, path in (("prices", run.prices), ("on_demand", run.on_demand)):
        if path is not None and not path.is_file():
            yield f"market.{key}: {path} is no file"


def _of_zones(run: PlannedRun) -> Iterator[str]:
    zones = builtin_zones(BUILTIN_REGION if run.region is None else run.region)
    if not zones:
        yield f"region = {run.region!r}: not a region of EC2 that the simulator knows"
        return
    allowed = ("cheapest", "most-expensive", *zones)
    for number, row in enumerate(run.workloads):
        if row.placement not in allowed:
            yield _unknown(f"workloads[{number}].zone", row.placement, "one", allowed)
    for number, event in enumerate(run.events):
        pattern = getattr(event, "availability_zone", "*")
        if not any(fnmatchcase(zone, pattern) for zone in zones):
            yield _unknown(f"events[{number}].zone", pattern, "one that fits", zones)


def _of_event(where: str, event: Event, hours: float, names: list[str]) -> Iterator[str]:
    if event.hour >= hours:
        yield f"{where}.at = {event.hour:g}: allowed is less than hours = {hours:g}"
    if isinstance(event, WindowEvent) and event.until_hour <= event.hour:
        yield f"{where}.until = {event.until:g}: allowed is more than at = {event.hour:g}"
    if isinstance(event, InterruptionSignal) and not event.warned:
        for key, value, allowed in (
            ("deliveries", event.deliveries, 1),
            ("late_seconds", event.late_seconds, 0),
        ):
            if value != allowed:
                yield f"{where}.{key} = {value:g}: allowed is {allowed} where warned is false"
    workload = getattr(event, "workload", None)
    if workload is not None and workload not in names:
        yield _unknown(f"{where}.workload", workload, "one", names)


def _unknown(where: str, value: str, how_many: str, names: Iterable[str]) -> str:
    return f"{where} = {value!r}: allowed is {how_many} of {', '.join(names)}"


@cache
def _template() -> Mapping[str, Any]:
    template: Mapping[str, Any] = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))
    return template
