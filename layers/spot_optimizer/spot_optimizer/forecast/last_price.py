"""The last price as forecast: the fallback without a model, and the yardstick for every model."""

import numpy as np

from spot_optimizer.forecast.forecaster import PRICE_TICK_USD, Forecast
from spot_optimizer.forecast.ticks import to_tick
from spot_optimizer.market.prices import Floats, PriceChanges
from spot_optimizer.vocabulary import HOUR_S, WEEK_S

HISTORY_S = WEEK_S
OWN_HALF_WEIGHT_CHANGES = 20
"""Changes at which a pool's own moves weigh as much as those of all pools together."""
MOVES_MIN = 24
"""With fewer past moves over all pools the band is only the last price."""


class LastPrice:
    """The last price as median and mean, with a band from past moves over the same horizon.

    A price changes in under a tenth of the pool-hours, so the last price is hard to beat
    (measured). The band: moves m = log(p(t + horizon) / p(t)) for t + horizon at every hour of the
    last week, counted back from now. Their 5 and 95 % quantiles q_own of the pool and q_all of all
    pools are mixed by the pool's number n of changes in the week,

        q = w q_own + (1 - w) q_all,    w = n / (n + 20),

    because the few moves of a quiet pool say little about how far it can move. Band limits are whole
    ticks, and the band always contains the last price.
    """

    name = "last-price"

    def forecast(self, changes: PriceChanges, at_s: int, horizon_s: int) -> Forecast:
        """See ``Forecaster.forecast``."""
        last = changes.price_at(at_s)
        moves = _past_moves(changes, at_s, horizon_s)
        every_move = moves[np.isfinite(moves)]
        if len(every_move) < MOVES_MIN:
            return Forecast(p05=last, p50=last, p95=last, mean=last)
        own_weight = _own_weight(changes, at_s)
        low, high = (
            own_weight * _row_quantile(moves, level)
            + (1 - own_weight) * np.quantile(every_move, level)
            for level in (0.05, 0.95)
        )
        lowest = np.minimum(last, PRICE_TICK_USD)
        return Forecast(
            p05=np.clip(to_tick(last * np.exp(low)), lowest, last),
            p50=last,
            p95=np.maximum(to_tick(last * np.exp(high)), last),
            mean=last,
        )


def _past_moves(changes: PriceChanges, at_s: int, horizon_s: int) -> Floats:
    """Shape (P, T): log moves over ``horizon_s`` that ended by ``at_s``; NaN if unknown."""
    ends_s = np.arange(at_s, at_s - HISTORY_S, -HOUR_S, dtype=np.int64)
    before, after = changes.rows_at(ends_s - horizon_s), changes.rows_at(ends_s)
    log_price = np.log(changes.price)
    moves = np.full(before.shape, np.nan)
    is_known = before >= 0
    moves[is_known] = log_price[after[is_known]] - log_price[before[is_known]]
    return moves


def _own_weight(changes: PriceChanges, at_s: int) -> Floats:
    """Shape (P,): weight of a pool's own moves, 0 to below 1. The first price is not a change."""
    is_counted = (changes.time_s > at_s - HISTORY_S) & (changes.time_s <= at_s)
    is_counted[changes.first_row[:-1]] = False
    count = np.bincount(changes.pool_index[is_counted], minlength=len(changes.pools))
    return count / (count + OWN_HALF_WEIGHT_CHANGES)


def _row_quantile(values: Floats, level: float) -> Floats:
    """Shape (P,): the quantile of each row's finite values, 0 for a row without any.

    The same as ``np.nanquantile``, which works row by row and takes a hundred times as long.
    """
    ordered = np.sort(values, axis=1)
    count = np.isfinite(values).sum(axis=1)
    position = level * np.maximum(count - 1, 0)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(values))
    low, high = ordered[rows, below], ordered[rows, above]
    return np.where(count > 0, low + (position - below) * (high - low), 0.0)
