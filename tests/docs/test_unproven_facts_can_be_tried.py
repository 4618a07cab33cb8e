"""docs/unproven.md says of every fact why it is unproven, what tries it and what to do if it fails."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "unproven.md").read_text()
TEMPLATE = (Path(__file__).parents[2] / "template.yaml").read_text()
FACTS = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
PARTS = ("Why only an account proves it.", "Try it.", "If it fails.")


def _claim(fact: str) -> str:
    return fact.partition("\n")[0]


def test_facts_are_found() -> None:
    """Every third heading is a fact, and no claim is there twice."""
    claims = [_claim(fact) for fact in FACTS]
    assert len(claims) >= 6
    assert len(set(claims)) == len(claims)


@pytest.mark.parametrize("fact", FACTS, ids=_claim)
def test_a_fact_has_its_parts_and_a_command(fact: str) -> None:
    """In this order, each with a text; what tries it ends with a command."""
    said = re.split(r"^\*\*(.+?)\*\* ", fact, flags=re.MULTILINE)
    assert tuple(said[1::2]) == PARTS
    assert all(part.strip() for part in said[2::2])
    tried = said[2 * PARTS.index("Try it.") + 2]
    assert re.search(r"^```\n.*\baws .*^```$", tried, re.MULTILINE | re.DOTALL)


def test_statements_that_a_fact_names_exist() -> None:
    """A statement that is to be changed is in the template."""
    named = re.findall(r"statements?((?:(?:, | and | )`[A-Z]\w+`)+)", " ".join(PAGE.split()))
    sids = [sid for some in named for sid in re.findall(r"`(\w+)`", some)]
    assert len(sids) >= 5
    assert [sid for sid in sids if f"Sid: {sid}" not in TEMPLATE] == []
