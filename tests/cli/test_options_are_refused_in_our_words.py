"""A refused option is named, with its value and what is allowed."""

from datetime import datetime
from typing import Any, get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from cli.main import COMMANDS, Command, app

BAD = "ten"
GROUP: Any = typer.main.get_command(app)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_value_of_another_type_is_refused(command: Command) -> None:
    """Every number and time of every command, in words that are not a library's."""
    params = GROUP.commands[command.name].params
    types = get_type_hints(command.function)
    values = [param.opts[0] for param in params if _is_a_number_or_a_time(types[param.name])]
    assert values or command.name == "convert"
    for option in values:
        result = CliRunner().invoke(app, [command.name, *_needed(params), option, BAD])
        said = " ".join(result.output.replace("│", " ").split())
        assert result.exit_code == 2, said
        assert f"'{option}': {BAD}: allowed is a " in said


def _is_a_number_or_a_time(annotation: Any) -> bool:
    members = [annotation, *get_args(annotation)]
    return any(
        kind in (int, float, datetime) for each in members for kind in (each, *get_args(each))
    )


def _needed(params: Any) -> list[str]:
    """The command's arguments, which exist."""
    return [__file__ for param in params if not param.opts[0].startswith("-")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cost", "--workloads", "0"], "'--workloads': 0: allowed is 1 or more"),
        (["soak", "--every", "1.5"], "'--every': 1.5: allowed is a whole number"),
        (
            ["judge", "m5.large", "us-east-1a", "--at", "2026"],
            "'--at': 2026: allowed is a time such as 2026-01-31T12:30 or 2026-01-31",
        ),
        (
            ["recommend", "--vcpu", "2", "--memory", "8", "--zones", "use1-az1"],
            '--zones = "use1-az1": allowed is the name of a zone such as us-east-1a',
        ),
        (
            ["judge", "m5.large", "us-east-1"],
            'ZONE = "us-east-1": allowed is the name of a zone',
        ),
        (
            ["judge", "m5.tiny", "us-east-1a"],
            "INSTANCE_TYPE = 'm5.tiny' is unknown",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_limits_are_named(arguments: list[str], said: str) -> None:
    """By the name that the user wrote, an option or an argument."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
