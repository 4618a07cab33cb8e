"""Train a model: from price files to a model's files."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.booster_training import STEPS, BoosterTrainer, Progress
from models.dataset import Dataset, hours_between, joined, rows_of
from models.markets import ReadMarkets, read_markets
from models.metrics import (
    Ranked,
    average_precision,
    best_f1_threshold,
    brier_skill,
    calibration_error,
    skill,
)
from models.metrics import auc as area_under_curve
from models.simple_rules import SimpleRules
from price_files.on_demand import OnDemandByRegion
from spot_optimizer.forecast.boosters import Booster
from spot_optimizer.forecast.calibration import Calibration, LabeledForecasts
from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.forecast.model_artifact import (
    BOOSTERS,
    CALIBRATION,
    METADATA,
    Metadata,
    pack_boosters,
)
from spot_optimizer.forecast.raw_forecast import (
    HORIZONS_H,
    RISES,
    RawForecast,
    predict_rows,
)
from spot_optimizer.market.prices import Floats
from spot_optimizer.vocabulary import DAY_S, HOUR_S

WARM_UP_S = 4 * DAY_S
"""Rows at a market's start are not used: too little is known of each pool."""
PURGE_S = DAY_S
"""Time dropped between training and validation: the longest horizon, so that no outcome of a training
row lies in the validation part."""
VALIDATION_SHARE = 0.14
"""Share of each file, at its end, that only validation uses."""
ROWS_PER_FILE_MAX = 500_000
IDLE_SHARE = 0.25
"""Share used of the rows of pools that did not change for a week, which are many and alike; their
weight compensates for it."""
SIMPLE_RULES = "rivals.json"


class TooLittleData(ValueError):
    """The price files are too short or have too few changes to train on."""


@dataclass(frozen=True)
class PriceFile:
    """A price file; rows at or after ``until_s`` are not used."""

    path: Path
    until_s: int | None = None


@dataclass(frozen=True)
class Prepared:
    """Training and validation rows of one file."""

    train: Dataset
    weight: Floats
    validate: Dataset
    facts: dict[str, Any]
    trained_until_s: int


def train(
    files: Sequence[PriceFile],
    on_demand: OnDemandByRegion,
    out: Path,
    *,
    name: str,
    seed: int,
    threads: int,
    progress: Progress,
) -> Metadata:
    """Train on ``files``, write the model's files to ``out``, and return its metadata.

    ``on_demand`` is by region and type. The same files, seed and threads give the same bytes.

    Raises:
        UnreadableFile: a file has no usable rows.
        TooLittleData: a file is too short, or has too few changes.
    """
    steps = len(files) + STEPS + 2
    prepared = []
    for number, file in enumerate(files):
        progress(number, steps, f"reading {file.path.name}")
        prepared.append(_prepare(file, on_demand, seed))
    data = joined([part.train for part in prepared])
    weight = np.concatenate([part.weight for part in prepared])
    _require_changes(data)
    trainer = BoosterTrainer(data, weight, seed, threads, progress, len(files), steps)
    texts = trainer.texts()
    boosters = {name: Booster(text) for name, text in texts.items()}
    progress(steps - 2, steps, "validating")
    raws = [predict_rows(boosters, part.validate.values) for part in prepared]
    calibration = _calibrate(prepared, raws)
    validate = joined([part.validate for part in prepared])
    metrics, thresholds = _validate(validate, raws, calibration)
    progress(steps - 1, steps, "writing")
    bodies = {
        BOOSTERS: pack_boosters(texts),
        CALIBRATION: calibration.to_bytes(),
        SIMPLE_RULES: SimpleRules.learn(data, weight).to_json(),
    }
    metadata = Metadata(
        name=name,
        features=FEATURES,
        trained_until=datetime.fromtimestamp(max(p.trained_until_s for p in prepared), UTC),
        trained_on=tuple(part.facts for part in prepared),
        metrics=metrics,
        thresholds=thresholds,
        seed=seed,
        libraries={p: version(p) for p in ("lightgbm", "numpy", "scipy")},
        sha256={key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()},
    )
    out.mkdir(parents=True, exist_ok=True)
    for key, body in bodies.items():
        (out / key).write_bytes(body)
    (out / METADATA).write_text(metadata.model_dump_json(indent=2) + "\n", encoding="utf-8")
    progress(steps, steps, "done")
    return metadata


def _prepare(file: PriceFile, on_demand: OnDemandByRegion, seed: int) -> Prepared:
    read = read_markets([file.path], on_demand)
    random = np.random.default_rng(seed)
    train: list[tuple[Dataset, Floats]] = []
    validate: list[Dataset] = []
    facts, last_s = [], 0
    share = _share_of_rows(read, file.until_s)
    for market in read.markets:
        end_s = market.end_s if file.until_s is None else min(market.end_s, file.until_s - 1)
        start_s = market.start_s + WARM_UP_S
        border_s = int(end_s - VALIDATION_SHARE * (end_s - market.start_s))
        if border_s - PURGE_S <= start_s:
            continue
        for part in rows_of(market, hours_between(start_s, border_s - PURGE_S), border_s):
            train.append(_thin(part, share, random))
        validate.extend(rows_of(market, hours_between(border_s, end_s), end_s))
        last_s = max(last_s, end_s)
        facts.append((market.region, start_s, border_s - PURGE_S, border_s, end_s))
    if not train:
        raise TooLittleData(
            f"prices: {file.path} covers too little time to learn from; "
            "a region needs about a week at least"
        )
    rows = joined([part for part, _ in train])
    weight = np.concatenate([w for _, w in train])
    return Prepared(
        rows,
        # Small files are other markets and times; the square root partly balances their weight.
        weight * np.sqrt(ROWS_PER_FILE_MAX / weight.sum()),
        joined(validate),
        _facts(file, read, facts, len(rows)),
        last_s,
    )


