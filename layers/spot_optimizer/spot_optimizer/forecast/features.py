"""Features: what a model sees of every pool at a moment. Later prices have no influence.

All values depend only on the changes of the last ``WINDOW_S``, so that the short history in Lambda
and the long one in training give the same features. Sums run within one pool's or one group's own
rows, so that later prices do not even change the rounding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.forecaster import PRICE_TICK_USD
from spot_optimizer.forecast.groups import Group, PoolGroups
from spot_optimizer.market.prices import Floats, PriceChanges, Times
from spot_optimizer.vocabulary import DAY_S, HOUR_S, WEEK_S

WINDOW_S = 14 * DAY_S
"""How far back any feature looks."""


CHANGES_BACK = 8
_RETURN_HOURS = (6, 12, 24, 48, 72, 120, 168, 336)
_COUNT_HOURS = (24, 72, 168)


Columns = dict[str, NDArray[Any]]

FEATURES: tuple[str, ...] = (
    # Cadence: a pool does not change again for hours after a change, and each has its own rhythm.
    "age_h",
    "seen_age_h",
    "gap_1_h",
    "gap_2_h",
    "gap_mean_3_h",
    "gap_mean_8_h",
    "gap_least_8_h",
    "age_by_mean_gap",
    "changes_24h",
    "changes_72h",
    "changes_168h",
    # Direction and size: consecutive changes agree in sign most of the time.
    "change_1",
    "change_2",
    "change_3",
    "change_4",
    "change_sum_4",
    "change_sum_8",
    "change_size_mean_8",
    "change_size_most_8",
    "sign_agreement_8",
    "sign_sum_4",
    "streak",
    "change_1_ticks",
    "tick_share",
    # Price relative to its past and to on-demand.
    "return_6h",
    "return_12h",
    "return_24h",
    "return_48h",
    "return_72h",
    "return_120h",
    "return_168h",
    "return_336h",
    "position_7d",
    "below_high_7d",
    "above_low_7d",
    "discount",
    # Other pools.
    "family_position_mean",
    "family_position_max",
    "family_return_24h",
    "family_sign",
    "family_changed_6h",
    "family_return_6h",
    "family_price_gap",
    "type_return_6h",
    "type_return_24h",
    "type_sign",
    "type_changed_6h",
    "type_price_gap",
    "type_price_gap_low",
    "market_changed_6h",
    "market_return_24h",
    "market_sign",
    # The clock, UTC.
    "hour_sine",
    "hour_cosine",
    "is_weekend",
    "is_business_hours",
)


@dataclass(frozen=True)
class FeatureBlock:
    """Features of P pools at T moments, and what it takes to turn predictions into prices."""

    values: NDArray[np.float32]
    """Shape (P, T, F), columns as in ``FEATURES``; NaN if unknown."""
    price: Floats
    """Shape (P, T): USD per hour in force, NaN before a pool's first change."""
    return_24h: Floats
    """Shape (P, T): log price change over 24 h, 0 if unknown."""
    changed_7d: NDArray[np.bool_]
    """Shape (P, T): whether the price changed in the last seven days."""


def compute_features(
    changes: PriceChanges,
    times_s: Times,
    on_demand_usd_per_hour: Mapping[str, float],
    groups: PoolGroups | None = None,
) -> FeatureBlock:
    """Features of every pool of one region at each of ``times_s`` (epoch seconds)."""
    groups = groups or PoolGroups.of(changes.pools)
    view = _PoolView(changes, np.asarray(times_s, dtype=np.int64))
    columns: Columns = {}
    _cadence(view, columns)
    _direction(view, columns)
    returns = {hours: view.log_return(hours) for hours in _RETURN_HOURS}
    for hours, value in returns.items():
        columns[f"return_{hours}h"] = value
    _standing(view, columns, on_demand_usd_per_hour)
    _others(view, columns, returns, groups)
    _clock(view, columns)
    values = np.empty((*view.row.shape, len(FEATURES)), dtype=np.float32)
    for position, name in enumerate(FEATURES):
        values[:, :, position] = columns[name]
    return FeatureBlock(
        values=values,
        price=view.price,
        return_24h=np.nan_to_num(returns[24]),
        changed_7d=columns["changes_168h"] > 0,
    )


