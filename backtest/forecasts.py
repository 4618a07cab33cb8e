"""The market as the engines see it, hour by hour, with one of three forecasts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from backtest.period import Period
from models.artifact_files import SHIPPED, read_model, read_simple_rules
from models.rolling import Progress, roll
from spot_optimizer.forecast.forecaster import unknown_instability
from spot_optimizer.forecast.last_price import HISTORY_S, LastPrice
from spot_optimizer.forecast.safety_history import SafetyHistory
from spot_optimizer.forecast.snapshot_builder import build_snapshot
from spot_optimizer.market.prices import Floats
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.vocabulary import HOUR_S, WEEK_S

LAST_PRICE, MODEL, PERFECT = "last price", "model", "perfect 1 h forecast"
FORECASTS = (LAST_PRICE, MODEL, PERFECT)

_SEEN_S = max(HISTORY_S, WEEK_S) + 24 * HOUR_S
"""How far back a cycle looks: the product keeps eight days at hand."""

Snapshots = Sequence[MarketSnapshot]


def with_last_price(
    period: Period, buckets: dict[str, int], confirm_minutes: float, progress: Progress
) -> list[MarketSnapshot]:
    """The snapshot of each hour, as ``refresh_market`` makes it without a model. Shape (T,)."""
    snapshots: list[MarketSnapshot] = []
    history = SafetyHistory()
    for hour in range(period.hours):
        now_s = period.at_s(hour)
        now = datetime.fromtimestamp(now_s, UTC)
        known = period.changes.until(now_s + 1).trim(now_s - _SEEN_S)
        snapshot, history = build_snapshot(
            known,
            as_of=now,
            now=now,
            advisor_buckets=buckets,
            forecaster=LastPrice(),
            instability=unknown_instability(known),
            degraded="no model is asked",
            previous=history,
            confirm_safe_minutes=confirm_minutes,
        )
        snapshots.append(snapshot)
        if hour % 24 == 0:
            progress(hour, period.hours, f"market of {period.region}")
    return snapshots


def with_perfect_price(snapshots: Snapshots, period: Period) -> list[MarketSnapshot]:
    """The same, but the price an hour ahead is the one that came."""
    return [
        _forecast(snapshot, PERFECT, *(_columns(snapshot, period, period.next_price[hour]),) * 4)
        for hour, snapshot in enumerate(snapshots)
    ]


def with_model(snapshots: Snapshots, period: Period, progress: Progress) -> list[MarketSnapshot]:
    """The same with the bundled model, which learns every day from the outcomes of its forecasts.

    Raises UnusableModel, and ValueError where the period is too short.
    """
    shape = (period.hours, len(period.pools))
    scored = roll(
        [period.market],
        read_model(SHIPPED),
        read_simple_rules(SHIPPED),
        from_s=period.start_s,
        until_s=period.at_s(period.hours),
        every_h=1,
        recalibrate=True,
        progress=progress,
    )
    hour = (scored.made_s - period.start_s) // HOUR_S

    def grid(values: Floats) -> Floats:
        every = np.full(shape, np.nan)
        every[hour, scored.pool] = values
        return every

    low, median, high, mean = (
        grid(scored.price * np.exp(move[0]))
        for move in (scored.low, scored.median, scored.high, scored.mean)
    )
    rise = grid(scored.rise[0])
    made: list[MarketSnapshot] = []
    for number, snapshot in enumerate(snapshots):
        columns = (_columns(snapshot, period, g[number]) for g in (low, median, high, mean))
        instability = _columns(snapshot, period, rise[number])
        made.append(
            replace(
                _forecast(snapshot, MODEL, *columns),
                instability=instability,
                instability_worst_recent=instability,
            )
        )
    return made


def _columns(snapshot: MarketSnapshot, period: Period, row: Floats) -> Floats:
    """A row over the period's pools (P,) as a column of the snapshot, whose pools may be fewer."""
    if len(snapshot.pools) == len(period.pools):
        return row
    number = {pool: column for column, pool in enumerate(period.pools)}
    return row[[number[pool] for pool in snapshot.pools]]


def _forecast(
    snapshot: MarketSnapshot, name: str, p05: Floats, p50: Floats, p95: Floats, mean: Floats
) -> MarketSnapshot:
    return replace(
        snapshot,
        forecaster=name,
        degraded="",
        forecast_p05=p05,
        forecast_p50=p50,
        forecast_p95=p95,
        forecast_mean=mean,
    )
