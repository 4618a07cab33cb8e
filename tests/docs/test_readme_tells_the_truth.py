"""What the README says about tags and files is what the code knows."""

import re
from pathlib import Path

import pytest

from simulator.scenario_file import read_scenario
from simulator.scenario_table import event_key_rows, event_rows, fault_rows, schema_rows
from spot_optimizer.switching.workload_tags import TAGS, Tag, setting_rows

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("tag", [*TAGS, *setting_rows()], ids=lambda tag: tag.name)
def test_every_tag_has_its_row(tag: Tag) -> None:
    """Name, allowed values, default and meaning, word for word."""
    assert f"| `{tag.name}` | {tag.allowed} | {tag.default or '-'} | {tag.meaning} |" in README


def test_no_tag_is_documented_that_does_not_exist() -> None:
    """Every row of the table is a tag of the code."""
    table = README[README.index("| tag | allowed") : README.index("Refused are:")]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert rows == [tag.name for tag in (*TAGS, *setting_rows())]


def test_every_file_that_is_named_is_there() -> None:
    """Links and the rows of the map."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "//" not in link]
    mapped = re.findall(r"^\| `([^`<]+?)`", README[README.index("## The map") :], re.MULTILINE)
    paths = [link.partition("#")[0] for link in links] + mapped
    assert [path for path in paths if path and not (ROOT / path).exists()] == []


def test_the_keys_of_scenarios_are_those_of_the_schema() -> None:
    """All rows, in the order of the schema, and no other."""
    section = README[README.index("## Write a scenario") : README.index("## The map")]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [*schema_rows(), *event_rows(), *event_key_rows(), *fault_rows()]


def test_the_scenario_that_is_shown_is_one(tmp_path: Path) -> None:
    """It is read without a fault."""
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "example.yaml"
    path.write_text(example)
    assert read_scenario(path).scenario.workloads[0].name == "shop"