class _PoolView:
    """The price change in force in each pool at each moment, and lookups relative to it; (P, T)."""

    def __init__(self, changes: PriceChanges, times_s: Times) -> None:
        self.changes = changes
        self.times_s = times_s
        self.row = changes.rows_at(times_s)
        self.is_known = self.row >= 0
        self.first = changes.first_row[:-1, None]
        self.log_price = np.log(changes.price)
        delta = np.full(len(changes.price), np.nan)
        delta[1:] = np.diff(self.log_price)
        delta[changes.first_row[:-1]] = np.nan
        self.delta = delta
        self.price = np.where(self.is_known, changes.price[self.row], np.nan)
        self.now_log = np.where(self.is_known, self.log_price[self.row], np.nan)

    def change_back(self, back: int) -> tuple[NDArray[np.bool_], Times]:
        """Whether the ``back``-th last change is within the window (0: the last), and its row."""
        row = np.maximum(self.row - back, 0)
        is_there = self.row - back > self.first
        is_there &= self.times_s - self.changes.time_s[row] <= WINDOW_S
        return is_there, row

    def log_return(self, hours: int) -> Floats:
        """Log price change over the last ``hours``; NaN if the price back then is unknown."""
        then = self.changes.rows_at(self.times_s - hours * HOUR_S)
        return np.where(then >= 0, self.now_log - self.log_price[then], np.nan)

    def changes_within(self, hours: int) -> Floats:
        """Number of changes in the last ``hours``; a pool's first price does not count."""
        then = self.changes.rows_at(self.times_s - hours * HOUR_S)
        return np.where(self.is_known, self.row - np.maximum(then, self.first), np.nan).astype(
            np.float64
        )

    def extremes(self, span_s: int) -> tuple[Floats, Floats]:
        """Lowest and highest log price in force within the last ``span_s``."""
        then = np.maximum(self.changes.rows_at(self.times_s - span_s), self.first)
        upto = np.maximum(self.row, then) + 1
        bounds = np.dstack((then, upto)).ravel()
        padded = np.append(self.log_price, 0.0)
        low = np.minimum.reduceat(padded, bounds)[::2].reshape(self.row.shape)
        high = np.maximum.reduceat(padded, bounds)[::2].reshape(self.row.shape)
        return np.where(self.is_known, low, np.nan), np.where(self.is_known, high, np.nan)


def _cadence(view: _PoolView, columns: Columns) -> None:
    changes = view.changes
    window_h = WINDOW_S / HOUR_S
    age_s = np.where(view.is_known, view.times_s - changes.time_s[view.row], WINDOW_S)
    age_h = np.minimum(age_s / HOUR_S, window_h)
    columns["age_h"] = age_h
    columns["seen_age_h"] = _seen_age_h(view, age_h)
    gaps = []
    for back in range(CHANGES_BACK):
        newer, row = view.change_back(back)
        older, before = view.change_back(back + 1)
        gap_h = (changes.time_s[row] - changes.time_s[before]) / HOUR_S
        gaps.append(np.where(newer & older, gap_h, np.nan))
    stacked = np.array(gaps)
    columns["gap_1_h"], columns["gap_2_h"] = stacked[0], stacked[1]
    columns["gap_mean_3_h"] = _mean(stacked[:3])
    columns["gap_mean_8_h"] = _mean(stacked)
    columns["gap_least_8_h"] = np.fmin.reduce(stacked)
    columns["age_by_mean_gap"] = age_h / columns["gap_mean_8_h"]
    for hours in _COUNT_HOURS:
        columns[f"changes_{hours}h"] = view.changes_within(hours)


def _seen_age_h(view: _PoolView, age_h: Floats) -> Floats:
    """Hours since AWS last stated the price, changed or not; NaN in a feed that states every price
    at every sample, which says nothing."""
    changes = view.changes
    stated = len(changes.restated_time_s)
    if not stated:
        return age_h
    row = changes.restated_rows_at(view.times_s)
    since_s = np.where(row >= 0, view.times_s - changes.restated_time_s[row], WINDOW_S)
    # Eight statements in under 16 h are samples of a grid, not daily restatements.
    before = np.maximum(row - 8, 0)
    is_same = (row >= 8) & (changes.restated_pool_index[before] == changes.restated_pool_index[row])
    span_s = changes.restated_time_s[row] - changes.restated_time_s[before]
    is_grid = is_same & (span_s < 8 * 2 * HOUR_S)
    return np.where(is_grid, np.nan, np.minimum(age_h, since_s / HOUR_S))


