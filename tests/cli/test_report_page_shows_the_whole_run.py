"""The report page is self-contained, and shows exactly what the ledger and the bill contain."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.html_report.page import html_page
from cli.main import app
from simulator.demo import demo
from simulator.market.history import Pool
from simulator.markets import builtin_market
from simulator.record import Record, simulate_and_record
from simulator.simulation import silent
from tests.cli.printed import document_of

SEED = 1
RUN = CliRunner()
VOID = {"meta", "br"}
NASTY = '</title><script>alert("&$title")</script>'


class Page(HTMLParser):
    """Elements in order; every end tag must close the innermost open element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@pytest.fixture(scope="module")
def record() -> Record:
    """Two hours of the demo: a capacity shortage, two switches, a refused and a manual workload."""
    print(f"seed {SEED}")
    return simulate_and_record(demo(), builtin_market(SEED, None, 2), seed=SEED, observer=silent())


@pytest.fixture(scope="module")
def page(record: Record) -> Page:
    return Page(html_page(record))


def test_page_is_well_formed(page: Page) -> None:
    """Every element that is opened is closed, in order."""
    assert page.open == []
    assert page.elements[0][0] == "html"


def test_page_loads_nothing(record: Record) -> None:
    """It contains no address, import, source or link, so it looks the same without a network."""
    text = html_page(record)
    assert re.findall(r"https?:|//[a-z]|@import|url\(|\bsrc=|\bhref=|<link|fetch\(", text) == []


def test_page_shows_every_decision(record: Record, page: Page) -> None:
    """Each change of decision has a row with its reason, its guard and the rejected pools."""
    rows = [a for t, a in page.elements if t == "tr" and "data-workload" in a and "id" not in a]
    faults = len(record.refused_launches) + 1
    assert len(rows) == len(record.decisions) + faults
    for decision in record.decisions:
        assert decision.reason in page.texts
        assert not decision.held_by or decision.held_by in page.text
        for reason, count in decision.rejected_counts.items():
            assert f"{count} {reason}" in page.text
    assert any(decision.held_by for decision in record.decisions)


def test_page_shows_every_switch_and_refused_launch(record: Record, page: Page) -> None:
    """A switch has places, reason and states; a refused launch its error code and cure."""
    ids = {a.get("id") for tag, a in page.elements if tag == "tr"}
    assert record.summary.switches
    assert record.refused_launches
    for switch in record.summary.switches:
        assert switch.switch_id in ids
        assert {switch.came_from, f"→ {switch.went_to}", switch.why} <= set(page.texts)
    for launch in record.refused_launches:
        assert launch.cure in page.texts
        assert f"launch refused in {launch.place}: {launch.code}" in page.text


def test_page_shows_a_failed_switch_and_its_outcome(record: Record) -> None:
    """Both are in the table of switches and among the faults."""
    first, *others = record.summary.switches
    failed = replace(first, phase="FAILED", outcome="the replacement never became healthy")
    summary = replace(record.summary, switches=(failed, *others))
    page = Page(html_page(replace(record, summary=summary)))
    assert page.text.count("the replacement never became healthy") == 2


def test_page_shows_the_money_of_the_summary(record: Record, page: Page) -> None:
    """Totals, each workload's three sums, and the ends of the curves agree."""
    workloads = record.summary.workloads
    last = record.costs[-1]
    assert last.cost_usd == pytest.approx(sum(w.cost_usd for w in workloads))
    assert last.on_demand_usd == pytest.approx(sum(w.cost_on_demand_usd for w in workloads))
    assert last.standing_still_usd == pytest.approx(
        sum(w.cost_standing_still_usd for w in workloads)
    )
    assert f"{sum(w.cost_usd for w in workloads):.2f} USD" in page.texts
    for workload in workloads:
        assert f"{workload.cost_usd:.2f} USD" in page.texts
        assert f"on-demand {workload.cost_on_demand_usd:.2f}" in page.text
        assert f"standing still {workload.cost_standing_still_usd:.2f}" in page.text


