"""Unusable uploads are refused with the reason on ledger and bus, and the live model stays."""

import gzip
import io
import json
import pickle
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from simulator.account.account import FunctionFailed
from simulator.stage import Stage
from spot_optimizer.forecast.model_registry import SHIPPED_VERSION
from spot_optimizer.services.refresh_market import kept_models
from tests.models.conftest import Trained
from tests.models.uploads import (
    Files,
    events_of,
    files_of,
    known_version,
    ledger_of,
    misled,
    priced_stage,
    upload,
)


class _Trap:
    """Runs code if it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was read",))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An account in which the shipped model is live, with enough prices to compare models."""
    kept_models._loaded.clear()
    with priced_stage() as opened:
        yield opened


def other_features(folder: Path) -> Files:
    files = files_of(folder, "other")
    metadata = json.loads(files["metadata.json"])
    metadata["features"][0] = "phase_of_the_moon"
    return {**files, "metadata.json": json.dumps(metadata).encode()}


def cut_short(folder: Path) -> Files:
    files = files_of(folder, "cut")
    return {**files, "boosters.json.gz": files["boosters.json.gz"][:-100]}


def no_metadata(folder: Path) -> Files:
    return {**files_of(folder, "none"), "metadata.json": b"[]"}


def pickled(folder: Path) -> Files:
    return {**files_of(folder, "pickle"), "model.pkl": pickle.dumps(_Trap())}


def pickled_inside(folder: Path) -> Files:
    out = io.BytesIO()
    np.savez(out, said=np.array([_Trap()], dtype=object))
    return files_of(folder, "inside", calibration_npz=out.getvalue())


def no_text(folder: Path) -> Files:
    body = {"form": "boosters/1", **dict.fromkeys(_names(folder), "no model")}
    return files_of(folder, "text", boosters_json_gz=gzip.compress(json.dumps(body).encode()))


def _names(folder: Path) -> list[str]:
    body = json.loads(gzip.decompress((folder / "boosters.json.gz").read_bytes()))
    return [name for name in body if name != "form"]


def other_columns(folder: Path) -> Files:
    """Boosters that were trained on five columns."""
    import lightgbm

    data = lightgbm.Dataset(np.random.default_rng(1).random((200, 5)), np.arange(200) % 7)
    text = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 2).model_to_string()
    body = {"form": "boosters/1", **dict.fromkeys(_names(folder), text)}
    return files_of(folder, "cols", boosters_json_gz=gzip.compress(json.dumps(body).encode()))


def huge_prices(folder: Path) -> Files:
    """Boosters that predict a million for everything."""
    import lightgbm

    width = len(json.loads((folder / "metadata.json").read_text())["features"])
    data = lightgbm.Dataset(np.random.default_rng(1).random((200, width)), np.full(200, 1e6))
    text = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 2).model_to_string()
    text = text.partition("\nparameters:")[0] + "\n"  # as training leaves it
    body = {"form": "boosters/1", **dict.fromkeys(_names(folder), text)}
    return files_of(folder, "huge", boosters_json_gz=gzip.compress(json.dumps(body).encode()))


def child_out_of_range(folder: Path) -> Files:
    """LightGBM would follow it out of its memory."""
    body = json.loads(gzip.decompress((folder / "boosters.json.gz").read_bytes()))
    name = _names(folder)[0]
    body[name] = re.sub(r"^left_child=-?\d", "left_child=9", body[name], count=1, flags=re.M)
    return files_of(folder, "child", boosters_json_gz=gzip.compress(json.dumps(body).encode()))


