"""The faults of a scenario happen where its file says, and what was done about them is told."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from cli.happenings import line
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
from tests.cli.test_the_report_page_tells_the_whole_run import Page

PLANNED = builtin_run("faults_are_cured")
NEVER = PlacedFault(FaultKind.KILLED, ApiCall("ec2", "RunInstances"), occurrence=99)
_STORY: list[Happening] = []


@pytest.fixture(scope="module")
def record() -> Record:
    """The scenario whose faults are cured, and one fault more, whose call is never made."""
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
    """What is said of each fault on the time line."""
    classes = [(a.get("class") or "").split() for tag, a in page.elements if tag == "path"]
    return [each[3] for each in classes if each[:3] == ["mark", "told", "fault"]]


def test_the_scenario_shows_what_it_says(record: Record) -> None:
    """Its expectations come true, those of its faults too."""
    assert disappointments(PLANNED.expected, record.summary) == []


def test_a_fault_that_met_no_call_is_reported(record: Record) -> None:
    """As the last, with what it waited for; whoever expects it is told."""
    last = record.summary.faults[-1]
    assert (last.at, last.ending) == (None, "never met")
    assert last.planned == "killed, ec2:RunInstances no. 99"
    told = disappointments(Expectations(faults=(7, 7)), record.summary)
    assert told == ["faults is 6, expected 7; never met: killed, ec2:RunInstances no. 99"]


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
            "the sweep found that its instance is gone, and a failover began 2 min later",
        ),
        ("error", "", "failed before it had an effect", "invoked again 80 s later, it ended well"),
    ],
)  # fmt: skip
def test_what_was_done_about_a_fault_is_told(
    record: Record, kind: str, workload: str, happened: str, done: str
) -> None:
    """Of which workload, what went wrong, what cured it and when."""
    found = fault(record, kind)
    assert found.workload_id == workload
    assert happened in found.happened
    assert done in found.done
    assert found.ending == "cured"
    assert found.at is not None
    assert found.cured_at is not None
    assert found.cured_at > found.at


def test_every_fault_stands_on_the_page(record: Record, page: Page) -> None:
    """A mark on the time line, in the row of its workload or of the whole stack; a row of the table."""
    assert marks(page) == ["cured"] * 6
    assert page.texts.count("whole stack") == 2
    for each in record.summary.faults:
        assert each.kind in page.texts
        assert f" {sentence(each.done)}" in page.texts
        assert each.happened in page.text
    assert "never met" in page.texts
    assert "6\N{NO-BREAK SPACE}cured, 1\N{NO-BREAK SPACE}never met" in page.texts


def test_a_fault_that_nothing_cured_looks_otherwise(record: Record) -> None:
    """Another colour on the time line, and no time after which it was cured."""
    first, *others = record.summary.faults
    left = replace(first, ending="open", cured_at=None)
    summary = replace(record.summary, faults=(left, *others))
    page = Page(html_page(replace(record, summary=summary)))
    assert sorted(marks(page)) == ["cured"] * 5 + ["open"]
    assert "open" in page.texts


def test_a_run_without_faults_says_nothing_of_them(record: Record) -> None:
    """Neither total nor legend nor marks."""
    page = Page(html_page(replace(record, summary=replace(record.summary, faults=()))))
    assert marks(page) == []
    assert not any("fault let happen" in text or "faults let" in text for text in page.texts)


def test_the_terminal_tells_faults_as_they_happen_and_at_the_end(record: Record) -> None:
    """A line each while it runs, and in the summary with what was done."""
    told = [line(happening).plain for happening in _STORY if happening.kind == "fault"]
    assert len(told) == 6
    assert any(each.startswith("00:45 etl") and "its reply was lost" in each for each in told)
    assert any(each.startswith("01:00 stack") for each in told)
    console = Console(file=io.StringIO(), width=300)
    print_summary(record.summary, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Fault cured 00:45 etl: ec2:CreateFleet by LaunchReplacement was carried out" in text
    assert "Fault never met killed, ec2:RunInstances no. 99: no such call was made" in text


def test_faults_are_part_of_the_json(record: Record) -> None:
    """Each with what happened and what was done."""
    document = json.loads(record.summary.to_json())
    assert [each["kind"] for each in document["faults"]][-1] == "killed"
    assert all(each["happened"] and each["done"] for each in document["faults"])
