"""The record of a scenario: run once, so that many tests can make their claims about it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3

from simulator.account.executions import Execution
from simulator.account.lambdas import Invocation
from simulator.call_log import ApiCall
from simulator.stage import SEED, Stage

TOUCHING = (
    "RunInstances",
    "TerminateInstances",
    "RegisterTargets",
    "DeregisterTargets",
    "AssociateAddress",
    "CreateTags",
    "DeleteTags",
    "StopInstances",
    "ModifyInstanceAttribute",
    "CancelSpotInstanceRequests",
)
"""Operations by which the product can change an instance, its targets or its addresses."""


@dataclass(frozen=True)
class Story:
    """Everything that existed when a scenario had ended."""

    executions: tuple[Execution, ...]
    histories: str
    """The whole execution history of all executions, as text."""
    items: tuple[Mapping[str, Any], ...]
    api: tuple[ApiCall, ...]
    trace: tuple[Invocation, ...]
    objects: Mapping[str, bytes]
    alive: frozenset[str]
    seen: Mapping[str, Any]
    """What the scenario itself recorded."""

    def execution(self, workload: str = "web") -> Execution:
        """The newest execution of a workload."""
        return [e for e in self.executions if e.name.startswith(f"{workload}-")][-1]

    def workload(self, workload: str = "web") -> Mapping[str, Any]:
        return next(i for i in self.items if (i["pk"], i["sk"]) == ("WORKLOADS", workload))

    def switch(self, workload: str = "web") -> Mapping[str, Any]:
        """The record of a workload's newest switch."""
        pk = f"WORKLOAD#{workload}"
        found = [i for i in self.items if i["pk"] == pk and i["sk"].startswith("SWITCH#")]
        return max(found, key=lambda item: str(item["claimed_at"]))

    def calls_of(self, *operations: str) -> list[ApiCall]:
        return [call for call in self.api if call.operation in operations]

    @property
    def alerts(self) -> list[str]:
        """Texts of the alerts that were sent."""
        return [call.params["Message"] for call in self.calls_of("Publish")]


def record(stage: Stage, **seen: Any) -> Story:
    """The story so far; ``seen`` is what the scenario recorded on the way."""
    executions = tuple(stage.account.executions())
    events = {e.name: list(_events(e.arn)) for e in executions}
    return Story(
        executions=executions,
        histories=json.dumps(events, default=str),
        items=tuple(stage.items()),
        api=tuple(stage.api),
        trace=tuple(stage.account.trace),
        objects=stage.objects(),
        alive=frozenset(stage.alive()),
        seen=seen,
    )


def run(scenario: Callable[[], Story]) -> Story:
    """Run a scenario; its seed is printed so that it can be repeated."""
    print(f"{scenario.__name__}: seed {SEED}")
    return scenario()


def _events(arn: str) -> Iterator[dict[str, Any]]:
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    for page in pages.paginate(executionArn=arn):
        yield from (dict(event) for event in page["events"])


StoryOf = Callable[[Callable[[], Story]], Story]
"""Type of the fixture ``story_of``: it runs a scenario once and returns its story."""
