"""Load the models in the registry: from the bucket, or the shipped one from the code."""

import hashlib
from collections.abc import Callable

from spot_optimizer.aws.data_bucket import KEPT_MODELS, DataBucket
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.model_artifact import (
    METADATA,
    SHIPPED,
    Metadata,
    Model,
    UnusableModel,
    load_model,
    parse_metadata,
)
from spot_optimizer.forecast.model_registry import SHIPPED_VERSION, Slot

ReadFile = Callable[[str], bytes | None]
"""File name -> content; None if there is no such file."""

_LOADED_MAX = 3
_loaded: dict[bytes, Model] = {}
"""Metadata -> model, for the lifetime of the execution environment."""


def load_kept_model(store: DataBucket, slot: Slot) -> Model:
    """The model of a version; loaded once per execution environment. Raises UnusableModel."""
    read = _file_reader(store, slot)
    body = read(METADATA) or b""
    model = _loaded.pop(body, None) or load_model(read, load_booster)
    _loaded[body] = model
    while len(_loaded) > _LOADED_MAX:
        _loaded.pop(next(iter(_loaded)))
    return model


def read_kept_metadata(store: DataBucket, slot: Slot) -> Metadata:
    """The metadata of a version, without loading its boosters. Raises UnusableModel."""
    body = _file_reader(store, slot)(METADATA)
    if body is None:
        raise UnusableModel("no model is live and none was shipped")
    return parse_metadata(body)


def _file_reader(store: DataBucket, slot: Slot) -> ReadFile:
    """Reads the files of a version. Raises UnusableModel if they changed after validation."""
    if slot.version == SHIPPED_VERSION:
        return _read_shipped
    folder = f"{KEPT_MODELS}{slot.version}/"
    metadata = store.read(f"{folder}{METADATA}")
    if metadata is None:
        raise UnusableModel(f"{slot.version}: {METADATA}: there is no such file")
    if hashlib.sha256(metadata).hexdigest() != slot.sha256:
        raise UnusableModel(f"{slot.version}: {METADATA}: it was changed after validation")

    def read(name: str) -> bytes | None:
        return metadata if name == METADATA else store.read(f"{folder}{name}")

    return read


def _read_shipped(name: str) -> bytes | None:
    path = SHIPPED / name
    return path.read_bytes() if path.is_file() else None
