"""The site's references are made from the code when it is built, and its commands are real ones."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.main import COMMANDS, app
from docs import references
from spot_optimizer.switching.workload_tags import TAGS, setting_rows
from tests.house.repository import template
from tests.house.translated import properties_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
GROUP: Any = typer.main.get_command(app)


def _rows(name: str) -> list[str]:
    return [line for line in references.REFERENCES[name]() if line.startswith("| ")]


def test_every_tag_has_its_row() -> None:
    """Name, allowed values, default and meaning, word for word."""
    expected = [
        f"| `{tag.name}` | {tag.allowed} | {tag.default or '-'} | {tag.meaning} |"
        for tag in (*TAGS, *setting_rows())
    ]
    assert _rows("tags")[1:] == expected


def test_every_parameter_and_output_has_its_row() -> None:
    """Each once."""
    named = re.findall(r"^\| `(\w+)` \|", "\n".join(_rows("parameters")), re.MULTILINE)
    assert sorted(named) == sorted(template()["Parameters"])
    named = re.findall(r"^\| `(\w+)` \|", "\n".join(_rows("outputs")), re.MULTILINE)
    assert named == list(template()["Outputs"])


def test_every_command_is_documented_with_its_options() -> None:
    """As its help has them."""
    text = "\n".join(references.commands())
    for command in COMMANDS:
        assert f"## {command.name}\n" in text
        for param in GROUP.commands[command.name].params:
            assert f"`{param.opts[0]}`" in text


def test_every_event_is_documented_with_its_fields() -> None:
    """By the name that a rule matches."""
    text = "\n".join(references.events())
    assert "## Spot Optimizer Decision\n" in text
    assert "| `saving_forecast_usd_per_hour` | number or null |" in text
    assert "| `at` | time, ISO 8601 |" in text


@pytest.mark.parametrize("name", sorted(properties_of("AWS::CloudWatch::Alarm")))
def test_alarm_leads_to_its_runbook(name: str) -> None:
    """Its description in CloudWatch names the page and the heading."""
    description = properties_of("AWS::CloudWatch::Alarm")[name]["AlarmDescription"]
    _, page, heading = re.split(r" Runbook: |#", description)
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert [each for each in headings if each.lower() == heading] == [name]


def _commands() -> list[str]:
    """Every command of ours in a block of code of a page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.strip().removeprefix(".venv/bin/")
                if command.startswith("spot-optimizer "):
                    found.append(command)
    return found


@pytest.mark.parametrize("command", _commands())
def test_command_of_a_page_is_understood(command: str) -> None:
    """By the parser of the command line itself, with files and folders that a reader has or makes."""
    words = shlex.split(command.replace("...", "x"), comments=True)[1:]
    if words[0].startswith("-"):
        return
    name, *arguments = words
    existing = [
        __file__ if re.fullmatch(r"[\w./-]+\.(json|yaml)", each) else each for each in arguments
    ]
    if "--model" in existing:
        existing[existing.index("--model") + 1] = str(ROOT)
    GROUP.commands[name].make_context(name, existing)


def test_parameters_and_outputs_in_commands_exist() -> None:
    """What a page sets or reads of a stack."""
    text = "\n".join(page.read_text() for page in PAGES)
    for line in re.findall(r"--parameter-overrides ([^`\n]+)", text):
        for name in re.findall(r"(\w+)=", line):
            assert name in template()["Parameters"], line
    for name in re.findall(r"output `(\w+)`", text):
        assert name in template()["Outputs"], name
