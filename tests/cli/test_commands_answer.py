"""The command line: an event can be tried, bad input gets one clear message."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.cli.printed import document_of

EVENTS = sorted((Path(__file__).parents[2] / "events").glob("*/*.json"))
RUN = CliRunner()


def test_invoke_shows_the_answer_and_what_follows() -> None:
    """A forced switch: the answer names the execution, the next minutes show it succeed."""
    event = next(e for e in EVENTS if e.stem == "decide_pool")
    result = RUN.invoke(app, ["invoke", "command", str(event), "--json"])
    assert result.exit_code == 0, result.output
    document = document_of(result)
    assert "search" in document["answer"]["started"]
    assert ("search", "switched") in [(h["workload"], h["what"]) for h in document["afterwards"]]


def test_invoke_shows_an_error_and_exits_with_1(tmp_path: Path) -> None:
    """One line, and nothing beside it."""
    event = tmp_path / "bad.json"
    event.write_text('{"command": "stop"}')
    result = RUN.invoke(app, ["invoke", "command", str(event)])
    assert result.exit_code == 1
    assert (result.stdout, result.stderr) == ("", "InvalidRequest: asked_by is missing\n")


def test_invoke_uploads_a_model_before_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version is the folder's name, and S3's events bring it to the registry."""
    monkeypatch.setattr("cli.invoke._FILLS", 0)
    monkeypatch.setattr("cli.invoke._HISTORY_OF_MODELS_DAYS", 9)
    (tmp_path / "v7").mkdir()
    (tmp_path / "v7" / "model.pkl").write_bytes(b"a pickle")
    event = next(e for e in EVENTS if e.stem == "models")
    arguments = ["invoke", "command", str(event), "--model", str(tmp_path / "v7"), "--json"]
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (upload,) = document_of(result)["answer"]["uploads"]
    assert (upload["version"], upload["state"]) == ("v7", "refused")
    assert upload["reason"].startswith("model.pkl: not a file of a model")


def test_an_unknown_function_is_named_with_those_there_are(tmp_path: Path) -> None:
    """No traceback, a usage error."""
    event = tmp_path / "event.json"
    event.write_text("{}")
    result = RUN.invoke(app, ["invoke", "explode", str(event)])
    assert result.exit_code == 2
    assert "RefreshMarket" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hours", "0"], "0.5"),
        (["--on-demand", __file__], "--prices"),
        (["--prices", __file__], "no column for the time"),
        (["--start", "tomorrow"], "tomorrow"),
    ],
)
def test_impossible_options_are_refused(arguments: list[str], said: str) -> None:
    """Exit code 2 and what is allowed."""
    result = RUN.invoke(app, ["simulate", *arguments])
    assert result.exit_code == 2
    assert said in result.output
