"""The files of a trained model: text, JSON and arrays. Reading them runs no code of theirs.

| file | content |
|---|---|
| ``metadata.json`` | features, training data, metrics, library versions, checksums |
| ``boosters.json.gz`` | LightGBM's text of each booster, by name |
| ``calibration.npz`` | initial corrections, learned on validation data |
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)
from spot_optimizer.contracts.patterns import MODEL_NAME
from spot_optimizer.contracts.refusals import refusals_of
from spot_optimizer.forecast.calibration import Calibration
from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.forecast.raw_forecast import Predictor, booster_names

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the model that is part of the deployment."""

METADATA = "metadata.json"
BOOSTERS = "boosters.json.gz"
CALIBRATION = "calibration.npz"
_KIND, _VERSION = "boosters", 1

Load = Callable[[str], Predictor]
"""Makes a booster of LightGBM's text; raises ValueError if it cannot be read."""


class UnusableModel(ValueError):
    """A model that cannot be loaded or used; the message says why."""


class Metadata(BaseModel):
    """Description of a model. ``schema_version`` is that of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(default=1, ge=1, le=1)
    name: str = Field(pattern=MODEL_NAME)
    features: tuple[str, ...]
    trained_until: AwareDatetime
    """The end of the training data."""
    trained_on: tuple[dict[str, Any], ...]
    """Of each file: name, SHA-256, rows, spans used for training and for validation."""
    metrics: dict[str, Any]
    """Measured on validation data."""
    thresholds: dict[str, float]
    """Alarm threshold of each probability, by booster, chosen on validation data."""
    seed: int
    libraries: dict[str, str]
    sha256: dict[str, str]
    """Checksum of every other file of the model, by name."""

    @property
    def checksum(self) -> str:
        """Checksum of the boosters: identifies a model whatever its name."""
        return self.sha256.get(BOOSTERS, "")


@dataclass(frozen=True)
class Model:
    """A loaded and checked model."""

    metadata: Metadata
    boosters: Mapping[str, Predictor]
    calibration: Calibration


def parse_metadata(body: bytes) -> Metadata:
    """Read ``metadata.json``. Raises UnusableModel."""
    try:
        given = from_json(body)
    except ValueError as error:
        raise UnusableModel(f"{METADATA} is not valid JSON: {error}") from error
    try:
        return Metadata.model_validate(given)
    except ValidationError as error:
        raise UnusableModel(f"{METADATA}: {'; '.join(refusals_of(error, given))}") from error


def load_model(read: Callable[[str], bytes | None], load: Load) -> Model:
    """Load the model whose files ``read`` returns by name; ``read`` returns None for a missing file.

    Raises UnusableModel if a file is missing, damaged or does not match its checksum in the
    metadata, or if the features are not those of this version.
    """
    metadata = parse_metadata(_must_read(read, METADATA))
    if metadata.features != FEATURES:
        unknown = sorted(set(metadata.features) - set(FEATURES))
        missing = sorted(set(FEATURES) - set(metadata.features))
        raise UnusableModel(
            f"{METADATA}: features: the model has other features than this version computes "
            f"(unknown here: {unknown or 'none'}; missing: {missing or 'none, but reordered'})"
        )
    bodies = {name: _must_read(read, name) for name in (BOOSTERS, CALIBRATION)}
    for name, body in bodies.items():
        found = hashlib.sha256(body).hexdigest()
        if found != metadata.sha256.get(name):
            raise UnusableModel(
                f"{name}: checksum {found[:12]} does not match the metadata, "
                f"{metadata.sha256.get(name, 'nothing')[:12]}"
            )
    try:
        texts = unpack_json(bodies[BOOSTERS], _KIND, _VERSION)
        missing = [name for name in booster_names() if name not in texts]
        if missing:
            raise UnusableModel(f"{BOOSTERS}: {', '.join(missing)} missing")
        boosters = {name: load(texts[name]) for name in booster_names()}
        calibration = Calibration.from_bytes(bodies[CALIBRATION])
    except DamagedState as error:
        raise UnusableModel(str(error)) from error
    return Model(metadata, boosters, calibration)


def pack_boosters(texts: Mapping[str, str]) -> bytes:
    """The content of ``boosters.json.gz``; equal texts give equal bytes."""
    return pack_json(_KIND, _VERSION, texts)


def _must_read(read: Callable[[str], bytes | None], name: str) -> bytes:
    body = read(name)
    if body is None:
        raise UnusableModel(f"{name}: there is no such file")
    return body
