"""The faults of a scenario happen where its file places them, and the report shows their cures."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cli.html_report.page import html_page
from cli.report import print_summary, sentence
from simulator.api_calls import ApiCall
from simulator.expectations import Expectations, disappointments
from simulator.faults.aftermath import FaultSummary
from simulator.faults.kinds import FaultKind
from simulator.faults.places import PlacedFault
from simulator.happenings import Happening
from simulator.markets import builtin_market
from simulator.record import Record, simulate_and_record
from simulator.scenario_file import builtin_run
from simulator.simulation import Observer
from tests.cli.printed import in_a_line
from tests.cli.test_report_page_shows_the_whole_run import Page

PLANNED = builtin_run("faults_are_cured")
NEVER = PlacedFault(FaultKind.KILLED, ApiCall("ec2", "RunInstances"), occurrence=99)
_STORY: list[Happening] = []


@pytest.fixture(scope="module")
def record() -> Record:
    """The scenario whose faults are cured, plus one fault whose call is never made."""
    print("seed", PLANNED.seed)
    scenario = replace(PLANNED.scenario, faults=(*PLANNED.scenario.faults, NEVER))
    market = builtin_market(PLANNED.seed, None, PLANNED.hours)
    observer = Observer(lambda _: None, _STORY.append)
    return simulate_and_record(scenario, market, seed=PLANNED.seed, observer=observer)


@pytest.fixture(scope="module")
def page(record: Record) -> Page:
    return Page(html_page(record))


def fault(record: Record, kind: str) -> FaultSummary:
    (found,) = [each for each in record.summary.faults if each.kind == kind and each.at]
    return found


def marks(page: Page) -> list[str]:
    """The ending of each fault on the timeline."""
    classes = [(a.get("class") or "").split() for tag, a in page.elements if tag == "path"]
    return [each[3] for each in classes if each[:1] + each[2:3] == ["mark", "fault"]]


def test_scenario_meets_its_expectations(record: Record) -> None:
    """All expectations come true, including those about its faults."""
    assert disappointments(PLANNED.expected, record.summary) == []


def test_fault_that_met_no_call_is_reported(record: Record) -> None:
    """It comes last, with the call that it waited for; an expectation that counts it fails."""
    last = record.summary.faults[-1]
    assert (last.at, last.ending) == (None, "never met")
    assert last.planned == "killed, ec2:RunInstances no. 99"
    lines = disappointments(Expectations(faults=(7, 7)), record.summary)
    assert lines == ["faults is 6, expected 7; never met: killed, ec2:RunInstances no. 99"]


@pytest.mark.parametrize(
    ("kind", "workload", "happened", "done"),
    [
        (
            "denied", "shop", "was not allowed",
            "HandOver failed once (ClientError), so AbandonSwitch followed; the switch was undone;"
            " the next one began 20 min later and was done",
        ),
        (
            "killed", "shop", "was carried out; then the function was killed",
            "HandOver failed (Runtime.ExitError); tried again once, it succeeded",
        ),
        (
            "throttle", "shop", "was throttled (RequestLimitExceeded)",
            "TerminateOriginal failed (Ec2.Ec2Exception); tried again once, it succeeded",
        ),
        (
            "lost-reply", "etl", "was carried out, but its reply was lost",
            "LaunchReplacement failed (TryAgain); tried again once, it succeeded",
        ),
        (
            "not-delivered", "batch", "an event for HandleSignal never arrived",
            "EC2 reported that its instance is shutting-down, and a failover began 2 min later",
        ),
        ("error", "", "failed before it had an effect", "invoked again 80 s later, it ended well"),
    ],
)  # fmt: skip
def test_cure_of_a_fault_is_reported(
    record: Record, kind: str, workload: str, happened: str, done: str
) -> None:
    """The report names the workload, the fault, its cure, and the time of the cure."""
    found = fault(record, kind)
    assert found.workload_id == workload
    assert happened in found.happened
    assert done in found.done
    assert found.ending == "cured"
    assert found.at is not None
    assert found.cured_at is not None
    assert found.cured_at > found.at


def test_page_shows_every_fault(record: Record, page: Page) -> None:
    """Each has a mark in the row of its workload or of the whole stack, and a row in the table."""
    assert marks(page) == ["cured"] * 6
    assert page.texts.count("whole stack") == 2
    for each in record.summary.faults:
        assert each.kind in page.texts
        assert f" {sentence(each.done)}" in page.texts
        assert each.happened in page.text
    assert "never met" in page.texts
    assert "6\N{NO-BREAK SPACE}cured, 1\N{NO-BREAK SPACE}never met" in page.texts


def test_uncured_fault_looks_different(record: Record) -> None:
    """It has another color on the timeline, and no time of a cure."""
    first, *others = record.summary.faults
    left = replace(first, ending="open", cured_at=None)
    summary = replace(record.summary, faults=(left, *others))
    page = Page(html_page(replace(record, summary=summary)))
    assert sorted(marks(page)) == ["cured"] * 5 + ["open"]
    assert "open" in page.texts


def test_page_of_a_run_without_faults_mentions_none(record: Record) -> None:
    """It has neither a total nor a legend nor marks of faults."""
    page = Page(html_page(replace(record, summary=replace(record.summary, faults=()))))
    assert marks(page) == []
    assert not any("fault injected" in text or "faults injected" in text for text in page.texts)


def test_terminal_shows_faults_as_they_happen_and_at_the_end(record: Record) -> None:
    """Each has a line during the run, and one in the summary with its cure."""
    lines = [in_a_line(happening) for happening in _STORY if happening.kind == "fault"]
    assert len(lines) == 6
    assert any(each.startswith("00:45 etl") and "its reply was lost" in each for each in lines)
    assert any(each.startswith("01:00 stack") for each in lines)
    console = Console(file=io.StringIO(), width=300)
    print_summary(record.summary, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Fault cured 00:45 etl: ec2:CreateFleet by LaunchReplacement was carried out" in text
    assert "Fault never met killed, ec2:RunInstances no. 99: no such call was made" in text


def test_json_contains_the_faults(record: Record) -> None:
    """Each has its description and its cure."""
    document = record.summary.document()
    assert [each["kind"] for each in document["faults"]][-1] == "killed"
    assert all(each["happened"] and each["done"] for each in document["faults"])
