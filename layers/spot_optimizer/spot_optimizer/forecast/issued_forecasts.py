"""Issued forecasts: what each model forecast at a moment, kept until the actual prices are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spot_optimizer.codec import (
    POOL_COLUMNS,
    DamagedState,
    pack_columns,
    pools_from_columns,
    pools_to_columns,
    unpack_columns,
)
from spot_optimizer.forecast.forecaster import Forecaster
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.vocabulary import HOUR_S, Pool

_KIND, _VERSION = "foretold", 1  # the kind's stored name
_PRICES = ("low", "median", "high", "mean")
_OF_MODELS = (*_PRICES, "change")


@dataclass(frozen=True, eq=False)
class IssuedForecasts:
    """Forecasts of M models for P pools and H horizons, made at ``made_s``; NaN if there is none."""

    made_s: int
    models: tuple[str, ...]
    pools: tuple[Pool, ...]
    price: Floats
    """Shape (P,): price in force at ``made_s``, USD per hour."""
    low: Floats
    """Shape (M, H, P), as the next four: limits of the 90 % interval, median and mean of the price."""
    median: Floats
    high: Floats
    mean: Floats
    change: Floats
    """Probability that the price changes within the horizon."""
    instability: Floats
    """Shape (M, P): probability of a rise by >= 3 % within 12 h."""

    def to_bytes(self) -> bytes:
        """A compressed npz archive in single precision, exact to a hundred-thousandth of a price."""
        columns: dict[str, Any] = {
            "made_s": np.array([self.made_s], dtype=np.int64),
            "models": np.array(self.models, dtype=np.str_),
            **pools_to_columns(self.pools),
            "price": self.price,
            "instability": self.instability.astype(np.float32),
        }
        columns |= {name: getattr(self, name).astype(np.float32) for name in _OF_MODELS}
        return pack_columns(_KIND, _VERSION, columns)

    @classmethod
    def from_bytes(cls, data: bytes) -> "IssuedForecasts":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        names = ("made_s", "models", *POOL_COLUMNS, "price", "instability", *_OF_MODELS)
        stored = unpack_columns(data, _KIND, _VERSION, names)
        models = tuple(stored["models"].tolist())
        pools = pools_from_columns(stored)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
            _OF_MODELS, (len(models), len(HORIZONS_H), len(pools))
        )
        shapes |= {"instability": (len(models), len(pools)), "price": (len(pools),)}
        for name, shape in {**shapes, "made_s": (1,)}.items():
            if stored[name].shape != shape:
                raise DamagedState(f"{_KIND}: {name} has shape {stored[name].shape}, not {shape}")
        columns = {name: stored[name].astype(np.float64) for name in shapes}
        return cls(made_s=int(stored["made_s"][0]), models=models, pools=pools, **columns)


def issue_forecasts(
    changes: PriceChanges, at_s: int, forecasters: Mapping[str, Forecaster]
) -> IssuedForecasts:
    """Forecast the pools of ``changes`` at ``at_s`` with each of ``forecasters``, by model name."""
    count = (len(forecasters), len(HORIZONS_H), len(changes.pools))
    columns = {name: np.full(count, np.nan) for name in _OF_MODELS}
    instability = np.full((count[0], count[2]), np.nan)
    for m, forecaster in enumerate(forecasters.values()):
        for h, hours in enumerate(HORIZONS_H):
            forecast = forecaster.forecast(changes, at_s, hours * HOUR_S)
            parts = (forecast.p05, forecast.p50, forecast.p95, forecast.mean)
            for name, part in zip(_PRICES, parts, strict=True):
                columns[name][m, h] = part
            if isinstance(forecaster, ModelForecaster):
                columns["change"][m, h] = forecaster.change(changes, at_s, hours * HOUR_S)
        if isinstance(forecaster, ModelForecaster):
            instability[m] = forecaster.instability(changes, at_s)
    return IssuedForecasts(
        made_s=at_s,
        models=tuple(forecasters),
        pools=changes.pools,
        price=changes.price_at(at_s),
        instability=instability,
        **columns,
    )
