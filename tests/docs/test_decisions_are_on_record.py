"""Every decision has a record of one shape, and the index lists them all."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
PACKAGE = ROOT / "layers" / "spot_optimizer" / "spot_optimizer"


def _undo(record: Path) -> str:
    return record.read_text().partition("## How to undo")[2]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])
def test_record_says_status_date_context_options_choice_and_undo(record: Path) -> None:
    """In this order, each with a text."""
    text = record.read_text()
    assert re.match(r"# \d{4}\. .+\n\n- Status: .+\n- Date: \d{4}-\d\d-\d\d\n", text)
    assert text.startswith(f"# {record.name[:4]}. ")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == ["Context", "Options", "Choice", "How to undo"]
    assert all(part.strip() for part in parts[2::2])


def test_index_lists_every_record_in_order() -> None:
    """With its title; no record is without a row."""
    rows = re.findall(
        r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \|", (DECISIONS / "README.md").read_text(), re.M
    )
    assert rows == [
        (record.name[:4], record.read_text().splitlines()[0][8:], record.name) for record in RECORDS
    ]
    assert [number for number, _, _ in rows] == [f"{n + 1:04d}" for n in range(len(rows))]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])
def test_way_back_leads_to_files_that_exist(record: Path) -> None:
    """Files and folders below the repository or the shared package."""
    named = [name for name in re.findall(r"`([^` ]+)`", _undo(record)) if "/" in name]
    assert [n for n in named if not ((ROOT / n).exists() or (PACKAGE / n).exists())] == []
