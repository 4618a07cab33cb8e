"""Rolling evaluation: forecast a recorded market day by day, using only what was known then.

Each day is forecast hour by hour, after the corrections have learned from the forecasts whose horizon
ended the day before, as the deployed function does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, hours_between, joined, rows_of
from models.markets import Market
from models.simple_rules import SimpleRules, last_change, pool_frequency
from spot_optimizer.forecast.calibration import Calibration
from spot_optimizer.forecast.daily_lessons import label_forecasts, learn_hours
from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.forecast.model_artifact import Model
from spot_optimizer.forecast.model_forecaster import forecast_rows
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES, RawForecast, predict_rows
from spot_optimizer.market.prices import Floats, Times
from spot_optimizer.vocabulary import DAY_S, HOUR_S

WARM_UP_S = 8 * DAY_S
"""Days at a market's start that are not scored by default: most features look back a week, some two."""
SMOOTHING_PER_HOUR = 0.3
LEVELS = (0.05, 0.5, 0.95)
_EMPIRICAL_DAYS = 7
_DAYS_AT_ONCE = 7

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Scored:
    """N forecasts with outcomes. H horizons, R rises; moves are log ratios to the price."""

    market: NDArray[np.int64]
    """Number of the market."""
    pool: NDArray[np.int64]
    family: NDArray[np.str_]
    made_s: Times
    price: Floats
    changed_7d: NDArray[np.bool_]
    move: Floats
    """Shape (H, N): outcome, as the next three."""
    changed: Floats
    rose: Floats
    rise_lead_h: Floats
    mean: Floats
    """Shape (H, N): forecast, as the next four."""
    low: Floats
    median: Floats
    high: Floats
    change: Floats
    rise: Floats
    """Shape (R, N)."""
    drift_24h: Floats
    """Shape (H, N): forecast of a simple rule, as the next four."""
    drift_last_change: Floats
    smoothed: Floats
    cadence: Floats
    frequency: Floats
    empirical: Floats
    """Shape (3, H, N): the 5, 50 and 95 % quantile of the market's moves of the last week."""
    rose_12h: Floats
    """Shape (N,): log return over the last 12 h."""

    def __len__(self) -> int:
        return len(self.made_s)


class NothingToScore(ValueError):
    """The prices are too few for a forecast to be scored; the text says what they cover."""


def roll(
    markets: Sequence[Market],
    model: Model,
    rules: SimpleRules,
    *,
    from_s: int | None,
    until_s: int | None,
    every_h: int,
    recalibrate: bool,
    progress: Progress,
) -> Scored:
    """Forecast every pool of ``markets`` every ``every_h`` hours, and add the outcomes.

    Only forecasts from ``from_s`` (default: after each market's warm-up) to before ``until_s`` are
    returned. Raises NothingToScore if there are none.
    """
    parts: list[Scored] = []
    for number, market in enumerate(markets):
        progress(number, len(markets), f"forecasting {market.region}")
        parts.extend(
            _roll_market(number, market, model, rules, from_s, until_s, every_h, recalibrate)
        )
    progress(len(markets), len(markets), "measuring")
    if not parts:
        raise NothingToScore(_nothing(markets))
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts], axis=-1)
        for f in fields(Scored)
    }
    return Scored(**columns)


def _nothing(markets: Sequence[Market]) -> str:
    longest = max(markets, key=lambda market: market.end_s - market.start_s)
    first, last = (datetime.fromtimestamp(s, UTC) for s in (longest.start_s, longest.end_s))
    return (
        f"nothing to score; the prices of {longest.region} cover {first:%Y-%m-%d %H:%M} to"
        f" {last:%Y-%m-%d %H:%M} UTC; needed are more than {WARM_UP_S // DAY_S} days, or --from and"
        " --until within them"
    )


def _roll_market(
    number: int,
    market: Market,
    model: Model,
    rules: SimpleRules,
    from_s: int | None,
    until_s: int | None,
    every_h: int,
    recalibrate: bool,
) -> Iterator[Scored]:
    score_s = market.start_s + WARM_UP_S if from_s is None else max(from_s, market.start_s)
    start_s = max(market.start_s, score_s - WARM_UP_S)
    times_s = hours_between(start_s, min(market.end_s, until_s or market.end_s), every_h)
    if not len(times_s) or times_s[-1] < score_s:
        return
    smoothed = _Smoothed(market, times_s)
    calibration = model.calibration
    recent: list[tuple[Dataset, RawForecast]] = []
    for day, raw in _days(market, model, times_s):
        day_s = int(day.made_s.min()) // DAY_S * DAY_S
        if recent and recalibrate:
            calibration = _learned(calibration, recent, day_s, every_h)
        if day.made_s.max() >= score_s:
            scored = _score(number, day, raw, calibration, rules, recent, smoothed, day_s)
            yield _take(scored, day.made_s >= score_s)
        recent = [*recent[-(_EMPIRICAL_DAYS):], (day, raw)]


