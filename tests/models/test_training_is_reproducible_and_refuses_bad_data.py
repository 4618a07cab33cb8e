"""Training is reproducible, keeps its parts separate, and says what it cannot learn from."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from models.artifact_files import read_model
from models.training import PURGE_S, PriceFile, TooLittleData, train
from price_files.files import UnreadableFile
from spot_optimizer.forecast.model_artifact import METADATA, UnusableModel
from spot_optimizer.market.cleaning import PriceRow
from tests.models.conftest import Trained, train_small
from tests.models.small_markets import DAY_S, START_S, small_market, write_csv


def test_same_data_and_seed_give_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    """Every file of the model, byte for byte."""
    train_small(trained.prices, tmp_path)
    for path in sorted(trained.folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_training_and_validation_are_separated_by_the_longest_horizon(trained: Trained) -> None:
    """No outcome of a training row lies in the validation part."""
    spans = trained.model.metadata.trained_on[0]["regions"]["us-east-1"]
    (_, train_end), (validate_start, _) = (
        [datetime.fromisoformat(text).timestamp() for text in spans[part]]
        for part in ("train", "validate")
    )
    assert validate_start - train_end >= PURGE_S


def test_rows_after_the_given_day_are_not_used(tmp_path: Path) -> None:
    """A file with different prices after the day gives the same model."""
    rows = small_market(16)
    until_s = START_S + 12 * DAY_S
    changed = [(p, t, price if t < until_s else price * 2) for p, t, price in rows]
    folders = []
    for number, part in enumerate((rows, changed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        prices = write_csv(folder / "prices.csv", part)
        train(
            [PriceFile(prices, until_s)],
            {},
            folder / "model",
            name="small",
            seed=1,
            threads=1,
            progress=lambda *_: None,
        )
        folders.append(folder / "model")
    for name in ("boosters.json.gz", "calibration.npz", "rivals.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (small_market(3), TooLittleData, "too little time"),
        (
            [row for row in small_market(16) if row[0].instance_type == "m5.large"][:16],
            TooLittleData,
            "change within 1 h",
        ),
        ([], UnreadableFile, "no rows"),
        (
            [(p, t, -price) for p, t, price in small_market(2)],
            UnreadableFile,
            "no row is usable: .*zero or negative",
        ),
    ],
    ids=["three days", "hardly a change", "empty", "negative prices"],
)
def test_too_little_data_is_refused_with_the_reason(
    tmp_path: Path, rows: list[PriceRow], error: type[Exception], words: str
) -> None:
    """The message names the file or the count, and what is needed."""
    prices = write_csv(tmp_path / "prices.csv", rows)
    with pytest.raises(error, match=words):
        train_small(prices, tmp_path / "model")


def test_model_with_other_features_is_refused(trained: Trained, tmp_path: Path) -> None:
    """Misaligned columns would give wrong forecasts; the message names them."""
    for path in trained.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    metadata = json.loads((tmp_path / METADATA).read_text())
    metadata["features"][0] = "phase_of_the_moon"
    (tmp_path / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(UnusableModel, match=r"unknown here: \['phase_of_the_moon'\].*age_h"):
        read_model(tmp_path)


@pytest.mark.parametrize("name", ["metadata.json", "boosters.json.gz", "calibration.npz"])
def test_damaged_or_missing_file_is_refused_by_name(
    trained: Trained, tmp_path: Path, name: str
) -> None:
    """The file is named, whatever is wrong with it."""
    for path in trained.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    with pytest.raises(UnusableModel, match=name):
        read_model(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UnusableModel, match=f"{name}: there is no such file"):
        read_model(tmp_path)
