"""How well the time of price changes can be forecast at best:
`.venv/bin/python benchmarks/timing_limit.py PRICES FROM UNTIL`.

What was seen before FROM gives the law: prices are updated on a beat; how many beats lie between two
changes, and whether one gap predicts the next. From FROM to before UNTIL (days, UTC) a forecaster is
scored who knows that law, every pool's age, and, which nobody can, in what share of its updates each
pool will change in that very week. With at most 22 changes looked at, ages of over three days count
as three. The law is that of markets such as us-east-1 in 2021; it is not that of 2024.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.markets import Market, read_markets
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.vocabulary import HOUR_S, WEEK_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


SHORT_GAP_S = 8 * HOUR_S
"""Shorter gaps lie between two updates that follow each other, longer ones have some in between."""
STEP_S = 300
TABLE_STEPS = 100 * HOUR_S // STEP_S
AGE_MOST_S = 72 * HOUR_S
UPDATES = 22
SHARES = np.linspace(0, 1, 41)


@dataclass(frozen=True)
class Law:
    """What gaps between changes look like."""

    beat_s: float
    beats: Ints
    """Of each short gap."""
    next_beats: Ints
    """Of the gap that follows, where that is short too, beside the first of the pair."""
    first_beats: Ints

    def least_most(self) -> tuple[int, int]:
        """Numbers of beats between which 98 % of the short gaps lie."""
        low, high = np.quantile(self.beats, (0.01, 0.99), method="nearest")
        return int(low), int(high)

    def information(self) -> tuple[float, float, float]:
        """Nats a gap predicts of the next, those of unrelated gaps by chance, and the entropy."""
        size = int(self.beats.max()) + 1
        pairs = np.bincount(self.first_beats * size + self.next_beats, minlength=size * size)
        joint = pairs.reshape(size, size) / pairs.sum()
        one, other = joint.sum(axis=1), joint.sum(axis=0)
        seen = joint > 0
        predicted = float((joint[seen] * np.log(joint[seen] / np.outer(one, other)[seen])).sum())
        chance = float(((one > 0).sum() - 1) * ((other > 0).sum() - 1) / (2 * pairs.sum()))
        return predicted, chance, float(-(other[other > 0] * np.log(other[other > 0])).sum())


def law_of(market: Market, until_s: int) -> Law:
    """From the changes before ``until_s``."""
    changes = market.changes
    gap_s = np.diff(changes.time_s)
    usable = (np.diff(changes.pool_index) == 0) & (changes.time_s[1:] < until_s)
    # A pool's first price is no change, so the gap after it is none.
    usable &= ~np.isin(np.arange(len(gap_s)), changes.first_row[:-1])
    short = usable & (gap_s < SHORT_GAP_S)
    periods = np.arange(300.0, 900.0, 0.25)
    turns = [abs(np.exp(2j * np.pi * gap_s[short] / period).mean()) for period in periods]
    beat_s = float(periods[int(np.argmax(turns))])
    beats = np.rint(gap_s / beat_s).astype(np.int64)
    pair = short[:-1] & short[1:]
    return Law(beat_s, beats[short], beats[1:][pair], beats[:-1][pair])


def survival_of(law: Law) -> Floats:
    """Shape (shares, steps): probability that a price is older than so many steps, by the share of
    updates that change it."""
    once = np.zeros(TABLE_STEPS)
    low, high = law.least_most()
    for beats in range(low, high + 1):
        once[round(beats * law.beat_s / STEP_S)] += 1 / (high - low + 1)
    density = np.zeros((len(SHARES), TABLE_STEPS))
    after = once
    for number in range(UPDATES):
        density += (SHARES * (1 - SHARES) ** number)[:, None] * after
        twice = np.fft.rfft(after, 2 * TABLE_STEPS) * np.fft.rfft(once, 2 * TABLE_STEPS)
        after = np.fft.irfft(twice, 2 * TABLE_STEPS)[:TABLE_STEPS].clip(0)
    return np.maximum(1 - np.cumsum(density, axis=1), 0)


def shares_of(market: Market, times_s: Ints, law: Law) -> Ints:
    """Shape (P, T): position in ``SHARES`` of the share of updates that changed each pool's price
    in the week of each moment, counted afterwards."""
    changes = market.changes
    begin_s, end_s = int(times_s[0]), int(times_s[-1]) + HOUR_S
    week = (times_s - begin_s) // WEEK_S
    seen = (changes.time_s >= begin_s) & (changes.time_s < end_s)
    seen[changes.first_row[:-1]] = False
    count = np.zeros((len(changes.pools), int(week[-1]) + 1))
    at = (changes.time_s[seen] - begin_s) // WEEK_S
    np.add.at(count, (changes.pool_index[seen], at), 1)
    starts = begin_s + WEEK_S * np.arange(count.shape[1])
    span_s = np.minimum(WEEK_S, end_s - starts)
    share = count * float(np.mean(law.beats)) * law.beat_s / span_s
    position = np.rint(np.clip(share, 0, 1) * (len(SHARES) - 1)).astype(np.int64)
    return position[:, week]


def score(market: Market, law: Law, from_s: int, until_s: int) -> None:
    """Print the Brier skill of the forecaster who knows, by horizon."""
    changes, survival = market.changes, survival_of(law)
    times_s = np.arange(from_s, min(until_s, market.end_s), HOUR_S, dtype=np.int64)
    row = changes.rows_at(times_s)
    age_s = np.minimum(times_s - changes.time_s[row], AGE_MOST_S)
    share = shares_of(market, times_s, law)
    log_price = np.log(changes.price)
    for hours in HORIZONS_H:
        then = changes.rows_at(times_s + hours * HOUR_S)
        usable = (row >= 0) & (times_s + hours * HOUR_S <= market.end_s)[None, :]
        position, begin = share[usable], age_s[usable] // STEP_S
        now = survival[position, begin]
        later = survival[position, begin + hours * HOUR_S // STEP_S]
        usual = 1 - np.exp(-SHARES[position] * hours * HOUR_S / (law.beats.mean() * law.beat_s))
        said = np.where(now > 1e-4, 1 - later / np.maximum(now, 1e-9), usual)
        changed = (then > row)[usable]
        base = changed.mean()
        skill = 1 - ((said - changed) ** 2).mean() / (base * (1 - base))
        square = (log_price[then] - log_price[row])[usable][changed] ** 2
        scaled = square @ said[changed] / square.sum()
        print(
            f"{hours:3} h ahead: {100 * base:5.1f} % change, Brier skill {skill:.3f}; "
            f"probability before a change, scaled by its square: {scaled:.3f}"
        )


def main() -> None:
    """Print the law and its limit for each region of a file."""
    path, *days = sys.argv[1:]
    from_s, until_s = (
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) for day in days
    )
    for market in read_markets([Path(path)]).markets:
        law = law_of(market, from_s)
        low, high = law.least_most()
        counts = np.bincount(law.beats)[low : high + 1]
        predicted, chance, entropy = law.information()
        print(
            f"{market.region}: {len(law.beats)} gaps of under 8 h on a beat of {law.beat_s:.2f} s, "
            f"{low} to {high} beats, each {counts.min()} to {counts.max()} times"
        )
        print(
            f"a gap predicts {predicted:.4f} of {entropy:.2f} nats of the next (unrelated: {chance:.4f})"
        )
        score(market, law, from_s, until_s)


if __name__ == "__main__":
    main()
