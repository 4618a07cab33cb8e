"""Old and new code run in turn over one account, as during a gradual deployment and after a rollback."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest

import spot_optimizer.aws.data_bucket
import spot_optimizer.aws.ledger.table
import spot_optimizer.services.explain.explanation
from simulator.deployed import ZONES
from simulator.stage import Stage
from simulator.world.metrics import Load
from tests.compatibility.both_versions import BothVersions, Version, both_versions, failures
from tests.compatibility.old_version import old_version

PRICES = {("m5a.large", ZONES[2]): 0.015, ("c6i.xlarge", ZONES[0]): 0.06}
"""A pool that is worth a switch, and one that is expensive."""

Turn = tuple[Version, Version]

IN_TURN: tuple[Turn, ...] = (
    ("old", "old"),
    ("old", "new"),
    ("new", "old"),
    ("new", "new"),
    ("old", "new"),
    ("new", "old"),
)
"""Which version refreshes the market, and which decides then."""
OLD_ONLY: tuple[Turn, ...] = tuple(("old", "old") for _ in IN_TURN)

_FORCED = {1: ("api", "m6i.large", ZONES[1]), 2: ("web", "m6i.large", ZONES[1])}
"""Cycle -> the switch that is forced after it: one by a version that has not ordered the last one."""

_IDS = re.compile(
    r"\b(i|lt|vol|eipalloc|eni)-[0-9a-f]{8,17}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
)
_TEXTS = {"reason", "status_reason", "decision_digest", "summary", "findings", "message", "held_by"}
"""Attributes with text for people in them, or a digest of such text: words may change."""


@dataclass(frozen=True)
class Run:
    """What several cycles have left."""

    summaries: Sequence[Mapping[str, Any]]
    items: Mapping[tuple[str, str], Mapping[str, Any]]
    template_versions: int
    events: Mapping[str, set[str]]
    failures: Sequence[str]
    alive: int
    usage: Mapping[str, Any]


@contextmanager
def _cycles(turns: Sequence[Turn]) -> Iterator[tuple[Stage, BothVersions, Run]]:
    """Three workloads, an hour between two cycles, a forced switch and a rebalance recommendation."""
    with both_versions(PRICES) as (stage, versions):
        group = stage.world.create_target_group("shop")
        stage.world.loads["batch"] = Load(
            cpu_vcpu=lambda _: 0.2, memory_gib=lambda _: 1.0, network_mib_per_s=lambda _: 1.0
        )
        versions.serve(turns[0][0])
        stage.launch("web", target_group_arn=group, address=True)
        stage.launch("api")
        stage.launch("batch", "c6i.xlarge", tags={"Name": "batch", "spot-optimizer:mode": "manual"})
        stage.adopt()
        summaries = []
        for number, (refreshing, deciding) in enumerate(turns):
            versions.serve(refreshing)
            stage.refresh()
            versions.serve(deciding)
            summaries.append(stage.account.invoke("Decide", {"trigger": "schedule"}))
            stage.finish()
            if number in _FORCED:
                stage.force(*_FORCED[number])
            if number == 3:
                stage.command(command="set-threshold", name="cooldown_minutes", value=5)
                stage.world.recommend_rebalance(stage.workload("web")["instance_id"])
            stage.finish()
            stage.account.run_for(timedelta(minutes=61))
        yield stage, versions, _run(stage, summaries)


def _run(stage: Stage, summaries: Sequence[Mapping[str, Any]]) -> Run:
    events: dict[str, set[str]] = {}
    for call in stage.calls_of("PutEvents"):
        for entry in call.params["Entries"]:
            events.setdefault(entry["DetailType"], set()).update(json.loads(entry["Detail"]))
    return Run(
        summaries,
        {(str(item["pk"]), str(item["sk"])): item for item in stage.items()},
        len(stage.calls_of("CreateLaunchTemplate", "CreateLaunchTemplateVersion")),
        events,
        failures(stage),
        len(stage.alive()),
        {key: json.loads(body) for key, body in stage.objects("usage/").items()},
    )


@pytest.fixture(scope="module")
def alone() -> Run:
    """The cycles as version 0.1.0 alone runs them."""
    with _cycles(OLD_ONLY) as (_, _, run):
        return run


@pytest.fixture(scope="module")
def mixed(alone: Run) -> Iterator[tuple[Stage, BothVersions, Run]]:  # noqa: ARG001
    """The same cycles, old and new in turn; after ``alone``, for one account is open at a time."""
    with _cycles(IN_TURN) as opened:
        yield opened


Mixed = tuple[Stage, BothVersions, Run]


def test_both_versions_have_really_run(alone: Run, mixed: Mixed) -> None:
    """Cycles, steps and signals of both took part, and switches were among what they did."""
    _, versions, run = mixed
    for name in ("Decide", "RefreshMarket", "UpdateLedger", "LaunchReplacement", "HandOver"):
        assert versions.versions_of(name) == {"old", "new"}, name
    switches = [key for key in run.items if key[1].startswith("SWITCH#")]
    assert len(switches) >= 3
    assert {run.items[key]["phase"] for key in switches} == {"DONE"}
    assert alone.failures == []


def test_no_version_refuses_what_the_other_has_left(mixed: Mixed) -> None:
    """No function fails, no workload is refused, none is held for want of what the other wrote."""
    _, _, run = mixed
    assert run.failures == []
    assert [summary["refused"] for summary in run.summaries] == [0] * len(IN_TURN)
    workloads = [item for (pk, _), item in run.items.items() if pk == "WORKLOADS"]
    assert {item["status"] for item in workloads} == {"managed"}
    assert run.alive == len(workloads)


def test_cycles_in_turn_decide_what_the_old_version_alone_decides(alone: Run, mixed: Mixed) -> None:
    """The same kinds, rows, targets and rejections for each workload, at the same times."""
    assert _news(_decisions(mixed[2])) == _news(_decisions(alone))
    counted = ("workloads", "decisions", "held")
    assert [{k: s[k] for k in counted} for s in mixed[2].summaries] == [
        {k: s[k] for k in counted} for s in alone.summaries
    ]


def _news(decisions: list[Any]) -> list[Any]:
    """The decisions that say something new. Today's version also records one again that it acts upon
    again."""
    last: dict[str, Any] = {}
    found = []
    for each in decisions:
        workload_id, _, kind, row, candidates, _, held = each
        says = (kind, row, candidates[:1], held)
        if last.get(workload_id) != says:
            found.append(each)
        last[workload_id] = says
    return found


def _decisions(run: Run) -> list[Any]:
    return [
        (
            item["workload_id"],
            item["at"],
            item["kind"],
            item["row"],
            [(each["instance_type"], each["availability_zone"]) for each in item["candidates"]],
            [(each["pool"], each["price_usd_per_hour"]) for each in item["rejected"]],
            bool(item["held_by"]),
        )
        for (_, sk), item in sorted(run.items.items())
        if sk.startswith("DECISION#")
    ]


def test_no_launch_template_is_rewritten_by_the_other_version(alone: Run, mixed: Mixed) -> None:
    """What one version has read of an instance counts for the other: nothing is read again."""
    assert mixed[2].template_versions == alone.template_versions


def test_nothing_on_the_ledger_is_lost_between_versions(alone: Run, mixed: Mixed) -> None:
    """Each attribute that the old version alone leaves is there, with the same value."""
    found = mixed[2].items
    changed = [
        each
        for key, item in alone.items.items()
        for each in _changes(" / ".join(key), item, found.get(key))
    ]
    assert not changed, "\n".join(changed)


def _changes(where: str, old: Any, new: Any) -> Iterator[str]:
    """What of ``old`` is missing or different in ``new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            if name not in new:
                yield f"{where}.{name} is gone"
            elif name not in _TEXTS:
                yield from _changes(f"{where}.{name}", value, new[name])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from _changes(f"{where}[{number}]", *pair)
    elif _without_ids(old) != _without_ids(new):
        yield f"{where} was {old!r} and is {new!r}"