def _direction(view: _PoolView, columns: Columns) -> None:
    deltas, prices = [], view.price
    for back in range(CHANGES_BACK):
        is_there, row = view.change_back(back)
        deltas.append(np.where(is_there, view.delta[row], np.nan))
    stacked = np.array(deltas)
    signs = np.sign(stacked)
    for back in range(4):
        columns[f"change_{back + 1}"] = stacked[back]
    columns["change_sum_4"] = np.nansum(stacked[:4], axis=0)
    columns["change_sum_8"] = np.nansum(stacked, axis=0)
    columns["change_size_mean_8"] = _mean(np.abs(stacked))
    columns["change_size_most_8"] = np.fmax.reduce(np.abs(stacked))
    columns["sign_agreement_8"] = _mean(signs[1:] * signs[:-1])
    columns["sign_sum_4"] = np.nansum(signs[:4], axis=0)
    agrees = np.cumprod(signs == signs[0], axis=0)
    columns["streak"] = agrees.sum(axis=0) * np.nan_to_num(signs[0])
    tick = PRICE_TICK_USD / prices
    columns["change_1_ticks"] = np.clip(stacked[0] / tick, -100, 100)
    columns["tick_share"] = tick


def _standing(view: _PoolView, columns: Columns, on_demand: Mapping[str, float]) -> None:
    low, high = view.extremes(WEEK_S)
    width = high - low
    with np.errstate(invalid="ignore", divide="ignore"):
        columns["position_7d"] = np.where(width > 0, (view.now_log - low) / width, 0.5)
    columns["position_7d"][~view.is_known] = np.nan
    columns["below_high_7d"] = high - view.now_log
    columns["above_low_7d"] = view.now_log - low
    listed = np.array([on_demand.get(p.instance_type, np.nan) for p in view.changes.pools])
    columns["discount"] = 1 - view.price / listed[:, None]


def _others(
    view: _PoolView, columns: Columns, returns: Mapping[int, Floats], groups: PoolGroups
) -> None:
    sign = np.sign(columns["change_1"])
    # A change long ago says little about the current direction of the other pools.
    sign = np.where(columns["age_h"] <= 24, sign, np.nan)
    changed = np.where(view.is_known, columns["age_h"] <= 6, np.nan)
    columns["family_position_mean"] = groups.family.mean(columns["position_7d"])
    columns["family_position_max"] = groups.family.highest(columns["position_7d"])
    for name, group in (("family", groups.family), ("type", groups.type)):
        columns[f"{name}_return_24h"] = group.mean_of_others(returns[24])
        columns[f"{name}_sign"] = group.mean_of_others(sign)
        columns[f"{name}_changed_6h"] = group.mean_of_others(changed)
    columns["family_return_6h"] = groups.family.mean_of_others(returns[6])
    columns["type_return_6h"] = groups.type.mean_of_others(returns[6])
    unit_log = view.now_log - np.log(groups.size)[:, None]
    columns["family_price_gap"] = unit_log - groups.family.mean_of_others(unit_log)
    columns["type_price_gap"] = view.now_log - groups.type.mean_of_others(view.now_log)
    columns["type_price_gap_low"] = view.now_log + groups.type.highest(-view.now_log)
    everyone = Group.whole(len(view.changes.pools))
    columns["market_changed_6h"] = everyone.mean(changed)
    columns["market_return_24h"] = everyone.mean(returns[24])
    columns["market_sign"] = everyone.mean(sign)


def _clock(view: _PoolView, columns: Columns) -> None:
    shape = view.row.shape
    hour = (view.times_s % DAY_S) / HOUR_S
    weekday = (view.times_s // DAY_S + 3) % 7  # 1970-01-01 was a Thursday
    is_weekend = weekday >= 5
    is_business = ~is_weekend & (hour >= 9) & (hour < 17)
    clock = {
        "hour_sine": np.sin(2 * np.pi * hour / 24),
        "hour_cosine": np.cos(2 * np.pi * hour / 24),
        "is_weekend": is_weekend,
        "is_business_hours": is_business,
    }
    for name, value in clock.items():
        columns[name] = np.broadcast_to(value, shape)


def _mean(values: Floats) -> Floats:
    """Mean of the known values over the first axis; NaN if there are none."""
    count = np.isfinite(values).sum(axis=0)
    total = np.nansum(values, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
