"""The figures that describe a market, measured the same way on any history."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.market.history import TICK_USD_PER_HOUR, PriceHistory

_HOUR_S = 3600
_RISE_FRACTION = 0.03
_RISE_WINDOW_H = 12
_ACTIVE_CHANGES_PER_DAY = 0.25


@dataclass(frozen=True)
class MarketStatistics:
    """What a market looks like. Fractions are 0 to 1; sizes are fractions of the price.

    Attributes:
        pools, days, changes: how much was measured.
        changed_pool_hours_fraction: pool-hours with a change among all.
        idle_pools_fraction: pools that never changed.
        gap_min_h: the shortest time between two changes of one pool (its first percentile per
            thousand, so that a doubled row does not decide).
        gap_under_8_h_fraction, gap_8_to_16_h_fraction: share of those times.
        size_median, size_p90, size_p99: quantiles of the size of a change.
        single_tick_fraction: changes by one tick (0.0001 USD).
        sign_agreement_fraction: consecutive changes of one pool in the same direction.
        same_type_correlation: mean correlation of daily returns, one type in two zones.
        same_family_correlation: the same for two types of one family in one zone.
        stranger_correlation: the same for pools that share neither family nor zone.
        rise_fraction: pool-hours after which the price rises by 3 % or more within 12 hours.
        volatility_p50, volatility_p99: standard deviation / mean over a day's hourly prices.
        price_ratio_p10, price_ratio_p50, price_ratio_p90: quantiles over pools of the median
            spot price / on-demand price; None without on-demand prices.
    """

    pools: int
    days: float
    changes: int
    changed_pool_hours_fraction: float
    idle_pools_fraction: float
    gap_min_h: float
    gap_under_8_h_fraction: float
    gap_8_to_16_h_fraction: float
    size_median: float
    size_p90: float
    size_p99: float
    single_tick_fraction: float
    sign_agreement_fraction: float
    same_type_correlation: float
    same_family_correlation: float
    stranger_correlation: float
    rise_fraction: float
    volatility_p50: float
    volatility_p99: float
    price_ratio_p10: float | None = None
    price_ratio_p50: float | None = None
    price_ratio_p90: float | None = None


def market_statistics(
    history: PriceHistory, on_demand_usd_per_hour: Mapping[str, float] | None = None
) -> MarketStatistics:
    """Measure a history from end to end; a figure without a sample is NaN.

    Raises:
        ValueError: less than two days, too short for daily returns.
    """
    days = (history.end - history.start).total_seconds() / 86_400
    if days < 2:
        raise ValueError(f"history: spans {days:.2f} days; two are needed for daily returns")
    grid_s = np.arange(int(history.start.timestamp()), int(history.end.timestamp()) + 1, _HOUR_S)
    hourly = history.prices_on(grid_s)
    return MarketStatistics(
        pools=len(history.pools),
        days=days,
        changes=len(history.time_s) - len(history.pools),
        **_change_figures(history, days),
        **_correlations(history, hourly, days),
        **_movement(hourly),
        **_price_ratios(history, hourly, on_demand_usd_per_hour),
    )


def _change_figures(history: PriceHistory, days: float) -> dict[str, float]:
    pool = np.repeat(np.arange(len(history.pools)), np.diff(history.offsets))
    is_change = np.insert(pool[1:] == pool[:-1], 0, False)
    follows_change = is_change & np.insert(is_change[:-1], 0, False)
    price = history.spot_usd_per_hour
    step = np.diff(price, prepend=price[0])
    size = np.abs(step[is_change] / (price[is_change] - step[is_change]))
    gap_h = (np.diff(history.time_s, prepend=0) / _HOUR_S)[follows_change]
    agrees = (np.sign(step) == np.sign(np.insert(step[:-1], 0, 0.0)))[follows_change]
    changed_hours = np.unique(
        np.stack((pool[is_change], history.time_s[is_change] // _HOUR_S)), axis=1
    ).shape[1]
    return {
        "changed_pool_hours_fraction": changed_hours / (len(history.pools) * days * 24),
        "idle_pools_fraction": float((np.diff(history.offsets) == 1).mean()),
        "gap_min_h": _quantile(gap_h, 0.001),
        "gap_under_8_h_fraction": _mean(gap_h < 8),
        "gap_8_to_16_h_fraction": _mean((gap_h >= 8) & (gap_h < 16)),
        "size_median": _quantile(size, 0.5),
        "size_p90": _quantile(size, 0.9),
        "size_p99": _quantile(size, 0.99),
        "single_tick_fraction": _mean(np.abs(step[is_change]) < 1.5 * TICK_USD_PER_HOUR),
        "sign_agreement_fraction": _mean(agrees),
    }


def _correlations(
    history: PriceHistory, hourly: NDArray[np.float64], days: float
) -> dict[str, float]:
    """Mean correlations of 24-hour log returns, every 12 hours, between pools that move."""
    logs = np.log(hourly)
    returns = (logs[:, 24:] - logs[:, :-24])[:, ::12]
    moves = np.diff(history.offsets) - 1 >= _ACTIVE_CHANGES_PER_DAY * days
    known = np.isfinite(returns).mean(axis=1) > 0.9
    chosen = np.flatnonzero(moves & known)
    chosen = chosen[np.nanstd(returns[chosen], axis=1) > 0]
    scores = np.nan_to_num(returns[chosen] - np.nanmean(returns[chosen], axis=1, keepdims=True))
    scores /= np.linalg.norm(scores, axis=1, keepdims=True)
    correlation = scores @ scores.T
    types = np.array([history.pools[i].instance_type for i in chosen])
    zones = np.array([history.pools[i].availability_zone for i in chosen])
    families = np.array([name.split(".")[0] for name in types])
    upper = np.triu(np.ones((len(chosen), len(chosen)), dtype=bool), 1)
    same_type, same_zone, same_family = (
        column[:, None] == column[None, :] for column in (types, zones, families)
    )
    return {
        "same_type_correlation": _mean(correlation[upper & same_type]),
        "same_family_correlation": _mean(correlation[upper & same_family & same_zone]),
        "stranger_correlation": _mean(correlation[upper & ~same_family & ~same_zone]),
    }


def _movement(hourly: NDArray[np.float64]) -> dict[str, float]:
    origins = hourly.shape[1] - _RISE_WINDOW_H
    highest = hourly[:, :origins]
    for hours in range(1, _RISE_WINDOW_H + 1):
        highest = np.maximum(highest, hourly[:, hours : hours + origins])
    known = np.isfinite(highest)
    # A hair below the threshold, so that a rise of exactly 3 % counts whatever its rounding.
    rises = highest[known] / hourly[:, :origins][known] >= 1 + _RISE_FRACTION - 1e-9
    days = hourly[:, : hourly.shape[1] // 24 * 24].reshape(len(hourly), -1, 24)
    complete = days[np.isfinite(days).all(axis=2)]
    volatility = complete.std(axis=1) / complete.mean(axis=1)
    return {
        "rise_fraction": _mean(rises),
        "volatility_p50": _quantile(volatility, 0.5),
        "volatility_p99": _quantile(volatility, 0.99),
    }


def _price_ratios(
    history: PriceHistory,
    hourly: NDArray[np.float64],
    on_demand_usd_per_hour: Mapping[str, float] | None,
) -> dict[str, float]:
    if on_demand_usd_per_hour is None:
        return {}
    on_demand = np.array(
        [on_demand_usd_per_hour.get(pool.instance_type, np.nan) for pool in history.pools]
    )
    ratio = np.nanmedian(hourly, axis=1) / on_demand
    ratio = ratio[np.isfinite(ratio)]
    return {f"price_ratio_p{percent}": _quantile(ratio, percent / 100) for percent in (10, 50, 90)}


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _quantile(values: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(values, share)) if values.size else float("nan")
