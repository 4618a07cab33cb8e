"""The page and the terminal show EC2's signals and their effects."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from cli.html_report.page import html_page
from cli.report import duration, print_summary
from simulator.happenings import Happening
from simulator.markets import builtin_market
from simulator.record import Record, simulate_and_record
from simulator.scenario_file import builtin_run
from simulator.simulation import Observer
from simulator.summary import SwitchSummary
from tests.cli.printed import in_a_line
from tests.cli.test_report_page_shows_the_whole_run import Page

_STORY: list[Happening] = []


@pytest.fixture(scope="module")
def record() -> Record:
    """Three interruptions: warned three times, warned too late, not warned."""
    planned = builtin_run("interruption_keeps_load_balancing")
    print("seed", planned.seed)
    market = builtin_market(planned.seed, None, 0.75)
    observer = Observer(lambda _: None, _STORY.append)
    return simulate_and_record(planned.scenario, market, seed=planned.seed, observer=observer)


@pytest.fixture(scope="module")
def page(record: Record) -> Page:
    return Page(html_page(record))


def marks(page: Page, kind: str) -> int:
    """Marks of this kind on the timeline, without the legend's."""
    classes = [(a.get("class") or "").split() for tag, a in page.elements if tag == "path"]
    return sum(each[:1] + each[2:3] == ["mark", kind] for each in classes)


def with_failover(record: Record, **changes: object) -> Page:
    """The page of a run whose first failover ended differently."""
    first, *others = record.summary.switches
    changed: SwitchSummary = replace(first, **changes)  # type: ignore[arg-type]
    summary = replace(record.summary, switches=(changed, *others))
    return Page(html_page(replace(record, summary=summary)))


def test_page_shows_every_signal_once_with_effect_and_reason(record: Record, page: Page) -> None:
    """Each has one mark and one row, however often it was delivered."""
    signals = record.summary.signals
    assert [s.workload_id for s in signals] == ["warned", "too-late", "unwarned"]
    assert marks(page, "warned") == 3
    text = "".join(page.texts)
    for signal in signals:
        assert signal.what in page.texts
        assert signal.effect in page.texts
        assert signal.reason in text


def test_failovers_are_not_drawn_as_planned_switches(page: Page) -> None:
    """They have their own marks and words."""
    assert marks(page, "failed-over") == 3
    assert marks(page, "done") == 0
    assert page.texts.count("failed over") == 6  # in the tables of signals and of switches
    assert "done" not in page.texts


def test_downtime_is_in_the_totals_and_on_the_timeline(record: Record, page: Page) -> None:
    """The totals sum it up; each failover after the end of its original has a box."""
    failovers = record.summary.switches
    down_s = [s.downtime_seconds for s in failovers if s.downtime_seconds]
    assert sum(down_s) == sum(w.downtime_seconds for w in record.summary.workloads)
    assert f"{duration(sum(down_s))} of downtime, 0 failed, 3 signals of EC2" in page.texts
    boxes = [a for tag, a in page.elements if tag == "rect" and a.get("class") == "down"]
    assert len(boxes) == len(down_s) + 1  # and the legend's


def test_failed_failover_is_a_fault(record: Record) -> None:
    """It has its own mark and count, and its outcome is among the faults."""
    page = with_failover(record, phase="FAILED", outcome="nobody had capacity")
    assert (marks(page, "failed-over"), marks(page, "failover-failed")) == (2, 1)
    assert "failover failed" in page.texts
    assert page.text.count("nobody had capacity") == 2
    assert f"failover from {record.summary.switches[0].came_from} failed" in page.texts


def test_switch_taken_over_by_a_failover_is_no_fault(record: Record) -> None:
    """Nothing failed: the failover continued it."""
    page = with_failover(record, phase="FAILED", kind="SWITCH", taken_over=True)
    assert marks(page, "taken-over") == 1
    assert "taken over" in page.texts
    assert "No fault." in page.texts


def test_terminal_summary_shows_failovers(record: Record) -> None:
    """It has the time until the replacement served, and the downtime."""
    console = Console(file=io.StringIO(), width=300)
    print_summary(record.summary, console, verbose=True)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("FAILED OVER") == 3
    for switch in record.summary.switches:
        assert switch.hand_over_seconds is not None
        assert f"{switch.hand_over_seconds:.0f} s until the replacement served" in text


def test_terminal_shows_signals_and_failovers_as_they_happen(record: Record) -> None:
    """Each has a line; a failover's has the seconds until the hand-over."""
    lines = [in_a_line(happening) for happening in _STORY]
    signals = [each for each in lines if " signal: " in each]
    for signal in record.summary.signals:
        said = f"{signal.workload_id} signal: {signal.what}: {signal.effect}, {signal.reason}"
        assert any(each.endswith(said) for each in signals)
    assert any("[mc]*" in each for each in lines)  # a pattern is no markup
    done = [each for each in lines if " failed over: " in each]
    assert len(done) == len(record.summary.switches)
    assert all(" s: m5.large" in each or " s: c5.large" in each for each in done)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (154.5, "2 min 35 s"),
        (5400, "1.5 h"),
    ],
)
def test_duration_is_rounded_up_to_whole_seconds(seconds: float, text: str) -> None:
    """Downtime is never shown shorter than it was."""
    assert duration(seconds) == text
