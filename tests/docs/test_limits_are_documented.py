"""docs/world.md shows the table of limits, and nothing else."""

from pathlib import Path

from simulator.limit_table import figures, limit_rows

WORLD = (Path(__file__).parents[2] / "docs" / "world.md").read_text()


def test_every_figure_has_its_row_and_no_other_is_there() -> None:
    """Name, value, what a scenario may set, meaning and source, in the table's order."""
    assert [line for line in WORLD.splitlines() if line.startswith("| `")] == limit_rows()


def test_every_figure_says_where_it_is_from() -> None:
    """A source, or that there is none."""
    assert [row.name for row in figures() if not row.source or not row.meaning] == []