def _days(market: Market, model: Model, times_s: Times) -> Iterator[tuple[Dataset, RawForecast]]:
    """The rows of each UTC day with their raw forecasts, which are computed for some days at once."""
    days = np.unique(times_s // DAY_S)
    for begin in range(0, len(days), _DAYS_AT_ONCE):
        chosen = np.isin(times_s // DAY_S, days[begin : begin + _DAYS_AT_ONCE])
        rows = joined(list(rows_of(market, times_s[chosen])))
        raw = predict_rows(model.boosters, rows.values)
        day_of_row = rows.made_s // DAY_S
        for number in np.unique(day_of_row):
            of_day = day_of_row == number
            yield rows.take(of_day), raw.take(of_day)


def _learned(
    calibration: Calibration,
    recent: Sequence[tuple[Dataset, RawForecast]],
    day_s: int,
    every_h: int,
) -> Calibration:
    labeled = (
        label_forecasts(raw, data.rows, data.outcomes, data.made_s, day_s)
        for data, raw in recent[-2:]
    )
    return learn_hours(calibration, labeled, every_h)


def _score(
    number: int,
    day: Dataset,
    raw: RawForecast,
    calibration: Calibration,
    rules: SimpleRules,
    recent: Sequence[tuple[Dataset, RawForecast]],
    smoothed: "_Smoothed",
    day_s: int,
) -> Scored:
    forecasts = [forecast_rows(raw, day.rows, calibration, h) for h in range(len(HORIZONS_H))]

    def moves(name: str) -> Floats:
        return np.log(np.array([getattr(f.forecast, name) for f in forecasts]) / day.price)

    return Scored(
        market=np.full(len(day), number),
        pool=day.pool,
        family=day.family,
        made_s=day.made_s,
        price=day.price,
        changed_7d=day.changed_7d,
        move=day.move,
        changed=day.changed,
        rose=day.rose,
        rise_lead_h=day.rise_lead_h,
        mean=moves("mean"),
        low=moves("p05"),
        median=moves("p50"),
        high=moves("p95"),
        change=np.array([f.change for f in forecasts]),
        rise=np.array(
            [calibration.probability(len(HORIZONS_H) + r, raw.rise[r]) for r in range(len(RISES))]
        ),
        drift_24h=np.outer(rules.drift_24h, day.return_24h),
        drift_last_change=np.outer(rules.drift_last_change, last_change(day.values)),
        smoothed=np.broadcast_to(smoothed.move(day), (len(HORIZONS_H), len(day))),
        cadence=np.array(
            [rules.cadence_probability(h, day.values) for h in range(len(HORIZONS_H))]
        ),
        frequency=np.array([pool_frequency(h, day.values) for h in HORIZONS_H]),
        empirical=_empirical(recent, day_s, len(day)),
        rose_12h=np.nan_to_num(day.values[:, FEATURES.index("return_12h")].astype(np.float64)),
    )


def _empirical(recent: Sequence[tuple[Dataset, RawForecast]], day_s: int, rows: int) -> Floats:
    """Quantiles of all moves of the last week that were known at ``day_s``; 0 without any."""
    limits = np.zeros((len(LEVELS), len(HORIZONS_H), rows))
    for h, hours in enumerate(HORIZONS_H):
        moves = [
            data.move[h][(data.made_s + hours * HOUR_S <= day_s) & np.isfinite(data.move[h])]
            for data, _ in recent
        ]
        known = np.concatenate(moves) if moves else np.empty(0)
        if len(known):
            limits[:, h, :] = np.quantile(known, LEVELS)[:, None]
    return limits


class _Smoothed:
    """Exponential smoothing of the hourly log price of every pool."""

    def __init__(self, market: Market, times_s: Times) -> None:
        self._start_s = int(times_s[0]) - 2 * DAY_S
        grid = np.log(market.changes.grid(self._start_s, int(times_s[-1]) + 1, HOUR_S))
        level = np.full(len(grid), np.nan)
        self._gap = np.empty_like(grid)
        for hour in range(grid.shape[1]):
            now = grid[:, hour]
            level = np.where(np.isnan(level), now, level + SMOOTHING_PER_HOUR * (now - level))
            self._gap[:, hour] = level - now

    def move(self, day: Dataset) -> Floats:
        """Shape (N,): from the price in force to the smoothed one."""
        return np.asarray(self._gap[day.pool, (day.made_s - self._start_s) // HOUR_S])


def _take(scored: Scored, chosen: NDArray[np.bool_]) -> Scored:
    columns: dict[str, Any] = {f.name: getattr(scored, f.name)[..., chosen] for f in fields(Scored)}
    return Scored(**columns)
