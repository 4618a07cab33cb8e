"""README and docs agree with the code on tags, files and scenarios."""

import re
from pathlib import Path

import pytest

from simulator.scenario_file import read_scenario
from simulator.scenario_table import event_key_rows, event_rows, fault_rows, schema_rows

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "docs" / "architecture.md").read_text()
SCENARIOS = (ROOT / "docs" / "scenarios.md").read_text()
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for page in ROOT.glob("docs/*.md") if page.name != "index.md"),
    ROOT / "docs" / "decisions" / "README.md",
    ROOT / "events" / "README.md",
]


def test_readme_is_read_in_a_minute() -> None:
    """Its limits, which say that a page of the site is the place for more."""
    lines = README.splitlines()
    assert len(lines) <= 200
    assert max(map(len, lines)) <= 100
    assert len(README.encode()) <= 12_000
    assert lines.index("## What it cannot do yet") < 30  # on the first screen


def _anchors(page: Path) -> set[str]:
    """What a link may name on a page: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text).strip().lower().replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading of it."""
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "//" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_every_row_of_the_map_is_there() -> None:
    """The folders and files that the map names."""
    mapped = re.findall(r"^\| `([^`<]+?)`", MAP[MAP.index("## The map") :], re.MULTILINE)
    assert mapped
    assert [path for path in mapped if not (ROOT / path).exists()] == []


def test_every_page_is_reached() -> None:
    """From the README or the map, by a link."""
    known = README + MAP.replace("](", "](docs/")
    pages = [str(page.relative_to(ROOT)) for page in PAGES if page.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in known] == []


def test_the_keys_of_scenarios_are_those_of_the_schema() -> None:
    """All rows, in the order of the schema, and no other."""
    rows = [line for line in SCENARIOS.splitlines() if line.startswith("| `")]
    assert rows == [*schema_rows(), *event_rows(), *event_key_rows(), *fault_rows()]


def test_the_scenario_that_is_shown_is_one(tmp_path: Path) -> None:
    """It is a valid scenario."""
    (example,) = re.findall(r"```yaml\n(.*?)```", SCENARIOS, re.DOTALL)
    path = tmp_path / "example.yaml"
    path.write_text(example)
    assert read_scenario(path).scenario.workloads[0].name == "shop"
