"""What each price did after a moment: labels for training and learning. Only this code looks ahead."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISE_HOURS, RISES
from spot_optimizer.market.prices import Floats, PriceChanges, Times
from spot_optimizer.vocabulary import HOUR_S


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of P pools at T moments; NaN if the horizon ends after the recording."""

    move: Floats
    """Shape (H, P, T): log price change by the end of each horizon."""
    changed: Floats
    """Shape (H, P, T): 1 if the price changed at least once within the horizon, else 0."""
    rose: Floats
    """Shape (R, P, T): 1 if the price was higher by each of ``RISES`` at any time within 12 h."""
    rise_lead_h: Floats
    """Shape (R, P, T): hours until the price was first higher by each of ``RISES``; NaN if never."""

    def take(self, chosen: NDArray[np.bool_]) -> "Outcomes":
        """The chosen of the last axis, or of the last two if ``chosen`` has shape (P, T)."""
        return Outcomes(*(getattr(self, f.name)[:, chosen] for f in fields(self)))


def compute_outcomes(changes: PriceChanges, times_s: Times, known_until_s: int) -> Outcomes:
    """Outcomes of every pool at each of ``times_s``, from prices known up to ``known_until_s``."""
    log_price = np.log(changes.price)
    now = changes.rows_at(times_s)
    is_known = now >= 0
    moves, changed = [], []
    for hours in HORIZONS_H:
        ends_s = times_s + hours * HOUR_S
        then = changes.rows_at(ends_s)
        is_usable = is_known & (ends_s <= known_until_s)
        moves.append(np.where(is_usable, log_price[then] - log_price[now], np.nan))
        changed.append(np.where(is_usable, then > now, np.nan))
    highest, is_usable = _highest(changes, times_s, known_until_s, now)
    rise = highest / changes.price[now] - 1
    # A rise of exactly 3 % counts; prices are whole ticks, so 1e-9 is only rounding.
    rose = [np.where(is_usable, rise >= level - 1e-9, np.nan) for level in RISES]
    leads = [_lead_h(changes, times_s, now, is_usable, level) for level in RISES]
    return Outcomes(np.array(moves), np.array(changed), np.array(rose), np.array(leads))


def _highest(
    changes: PriceChanges, times_s: Times, known_until_s: int, now: Times
) -> tuple[Floats, NDArray[np.bool_]]:
    ends_s = times_s + RISE_HOURS * HOUR_S
    then = changes.rows_at(ends_s)
    is_usable = (now >= 0) & (ends_s <= known_until_s)
    lowest = np.maximum(now, 0)
    bounds = np.dstack((lowest, np.maximum(then, lowest) + 1)).ravel()
    padded = np.append(changes.price, 0.0)
    return np.maximum.reduceat(padded, bounds)[::2].reshape(now.shape), is_usable


def _lead_h(
    changes: PriceChanges, times_s: Times, now: Times, is_usable: NDArray[np.bool_], level: float
) -> Floats:
    """Hours from each moment to the first price higher by ``level``, NaN without one."""
    lead_h = np.full(now.shape, np.nan)
    last_row = changes.first_row[1:, None] - 1
    # Changes are hours apart: no pool has more than twelve within 12 h.
    for ahead in range(1, 13):
        row = np.minimum(now + ahead, last_row)
        wait_h = (changes.time_s[row] - times_s) / HOUR_S
        is_hit = is_usable & np.isnan(lead_h) & (row == now + ahead) & (wait_h <= RISE_HOURS)
        is_hit &= changes.price[row] / changes.price[now] - 1 >= level - 1e-9
        lead_h[is_hit] = wait_h[is_hit]
    return lead_h
