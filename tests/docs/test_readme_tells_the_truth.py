"""README and docs agree with the code on tags, files and scenarios."""

import re
from pathlib import Path

import pytest

from simulator.scenario_file import read_scenario
from simulator.scenario_table import event_key_rows, event_rows, fault_rows, schema_rows
from spot_optimizer.switching.workload_tags import TAGS, Tag, setting_rows

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SCENARIOS = (ROOT / "docs" / "scenarios.md").read_text()
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "events" / "README.md"]


@pytest.mark.parametrize("tag", [*TAGS, *setting_rows()], ids=lambda tag: tag.name)
def test_every_tag_has_its_row(tag: Tag) -> None:
    """Name, allowed values, default and meaning, word for word."""
    assert f"| `{tag.name}` | {tag.allowed} | {tag.default or '-'} | {tag.meaning} |" in README


def test_no_tag_is_documented_that_does_not_exist() -> None:
    """Every row of the table is a tag of the code."""
    table = README[README.index("| tag | allowed") : README.index("Refused are:")]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert rows == [tag.name for tag in (*TAGS, *setting_rows())]


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
    """The folders and files that the README's map names."""
    mapped = re.findall(r"^\| `([^`<]+?)`", README[README.index("## The map") :], re.MULTILINE)
    assert mapped
    assert [path for path in mapped if not (ROOT / path).exists()] == []


def test_every_page_is_reached() -> None:
    """From the README, by a link or by its path in the map."""
    pages = [str(page.relative_to(ROOT)) for page in PAGES[1:]]
    assert [page for page in pages if page not in README] == []


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