def _without_ids(value: Any) -> Any:
    return _IDS.sub("an id", value) if isinstance(value, str) else value


def test_readings_of_usage_are_kept_across_versions(alone: Run, mixed: Mixed) -> None:
    """CPU, memory and throughput that one version has read are not forgotten by the other."""
    assert alone.usage["usage/throughput.json"]
    assert alone.usage["usage/memory-metrics.json"]["metrics"]
    changed = list(_changes("usage", alone.usage, mixed[2].usage))
    assert not changed, "\n".join(changed)


def test_imported_files_are_recorded_alike(mixed: Mixed) -> None:
    """Both versions add to one list of imports, in one form."""
    stage, versions, _ = mixed
    rows = ["Timestamp,InstanceType,AvailabilityZone,SpotPrice"]
    rows += [f"2026-02-{day}T00:00:00Z,m5.large,{ZONES[0]},0.0{day}" for day in range(20, 25)]
    serving: Version
    for serving in ("old", "new", "old"):
        versions.serve(serving)
        key = f"import/{serving}.csv"
        boto3.client("s3").put_object(Bucket=stage.bucket, Key=key, Body="\n".join(rows).encode())
        task = {"task": "import", "key": key, "rows_are": "changes"}
        stage.account.invoke("RefreshMarket", task)
    records = json.loads(stage.object("history/imports.json"))
    assert {record["key"] for record in records} == {"import/old.csv", "import/new.csv"}
    assert len({frozenset(record) for record in records}) == 1


