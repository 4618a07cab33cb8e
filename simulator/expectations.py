"""What a scenario says must be true at its end, held against the summary of its run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import ceil

from simulator.summary import Summary, WorkloadSummary


@dataclass(frozen=True, slots=True)
class ExpectedWorkload:
    """Of one workload; None is not looked at, a pair of counts is (least, most)."""

    status: str | None = None
    decisions: frozenset[str] | None = None
    """The kinds that were decided, and no other."""
    done: tuple[int, int] | None = None
    """Planned switches."""
    rescued: tuple[int, int] | None = None
    taken_over: tuple[int, int] | None = None
    failed: tuple[int, int] | None = None
    refused_launches: tuple[int, int] | None = None
    breaker: str | None = None
    """``open`` or ``closed``."""
    lifecycle: str | None = None
    type: str | None = None
    """Pattern with * and ? of the type that it runs on at the end."""
    signals: frozenset[str] | None = None
    """The effects of EC2's signals, and no other."""
    downtime_seconds: tuple[int, int] | None = None
    original: str | None = None
    served: bool | None = None


@dataclass(frozen=True, slots=True)
class Expectations:
    """Of the whole stack and by workload's name, a pattern with * and ?."""

    stack_breaker: str | None = None
    faults: tuple[int, int] | None = None
    """How many happened."""
    workloads: Mapping[str, ExpectedWorkload] = field(default_factory=dict)


def disappointments(expected: Expectations, summary: Summary) -> list[str]:
    """A line for each expectation that the run did not fulfil: key, what was wanted, what was."""
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
        "rescued": (wanted.rescued, done.count(True)),
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