def test_bars_are_the_instances_and_their_cost_adds_up(record: Record, page: Page) -> None:
    """As many bars as instances (and two in the legend); a workload's instances cost what it cost."""
    bars = [a for _, a in page.elements if (a.get("class") or "").startswith("bar ")]
    assert len(bars) == 2 + sum(len(workload.instances) for workload in record.workloads)
    for workload, summary in zip(record.workloads, record.summary.workloads, strict=True):
        cost = sum(instance.cost_usd for instance in workload.instances)
        assert cost == pytest.approx(summary.cost_usd)
        assert workload.instances[0].place == summary.began_on
        assert workload.instances[-1].place == summary.is_on
        assert sum(s.cycles for s in workload.cycles) == sum(summary.decisions.values())


def test_forecast_bands_are_an_hour_old(record: Record) -> None:
    """Each cycle with a snapshot has one, none before; the price at that time lies in its band."""
    search = next(w for w in record.workloads if w.workload_id == "search")
    (instance,) = search.instances
    assert len(instance.bands) > 8
    assert all((band.at - instance.start).total_seconds() > 3600 for band in instance.bands)
    market = builtin_market(SEED, None, 2)
    pool = Pool(instance.instance_type, instance.availability_zone)
    for band in instance.bands:
        before = market.prices.price_at(pool, market.start)
        assert before is not None
        assert band.p05_usd_per_hour <= before <= band.p95_usd_per_hour


def test_page_says_what_is_simulated_and_scripted(record: Record, page: Page) -> None:
    """Its head says that it is simulated, and every scripted event is listed with its time."""
    assert "Simulated" in page.texts
    assert "All money is simulated." in " ".join(page.text.split())
    assert record.scripted
    for event in record.scripted:
        assert f" {event.text}" in page.texts


def test_external_text_is_escaped(record: Record) -> None:
    """Markup and template signs in a name, a reason or a market's file name stay text."""
    summary = replace(
        record.summary,
        market=NASTY,
        workloads=tuple(replace(w, shows=NASTY) for w in record.summary.workloads),
        switches=tuple(replace(s, why=NASTY) for s in record.summary.switches),
    )
    decisions = tuple(replace(d, reason=NASTY, held_by=NASTY) for d in record.decisions)
    text = html_page(replace(record, summary=summary, decisions=decisions))
    assert text.count("<script>") == 1
    assert NASTY in Page(text).texts


def test_long_names_are_cut_in_drawings_and_complete_in_hints(record: Record) -> None:
    """A name of 128 characters does not overflow the drawing."""
    name = "x" * 128
    old = record.workloads[0].workload_id
    summary = replace(
        record.summary,
        workloads=tuple(
            replace(w, workload_id=name) if w.workload_id == old else w
            for w in record.summary.workloads
        ),
    )
    workloads = (replace(record.workloads[0], workload_id=name), *record.workloads[1:])
    page = Page(html_page(replace(record, summary=summary, workloads=workloads)))
    assert "x" * 17 + "…" in page.texts
    assert name in page.texts


def test_simulate_writes_the_page_and_the_json(tmp_path: Path) -> None:
    """With --report and --json, the page is in the file and one document on the terminal."""
    file = tmp_path / "run.html"
    result = RUN.invoke(app, ["simulate", "--hours", "0.5", "--json", "--report", str(file)])
    assert result.exit_code == 0, result.output
    document = document_of(result)
    assert len(document["workloads"]) == 8
    page = Page(file.read_text(encoding="utf-8"))
    for workload in document["workloads"]:
        assert workload["workload_id"] in page.texts


def test_unwritable_report_is_refused_before_the_run(tmp_path: Path) -> None:
    """The exit code is 2, and the message names the missing folder."""
    file = tmp_path / "nowhere" / "run.html"
    result = RUN.invoke(app, ["simulate", "--hours", "0.5", "--report", str(file)])
    assert result.exit_code == 2
    assert "no folder" in result.output