BAD: dict[Callable[[Path], Files], str] = {
    other_features: "features: the model has other features.*phase_of_the_moon",
    cut_short: "boosters.json.gz: checksum",
    no_metadata: "metadata.json: the whole",
    pickled: r"model.pkl: not a file of a model; allowed are LightGBM's text and JSON",
    pickled_inside: "calibration: .* not an npz archive",
    no_text: "a booster's text has no trees",
    other_columns: "max_feature_idx = '4': allowed is 55",
    child_out_of_range: r"tree 0: (left_child|node|leaf) .*: allowed is",
    huge_prices: "smoke test",
    misled: "worse than the live model",
}


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_bad_model_is_refused_with_the_reason(
    stage: Stage, trained: Trained, bad: Callable[[Path], Files]
) -> None:
    """Ledger, bus and answer agree; the live model has not changed."""
    version = f"bad-{bad.__name__}"
    upload(stage, version, bad(trained.folder))
    item = known_version(stage, version)
    assert item.state == "refused"
    events = [e for e in events_of(stage, "Spot Optimizer Model") if e["version"] == version]
    assert [e["status"] for e in events] == ["refused"], "reported once, whatever else was uploaded"
    assert events[-1]["reason"] == item.reason
    assert re.search(BAD[bad], item.reason), item.reason
    registry = ledger_of(stage).registry()
    assert (registry.live.version, registry.pending) == (SHIPPED_VERSION, None)
    with pytest.raises(FunctionFailed, match="cannot be activated"):
        stage.command(command="activate-model", version=version)


def test_incomplete_upload_is_refused_after_half_an_hour(stage: Stage, trained: Trained) -> None:
    """Until then it is incomplete and names the missing files; no request is needed."""
    files = files_of(trained.folder, "half")
    del files["boosters.json.gz"]
    upload(stage, "half", files)
    item = known_version(stage, "half")
    assert (item.state, item.reason) == ("incomplete", "boosters.json.gz: not there")
    assert not [e for e in events_of(stage, "Spot Optimizer Model") if e["version"] == "half"]
    stage.account.run_for(timedelta(minutes=31))
    stage.account.invoke("RefreshMarket", {"task": "gaps"})
    item = known_version(stage, "half")
    assert item.state == "refused"
    assert "30 minutes" in item.reason
    assert [
        e["status"] for e in events_of(stage, "Spot Optimizer Model") if e["version"] == "half"
    ] == ["refused"]


@pytest.mark.parametrize("key", ["model.txt", "a b/metadata.json", "-x/metadata.json"])
def test_file_outside_a_version_folder_is_reported(stage: Stage, key: str) -> None:
    """The event names the file and where models belong."""
    boto3.client("s3").put_object(Bucket=stage.bucket, Key=f"models/uploads/{key}", Body=b"x")
    stage.account.run_for(timedelta(seconds=30))
    event = events_of(stage, "Spot Optimizer Model")[-1]
    assert event["status"] == "refused"
    assert event["reason"].startswith(f"models/uploads/{key}: put the files of a model under")


@pytest.mark.parametrize("version", ["shipped", "last-price"])
def test_reserved_names_cannot_be_uploaded(stage: Stage, trained: Trained, version: str) -> None:
    """The product's own forecasts are scored under them."""
    upload(stage, version, files_of(trained.folder, "mine"))
    assert "already reserved" in events_of(stage, "Spot Optimizer Model")[-1]["reason"]
    assert ledger_of(stage).registry().pending is None


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"command": "roll-back-model"}, "there is no previous model"),
        ({"command": "activate-model", "version": "nobody"}, "allowed are none"),
        ({"command": "activate-model", "version": "shipped"}, "is already live"),
        ({"command": "drop-model", "version": "nobody"}, "pending is none"),
        ({"command": "validate-model", "version": "nobody"}, "there is nothing under"),
        ({"command": "activate-model", "version": "../market"}, "version"),
    ],
    ids=["nothing before", "unknown", "live", "not pending", "no upload", "no version"],
)
def test_forbidden_registry_change_is_refused_with_the_reason(
    stage: Stage, request_: dict[str, Any], message: str
) -> None:
    """The error says what is allowed, and the registry stays as it is."""
    before = ledger_of(stage).registry()
    with pytest.raises(FunctionFailed, match=message) as failure:
        stage.command(**request_)
    assert failure.value.error_type == "InvalidRequest"
    assert ledger_of(stage).registry() == before