def test_a_lease_of_one_version_holds_for_the_other(mixed: Mixed) -> None:
    """Two cycles never run at once, whichever versions they are of."""
    stage, _, _ = mixed
    table, now = stage.account.outputs["LedgerTable"], stage.account.clock.now()
    new = spot_optimizer.aws.ledger.table.Ledger(table)
    old = old_version().module("aws.ledger.table").Ledger(table)
    for holder, other in ((new, old), (old, new)):
        assert holder.acquire_lease("decide", "me", now, 60)
        assert not other.acquire_lease("decide", "somebody else", now, 60)
        holder.release_lease("decide", "me")


def test_events_on_the_bus_keep_their_fields(alone: Run, mixed: Mixed) -> None:
    """A listener finds every field of version 0.1.0, whichever version sends the event."""
    for detail_type, fields in alone.events.items():
        assert fields <= mixed[2].events[detail_type], detail_type


@pytest.mark.parametrize("serving", ["old", "new"])
def test_questions_are_answered_on_what_both_have_kept(mixed: Mixed, serving: Version) -> None:
    """``evaluate``, ``recommend`` and ``models`` of one version find what the other needs to answer."""
    stage, versions, _ = mixed
    versions.serve(serving)
    size = {"vcpu": 2, "memory_gib": 8, "count": 2, "architecture": "x86_64"}
    pool = {"instance_type": "m5.large", "availability_zone": ZONES[0]}
    assert stage.command(command="evaluate", **pool)
    assert stage.command(command="recommend", **size)
    assert stage.command(command="models")


@pytest.mark.parametrize("explaining", ["old", "new"])
def test_decisions_of_both_versions_are_explained(mixed: Mixed, explaining: Version) -> None:
    """The first and the last one are made again from what was kept: only words may differ."""
    stage, _, run = mixed
    decisions = sorted(
        (item for (_, sk), item in run.items.items() if sk.startswith("DECISION#")),
        key=lambda item: str(item["at"]),
    )
    for item in (decisions[0], decisions[-1]):
        kept = _explained(stage, explaining, item)
        assert kept.explanation is not None, kept.remark
        again = kept.explanation.decision
        assert (str(again.kind), again.row) == (item["kind"], item["row"])
        places = [getattr(each, "placement", each) for each in again.candidates]
        targets = [(place.instance_type, place.availability_zone) for place in places]
        assert targets == [(c["instance_type"], c["availability_zone"]) for c in item["candidates"]]


def _explained(stage: Stage, version: Version, decision: Mapping[str, Any]) -> Any:
    table, bucket = stage.account.outputs["LedgerTable"], stage.bucket
    which: Any = (decision["workload_id"],)
    until = {"until": stage.account.clock.now(), "decision_id": decision["decision_id"]}
    if version == "new":
        return spot_optimizer.services.explain.explanation.explain_decision(
            spot_optimizer.aws.data_bucket.DataBucket(bucket),
            spot_optimizer.aws.ledger.table.Ledger(table),
            *which,
            **until,
        )
    old = old_version().module
    return old("services.explain").explain_decision(
        old("aws.archive").Archive(bucket), old("aws.ledger.table").Ledger(table), *which, **until
    )
