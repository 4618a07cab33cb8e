"""Check an uploaded model: its files, its forecasts, and its losses beside the live model."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spot_optimizer.aws.data_bucket import UPLOADED_MODELS, DataBucket
from spot_optimizer.forecast.booster_text import check_booster_text
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.model_artifact import (
    BOOSTERS,
    CALIBRATION,
    METADATA,
    Model,
    UnusableModel,
    load_model,
)
from spot_optimizer.forecast.model_comparison import (
    COMPARISON_HISTORY_S,
    Comparison,
    TooShortHistory,
    compare_models,
)
from spot_optimizer.forecast.model_registry import SHIPPED_VERSION, Slot
from spot_optimizer.forecast.smoke_test import smoke_test
from spot_optimizer.services.refresh_market.kept_models import load_kept_model
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import DAY_S

REQUIRED_FILES = (METADATA, BOOSTERS, CALIBRATION)
OPTIONAL_FILES = ("rivals.json", "model_card.md")
"""Training writes them too; nothing here reads them."""
FILE_BYTES_MAX = 32 * 2**20


class RefusedUpload(Exception):
    """The upload cannot be used; the text says why."""


@dataclass(frozen=True)
class CheckedUpload:
    """An upload that passed all checks."""

    files: Mapping[str, bytes]
    model: Model
    comparison: dict[str, Any]
    """With the live model; empty if there are too few prices to compare."""
    remark: str
    """Why nothing was compared."""

    @property
    def sha256(self) -> str:
        """Checksum of the metadata, which holds the checksums of the other files."""
        return hashlib.sha256(self.files[METADATA]).hexdigest()


def check_upload(market: Market, files: Mapping[str, bytes], live: Slot) -> CheckedUpload:
    """Load the model, run the smoke test, compare it with the live model on the account's prices.

    Raises RefusedUpload and UnusableModel.
    """
    # Whoever may write to the bucket may write any text, and LightGBM trusts it.
    model = load_model(files.get, lambda text: load_booster(check_booster_text(text)))
    smoke_test(model)
    until_s = market.now_s // DAY_S * DAY_S
    span = (until_s - COMPARISON_HISTORY_S - DAY_S, until_s + 1)
    changes = market.prices.read("reported", span).changes.restrict(market.types)
    live_model = _load_live_model(market.store, live)
    try:
        comparison = compare_models(
            model, live_model, changes, market.on_demand_usd_per_hour, until_s
        )
    except TooShortHistory as error:
        return CheckedUpload(files, model, {}, f"not compared with the live model: {error}")
    if comparison.why_worse:
        raise RefusedUpload(comparison.why_worse)
    return CheckedUpload(files, model, _figures(comparison), "")


def upload_sizes(store: DataBucket, version: str) -> dict[str, int]:
    """File name -> bytes of what was uploaded as a version."""
    folder = f"{UPLOADED_MODELS}{version}/"
    sizes = store.sizes_under(folder)
    # The S3 console creates an empty object for the folder itself.
    return {key.removeprefix(folder): size for key, size in sizes.items() if key != folder}


def missing_files(sizes: Mapping[str, int]) -> list[str]:
    """Required files that are not uploaded yet. Raises RefusedUpload for files that do not belong to
    a model or are too large."""
    foreign = sorted(set(sizes) - {*REQUIRED_FILES, *OPTIONAL_FILES})
    if foreign:
        raise RefusedUpload(
            f"{foreign[0]}: not a file of a model; allowed are LightGBM's text and JSON, which run "
            f"no code when they are read: {', '.join((*REQUIRED_FILES, *OPTIONAL_FILES))}"
        )
    for name, size in sizes.items():
        if size > FILE_BYTES_MAX:
            raise RefusedUpload(f"{name}: {size} bytes, allowed are {FILE_BYTES_MAX}")
    return [name for name in REQUIRED_FILES if name not in sizes]


def read_upload(store: DataBucket, version: str) -> dict[str, bytes]:
    """The required files of an upload. Raises RefusedUpload if one has been deleted."""
    files: dict[str, bytes] = {}
    for name in REQUIRED_FILES:
        body = store.read(f"{UPLOADED_MODELS}{version}/{name}")
        if body is None:
            raise RefusedUpload(f"{name}: it has been deleted")
        files[name] = body
    return files


def _load_live_model(store: DataBucket, live: Slot) -> Model:
    """The live model; the shipped one if the live model cannot be loaded."""
    try:
        return load_kept_model(store, live)
    except UnusableModel as error:
        logger.warning("comparing with the shipped model", live=live.version, reason=str(error))
        return load_kept_model(store, Slot(SHIPPED_VERSION))


def _figures(comparison: Comparison) -> dict[str, Any]:
    return {
        "overall": comparison.overall,
        "ratios": dict(comparison.ratios),
        "forecasts": comparison.forecasts,
        "changed": comparison.changed,
    }
