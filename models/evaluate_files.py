"""Evaluate a model on price files."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from models.artifact_files import SHIPPED, read_model, read_simple_rules
from models.evaluation import Report, evaluate
from models.markets import read_markets
from models.rolling import Progress, roll
from price_files.on_demand import OnDemandByRegion


def evaluate_files(
    prices: Sequence[Path],
    on_demand: OnDemandByRegion,
    model_folder: Path | None,
    *,
    from_s: int | None,
    until_s: int | None,
    every_h: int,
    recalibrate: bool,
    progress: Progress,
) -> Report:
    """All figures of a model (default: the bundled one) on price files.

    Raises UnreadableFile, UnusableModel, and NothingToScore.
    """
    folder = model_folder or SHIPPED
    model, rules = read_model(folder), read_simple_rules(folder)
    read = read_markets(prices, on_demand)
    scored = roll(
        read.markets,
        model,
        rules,
        from_s=from_s,
        until_s=until_s,
        every_h=every_h,
        recalibrate=recalibrate,
        progress=progress,
    )
    figures = evaluate(scored, model.metadata.thresholds)
    return {
        "model": model.metadata.name,
        "recalibrated_daily": recalibrate,
        "data": {
            "files": [path.name for path in prices],
            "rows": read.rows,
            "dropped": dict(read.dropped),
            "feed_gaps": read.feed_gaps,
            "regions": sorted({market.region for market in read.markets}),
            "from": _utc(int(scored.made_s.min())),
            "until": _utc(int(scored.made_s.max())),
        },
        **figures,
    }


def _utc(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()