def _share_of_rows(read: ReadMarkets, until_s: int | None) -> float:
    """Share of the rows to use, so that a large file does not make training slow."""
    rows = sum(
        len(m.changes.pools) * max(min(m.end_s, until_s or m.end_s) - m.start_s, 0) / HOUR_S
        for m in read.markets
    )
    return min(1.0, ROWS_PER_FILE_MAX / max(rows, 1))


def _thin(part: Dataset, share: float, random: np.random.Generator) -> tuple[Dataset, Floats]:
    """A random part of the rows, and weights that compensate for the dropped ones."""
    odds = np.where(part.changed_7d, 1.0, IDLE_SHARE) * share
    taken = random.random(len(part)) < odds
    return part.take(taken), share / odds[taken]


def _facts(
    file: PriceFile,
    read: ReadMarkets,
    spans: Sequence[tuple[str, int, int, int, int]],
    rows: int,
) -> dict[str, Any]:
    def utc(time_s: int) -> str:
        return datetime.fromtimestamp(time_s, UTC).isoformat()

    return {
        "file": file.path.name,
        "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
        "rows_read": read.rows,
        "rows_dropped": dict(read.dropped),
        "training_rows": rows,
        "regions": {
            region: {"train": [utc(a), utc(b)], "validate": [utc(c), utc(d)]}
            for region, a, b, c, d in spans
        },
    }


def _require_changes(data: Dataset) -> None:
    for h, hours in enumerate(HORIZONS_H):
        changes = int((data.changed[h] == 1).sum())
        if changes < 200:
            raise TooLittleData(
                f"prices: only {changes} of the training rows change within {hours} h; "
                "at least 200 must"
            )


_PRIOR_ROWS = 500.0
"""Weight of the initial corrections in a new market, in rows of that market."""


def _calibrate(prepared: Sequence[Prepared], raws: Sequence[RawForecast]) -> Calibration:
    """The initial corrections, learned on validation data; each file has the same weight."""
    calibration = Calibration.blank()
    for part, raw in zip(prepared, raws, strict=True):
        data = part.validate
        labeled = LabeledForecasts(
            raw, data.price, data.return_24h, data.family, data.move, data.changed, data.rose
        )
        calibration = _add(calibration, Calibration.blank().learn(labeled).as_prior(1.0))
    return calibration.as_prior(_PRIOR_ROWS)


def _add(one: Calibration, other: Calibration) -> Calibration:
    families = tuple(dict.fromkeys((*one.families, *other.families)))
    scores = np.zeros((one.scores.shape[0], len(families), one.scores.shape[2]))
    for part in (one, other):
        for row, family in enumerate(part.families):
            scores[:, families.index(family)] += part.scores[:, row]
    return Calibration(
        one.predicted + other.predicted,
        one.happened + other.happened,
        one.gram + other.gram,
        one.moment + other.moment,
        families,
        scores,
    )


def _validate(
    data: Dataset, raws: Sequence[RawForecast], calibration: Calibration
) -> tuple[dict[str, Any], dict[str, float]]:
    """Figures on the validation rows, and for each alarm the threshold with the highest F1."""
    change = np.concatenate([raw.change for raw in raws], axis=1)
    move = np.concatenate([raw.move for raw in raws], axis=1)
    rise = np.concatenate([raw.rise for raw in raws], axis=1)
    metrics: dict[str, Any] = {}
    thresholds = {}
    for h, hours in enumerate(HORIZONS_H):
        known = np.isfinite(data.move[h])
        actual, mean = data.move[h][known], (change[h] * move[h])[known]
        happened, p = data.changed[h][known], calibration.probability(h, change[h][known])
        metrics[f"{hours}h"] = {
            "squared_error_skill": round(
                skill(float(((actual - mean) ** 2).sum()), float((actual**2).sum())), 4
            ),
            "change_brier_skill": round(brier_skill(p, happened), 4),
            "change_calibration_error": round(calibration_error(p, happened), 4),
        }
        thresholds[f"change_{hours}h"], _ = best_f1_threshold(Ranked.of(p, happened))
    for r, level in enumerate(RISES):
        key = f"rise_{round(100 * level)}"
        known = np.isfinite(data.rose[r])
        p = calibration.probability(len(HORIZONS_H) + r, rise[r][known])
        ranked = Ranked.of(p, data.rose[r][known])
        counts = ranked.counts()
        thresholds[key], f1 = best_f1_threshold(ranked)
        metrics[key] = {
            "base_rate": round(float(data.rose[r][known].mean()), 5),
            "auc": round(area_under_curve(*counts), 4),
            "average_precision": round(average_precision(*counts), 4),
            "f1": round(f1, 4),
        }
    return metrics, thresholds
