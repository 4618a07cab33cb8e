"""A model's files in a folder."""

from pathlib import Path

from models.rivals import Rivals
from models.training import RIVALS
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.model_artifact import (
    SHIPPED,
    Model,
    UnusableModel,
    load_model,
)

__all__ = ["SHIPPED", "read_model", "read_rivals"]


def read_model(folder: Path) -> Model:
    """Raises UnusableModel."""

    def read(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.is_file() else None

    return load_model(read, load_booster)


def read_rivals(folder: Path) -> Rivals:
    """The rules that learned from the same data. Raises UnusableModel."""
    path = folder / RIVALS
    try:
        return Rivals.from_json(path.read_bytes())
    except (OSError, ValueError, KeyError) as error:
        raise UnusableModel(f"{RIVALS}: cannot be read: {error}") from error
