"""Write the model card: a description of a model for people."""

import json
from pathlib import Path

from spot_optimizer.forecast.model_artifact import Metadata

MODEL_CARD = "model_card.md"


def write_model_card(metadata: Metadata, folder: Path) -> None:
    """Write the card into the model's folder. Raises OSError."""
    (folder / MODEL_CARD).write_text(_card(metadata), encoding="utf-8")


def _card(metadata: Metadata) -> str:
    return "\n".join(
        [
            f"# {metadata.name}",
            "",
            "Forecasts spot prices 1, 6, 12 and 24 hours ahead (mean, median, 90 % interval, the",
            "probability of any change) and the probability that a price rises by 3 % or more, or by",
            "1 % or more, within 12 hours. A rise is a price event, not an interruption, and prices",
            "do not predict interruptions well.",
            "",
            "It sees price changes of one region, two weeks back, and on-demand prices where known:",
            "cadence, sign and size of a pool's last changes, its position in its 7-day range, the same",
            "type in other zones, the same family in its zone, the time of day. Boosters learn",
            "P(change), the move given a change, its limits, the median, and the rises; daily",
            "corrections learn from the forecasts whose horizon has ended.",
            "",
            f"Trained until {metadata.trained_until:%Y-%m-%d %H:%M} UTC, seed {metadata.seed}, "
            + ", ".join(f"{name} {number}" for name, number in sorted(metadata.libraries.items()))
            + ".",
            "",
            "## Data",
            "",
            "| file | training rows | region | trained on | validated on |",
            "|---|---|---|---|---|",
            *(
                f"| {fact['file']} | {fact['training_rows']} | {region} | "
                f"{_span(span['train'])} | {_span(span['validate'])} |"
                for fact in metadata.trained_on
                for region, span in fact["regions"].items()
            ),
            "",
            "## On the validation data",
            "",
            "The thresholds were chosen on the same data, so F1 is too high; use",
            "`spot-optimizer evaluate` for other data.",
            "",
            "```",
            *(f"{part}: {json.dumps(figures)}" for part, figures in metadata.metrics.items()),
            "```",
            "",
            "## Limits",
            "",
            "- In a market unlike those above the forecasts have less skill until the corrections have",
            "  learned from about a week of it.",
            "- The mean is an expectation and not a whole tick; median and limits are whole ticks.",
            "- The sizes of rare jumps are not predicted, only that a pool is volatile.",
            "",
        ]
    )


def _span(span: list[str]) -> str:
    return f"{span[0][:10]} to {span[1][:10]}"
