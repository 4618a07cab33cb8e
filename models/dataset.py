"""Training rows: one per pool and hour, with features and outcomes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.markets import Market
from spot_optimizer.forecast.features import compute_features
from spot_optimizer.forecast.model_forecaster import Rows, select_rows
from spot_optimizer.forecast.training_labels import Outcomes, compute_outcomes
from spot_optimizer.market.prices import Floats, Times
from spot_optimizer.vocabulary import HOUR_S

HOURS_AT_ONCE = 240
"""Hours whose features are computed together; limits memory."""


@dataclass(frozen=True)
class Dataset:
    """N rows. Outcomes have the rows as their last axis."""

    values: NDArray[np.float32]
    price: Floats
    return_24h: Floats
    family: NDArray[np.str_]
    changed_7d: NDArray[np.bool_]
    made_s: Times
    pool: NDArray[np.int64]
    """Number of the pool within its market."""
    move: Floats
    changed: Floats
    rose: Floats
    rise_lead_h: Floats

    def __len__(self) -> int:
        return len(self.made_s)

    @property
    def rows(self) -> Rows:
        """The input of a forecast."""
        return Rows(self.values, self.price, self.return_24h, self.family)

    @property
    def outcomes(self) -> Outcomes:
        """The labels."""
        return Outcomes(self.move, self.changed, self.rose, self.rise_lead_h)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Dataset":
        """The chosen rows."""
        columns: dict[str, Any] = {
            f.name: getattr(self, f.name)[..., chosen] for f in fields(self) if f.name != "values"
        }
        return Dataset(values=self.values[chosen], **columns)


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Concatenate the rows of ``parts``."""
    columns: dict[str, Any] = {
        f.name: np.concatenate(
            [getattr(part, f.name) for part in parts], axis=0 if f.name == "values" else -1
        )
        for f in fields(Dataset)
    }
    return Dataset(**columns)


def hours_between(start_s: int, end_s: int, every_h: int = 1) -> Times:
    """Whole hours from ``start_s`` to before ``end_s``."""
    first = -(-start_s // HOUR_S) * HOUR_S
    return np.arange(first, end_s, every_h * HOUR_S, dtype=np.int64)


def rows_of(market: Market, times_s: Times, known_until_s: int | None = None) -> Iterator[Dataset]:
    """Rows of all pools with a known price at ``times_s``, in chunks of some days.

    Outcomes are those known at ``known_until_s``; default: the end of the recording.
    """
    until_s = market.end_s if known_until_s is None else min(known_until_s, market.end_s)
    for begin in range(0, len(times_s), HOURS_AT_ONCE):
        times = times_s[begin : begin + HOURS_AT_ONCE]
        block = compute_features(market.changes, times, market.on_demand_usd_per_hour)
        rows, known = select_rows(market.changes, block)
        outcomes = compute_outcomes(market.changes, times, until_s).take(known)
        pools = np.arange(len(market.changes.pools), dtype=np.int64)[:, None]
        yield Dataset(
            values=rows.values,
            price=rows.price,
            return_24h=rows.return_24h,
            family=rows.family,
            changed_7d=block.changed_7d[known],
            made_s=np.broadcast_to(times, known.shape)[known],
            pool=np.broadcast_to(pools, known.shape)[known],
            move=outcomes.move,
            changed=outcomes.changed,
            rose=outcomes.rose,
            rise_lead_h=outcomes.rise_lead_h,
        )
