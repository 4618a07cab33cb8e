"""Good and bad models to upload, and an account to upload them to."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np

from simulator.deployed import START, ZONES
from simulator.market.history import Pool, PriceHistory
from simulator.stage import TYPES, Stage, open_stage
from spot_optimizer.aws.ledger.models import ModelItem, ModelLedger
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.forecast.calibration import Calibration
from spot_optimizer.forecast.model_registry import Registry, Slot

POOLS = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]

Files = dict[str, bytes]


def moving_market(days: int) -> PriceHistory:
    """Each pool changes every six hours at its own time, up and down, for this many days."""
    first = int((START - timedelta(days=days)).timestamp())
    times = np.arange(first, first + (days + 2) * 86_400, 6 * 3600) + 3 * 3600
    index = np.repeat(np.arange(len(POOLS)), len(times))
    prices = np.tile(0.03 + 0.0001 * np.abs((np.arange(len(times)) % 10) - 5), len(POOLS))
    return PriceHistory.from_rows(POOLS, index, np.tile(times, len(POOLS)) + 1500 * index, prices)


def files_of(folder: Path, name: str, trained_until: str = "", **bodies: bytes) -> Files:
    """A model's files under another name, some replaced (``calibration_npz=...``), with correct
    checksums."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    files |= {name.replace("_", "."): body for name, body in bodies.items()}
    metadata = json.loads(files["metadata.json"])
    metadata["name"] = name
    metadata["trained_until"] = trained_until or metadata["trained_until"]
    for file in metadata["sha256"]:
        metadata["sha256"][file] = hashlib.sha256(files[file]).hexdigest()
    files["metadata.json"] = json.dumps(metadata).encode()
    return files


def misled(folder: Path, name: str = "misled") -> Files:
    """A model with wrong corrections: the mean goes in the wrong direction, the interval is empty."""
    blank = Calibration.blank()
    many = 1e9
    scores = blank.scores.copy()
    scores[:, 0, 0] = many
    wrong = replace(
        blank,
        gram=np.tile(many * np.eye(3), (len(blank.gram), 1, 1)),
        moment=np.tile(many * np.array([-40.0, -20.0, -40.0]), (len(blank.moment), 1)),
        scores=scores,
    )
    return files_of(folder, name, calibration_npz=wrong.to_bytes())


@contextmanager
def priced_stage(days: int = 27, **parameters: Any) -> Iterator[Stage]:
    """An account with one workload, hourly cycles and prices of this many days."""
    with open_stage(market=moving_market(days), CycleMinutes=60, **parameters) as stage:
        stage.launch()
        stage.adopt()
        stage.account.invoke("RefreshMarket", {"task": "fill"})
        stage.stop_rules_of("Decide")  # only prices are refreshed as time passes
        for rule in boto3.client("events").list_rules()["Rules"]:
            if "SixHours" in rule["Name"]:
                boto3.client("events").disable_rule(Name=rule["Name"])
        yield stage


def upload(stage: Stage, version: str, files: Mapping[str, bytes]) -> None:
    """Put the files one after the other, and let S3's events arrive."""
    for name, body in files.items():
        boto3.client("s3").put_object(
            Bucket=stage.bucket, Key=f"models/uploads/{version}/{name}", Body=body
        )
    stage.account.run_for(timedelta(seconds=30))


def ledger_of(stage: Stage) -> ModelLedger:
    """The models on the stage's ledger."""
    return ModelLedger(Ledger(stage.account.outputs["LedgerTable"]))


def known_version(stage: Stage, version: str) -> ModelItem:
    """The item of an uploaded version, which must be on the ledger."""
    item = ledger_of(stage).version(version)
    assert item is not None
    return item


def make_live(stage: Stage, version: str, files: Mapping[str, bytes]) -> None:
    """Make a model live without validation."""
    for name, body in files.items():
        boto3.client("s3").put_object(
            Bucket=stage.bucket, Key=f"models/kept/{version}/{name}", Body=body
        )
    sha256 = hashlib.sha256(files["metadata.json"]).hexdigest()
    ledger_of(stage).change(lambda _: Registry(live=Slot(version, sha256)))


def events_of(stage: Stage, detail_type: str) -> list[dict[str, Any]]:
    """Details of the events of one kind on the stack's bus."""
    return [
        json.loads(entry["Detail"])
        for call in stage.calls_of("PutEvents")
        for entry in call.params["Entries"]
        if entry["DetailType"] == detail_type
    ]


def published(stage: Stage, metric: str) -> list[tuple[dict[str, str], float]]:
    """Dimensions and value of each publication of a metric, oldest first."""
    found = []
    for invocation in stage.account.trace:
        for line in invocation.logs.splitlines():
            if '"_aws"' in line and f'"{metric}"' in line:
                body = json.loads(line)
                (directive,) = body["_aws"]["CloudWatchMetrics"]
                (names,) = directive["Dimensions"]
                value = body[metric]
                value = value[-1] if isinstance(value, list) else value
                found.append(({name: body[name] for name in names}, value))
    return found
