"""Read a model's files from a folder."""

from pathlib import Path

from models.simple_rules import SimpleRules
from models.training import SIMPLE_RULES
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.model_artifact import (
    SHIPPED,
    Model,
    UnusableModel,
    load_model,
)

__all__ = ["SHIPPED", "read_model", "read_simple_rules"]


def read_model(folder: Path) -> Model:
    """Load the model in ``folder``. Raises UnusableModel."""

    def read(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.is_file() else None

    return load_model(read, load_booster)


def read_simple_rules(folder: Path) -> SimpleRules:
    """Read the simple rules that were fitted to the same data. Raises UnusableModel."""
    path = folder / SIMPLE_RULES
    try:
        return SimpleRules.from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UnusableModel(f"{SIMPLE_RULES}: there is no such file") from error
    except (OSError, TypeError, ValueError, KeyError) as error:
        what = "cannot be read" if isinstance(error, OSError) else "is not what training writes"
        raise UnusableModel(f"{SIMPLE_RULES}: {what}; train the model again") from error
