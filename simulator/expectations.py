"""What a scenario says must be true at its end, compared with the summary of its run."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, NonNegativeInt, PlainValidator, TypeAdapter

from simulator.scenario_fields import Allowed, Lifecycle, Table
from simulator.summary import Summary, WorkloadSummary

_BOUNDS: TypeAdapter[list[int]] = TypeAdapter(
    Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)]
)


def _bounds(value: Any) -> tuple[int, int]:
    given = list(value) if isinstance(value, list | tuple) else [value, value]
    least, most = _BOUNDS.validate_python(given, strict=True)
    if least > most:
        raise ValueError("the least is above the most")
    return least, most


Count = Annotated[
    tuple[int, int], PlainValidator(_bounds), Allowed("a number, or [least, most]", whole=True)
]
_FAILED_OVER = AliasChoices("failed_over", "rescued")
"""The second is the name in version 0.1.0."""
_Breaker = Literal["open", "closed"]
_Decisions = Annotated[
    frozenset[Literal["STAY", "SWITCH", "FALLBACK"]],
    Field(strict=False),
    Allowed("a list of STAY, SWITCH, FALLBACK"),
]
_Effects = Annotated[
    frozenset[Literal["EVACUATE", "DRAIN", "RECORDED"]],
    Field(strict=False),
    Allowed("a list of EVACUATE, DRAIN, RECORDED"),
]


class ExpectedWorkload(Table):
    """What must be true of a workload at the end; what is left out is not checked."""

    status: Literal["managed", "refused", "gone"] | None = None
    """Its status on the ledger."""
    decisions: _Decisions | None = None
    """The kinds that were decided, and no other."""
    done: Count | None = None
    """Planned switches that succeeded."""
    failed_over: Count | None = Field(default=None, validation_alias=_FAILED_OVER)
    """Failovers that succeeded."""
    taken_over: Count | None = None
    """Planned switches that an interruption turned into a failover."""
    failed: Count | None = None
    """Switches and failovers that found no capacity, or failed and were undone."""
    signals: _Effects | None = None
    """What EC2's signals led to, and nothing else; duplicates do not count."""
    downtime_seconds: Count | None = None
    """Total time in which no instance served it, rounded up."""
    original: Literal["running", "stopped", "terminated"] | None = None
    """State of the instance that it began on."""
    served: bool | None = None
    """Its target group and elastic IP are with the instance that it runs on."""
    refused_launches: Count | None = None
    """Launches that EC2 refused."""
    breaker: _Breaker | None = None
    """Its breaker."""
    lifecycle: Lifecycle | None = None
    """Its purchase option."""
    type: Annotated[str | None, Allowed("a type name with * and ?")] = None
    """Its type."""


class Expectations(Table):
    """What must be true at the end of a run."""

    stack_breaker: _Breaker | None = None
    """The stack's breaker."""
    faults: Count | None = None
    """Of `faults`, those that happened: whose call was made."""
    workloads: Annotated[dict[str, ExpectedWorkload], Allowed("name: expectations")] = Field(
        default_factory=dict
    )
    """By workload's name, with * and ? for several."""


def disappointments(expected: Expectations, summary: Summary) -> list[str]:
    """A line for each expectation that did not come true: key, actual value, expected value."""
    stack_breaker = "open" if summary.stack_breaker_open else "closed"
    found = []
    if expected.stack_breaker not in (None, stack_breaker):
        found.append(f"stack_breaker is {stack_breaker}, expected {expected.stack_breaker}")
    if expected.faults is not None:
        happened = sum(fault.at is not None for fault in summary.faults)
        never = ", ".join(fault.planned for fault in summary.faults if fault.at is None)
        if line := _not_within("faults", expected.faults, happened):
            found.append(f"{line}; never met: {never}" if never else line)
    for pattern, wanted in expected.workloads.items():
        for workload in summary.workloads:
            if fnmatchcase(workload.workload_id, pattern):
                lines = _of_workload(wanted, workload, summary)
                found += [f"{workload.workload_id}: {line}" for line in lines]
    return found


def _of_workload(
    wanted: ExpectedWorkload, workload: WorkloadSummary, summary: Summary
) -> Iterator[str]:
    pool, lifecycle = workload.is_on.split()
    instance_type = pool.partition("/")[0]
    words = {
        "status": (wanted.status, workload.status),
        "breaker": (wanted.breaker, "open" if workload.breaker_open else "closed"),
        "lifecycle": (wanted.lifecycle, lifecycle),
        "original": (wanted.original, workload.original),
        "served": (_truth(wanted.served), _truth(workload.served) or "unknown"),
    }
    for key, (want, have) in words.items():
        if want not in (None, have):
            yield f"{key} is {have}, expected {want}"
    if wanted.type is not None and not fnmatchcase(instance_type, wanted.type):
        yield f"type is {instance_type}, expected {wanted.type}"
    effects = [s.effect for s in summary.signals if s.workload_id == workload.workload_id]
    for key, kinds, found in (
        ("decisions", wanted.decisions, frozenset(workload.decisions)),
        ("signals", wanted.signals, frozenset(effects)),
    ):
        if kinds is not None and kinds != found:
            have, want = (", ".join(sorted(each)) or "none" for each in (found, kinds))
            yield f"{key} are {have}, expected {want}"
    own = [switch for switch in summary.switches if switch.workload_id == workload.workload_id]
    done = [switch.is_failover for switch in own if switch.phase == "DONE"]
    failed = [switch.taken_over for switch in own if switch.phase == "FAILED"]
    counts = {
        "done": (wanted.done, done.count(False)),
        "failed_over": (wanted.failed_over, done.count(True)),
        "taken_over": (wanted.taken_over, failed.count(True)),
        "failed": (wanted.failed, failed.count(False)),
        "refused_launches": (wanted.refused_launches, sum(s.refused_launches for s in own)),
        "downtime_seconds": (wanted.downtime_seconds, ceil(workload.downtime_seconds)),
    }
    for key, (bounds, count) in counts.items():
        if bounds is not None and (line := _not_within(key, bounds, count)):
            yield line


def _not_within(key: str, bounds: tuple[int, int], count: int) -> str:
    least, most = bounds
    if least <= count <= most:
        return ""
    return f"{key} is {count}, expected {least if least == most else f'{least} to {most}'}"


def _truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
