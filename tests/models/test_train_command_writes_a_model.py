"""``spot-optimizer train`` writes a model with its card, or says what is wrong with its input."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from models.artifact_files import read_model
from models.model_card import MODEL_CARD
from tests.cli.printed import document_of
from tests.models.small_markets import small_market, write_csv

DAY = "2023-11-29"
"""The fourteenth of the small market."""


def test_train_command_writes_a_model_that_loads_and_its_card(tmp_path: Path) -> None:
    """FILE@DAY uses only rows before the day, and the card says so."""
    prices = write_csv(tmp_path / "prices.csv", small_market(20))
    out = tmp_path / "made"
    answer = CliRunner().invoke(
        app,
        [
            *("train", "--prices", f"{prices}@{DAY}", "--out", str(out), "--name", "mine"),
            *("--threads", "1", "--seed", "5", "--json"),
        ],
    )
    assert answer.exit_code == 0, answer.output
    document = document_of(answer)
    assert document["trained_until"].startswith("2023-11-28T23:59")
    assert document["folder"] == str(out)
    model = read_model(out)
    assert (model.metadata.name, model.metadata.seed) == ("mine", 5)
    card = (out / MODEL_CARD).read_text(encoding="utf-8")
    assert "prices.csv" in card
    assert "2023-11-28" in card


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ("nowhere.csv", "there is no such file"),
        ("{}@soon", "must be a day such as 2021-05-11"),
        ("{}@2023-11-17", "too little time to learn from"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(tmp_path: Path, prices: str, words: str) -> None:
    """Exit code 2, the option or the file, and what is allowed."""
    path = write_csv(tmp_path / "prices.csv", small_market(20))
    answer = CliRunner().invoke(
        app, ["train", "--prices", prices.format(path), "--out", str(tmp_path / "made")]
    )
    assert answer.exit_code == 2
    assert words in " ".join(answer.output.replace("│", " ").split())
    assert not (tmp_path / "made").exists()
