"""One small trained model for all tests of training, evaluation and model forecasts."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from models.artifact_files import read_model, read_simple_rules
from models.simple_rules import SimpleRules
from models.training import PriceFile, train
from spot_optimizer.forecast.model_artifact import Model
from tests.models.small_markets import small_market, write_csv

DAYS = 16
SEED = 3


@dataclass(frozen=True)
class Trained:
    """A model, its folder and its training data."""

    folder: Path
    prices: Path
    model: Model
    rules: SimpleRules


def train_small(prices: Path, folder: Path) -> None:
    """Train as the command line does, with one thread."""
    train(
        [PriceFile(prices)],
        {},
        folder,
        name="small",
        seed=SEED,
        threads=1,
        progress=lambda *_: None,
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained once per worker, in seconds."""
    folder = tmp_path_factory.mktemp("model")
    prices = write_csv(folder / "prices.csv", small_market(DAYS))
    train_small(prices, folder / "artifact")
    artifact = folder / "artifact"
    return Trained(artifact, prices, read_model(artifact), read_simple_rules(artifact))
