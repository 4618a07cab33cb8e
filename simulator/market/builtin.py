"""A seeded market that moves as us-east-1 did in spring 2021.

The model in words. Every pool is reviewed again 4.55 to 7.45 hours after its last review. A pool
that is awake moves at a review with its own probability; a pool asleep, or one that never moves,
keeps its price. A move follows a *pressure*: a slow part, shared in part with the same type in
other zones, with the family and with the whole region, so direction persists for days and siblings
move together; a fast part; and a pull back towards the pool's own level. The size of a move grows
with the pressure, the pool's own size and a wandering factor. The price that is seen is rounded to
the tick of 0.0001 USD, so a cheap pool often does not change at all.

The figures that it is held to were measured with `market_statistics` on the change events of 1,241
Linux pools of us-east-1, 2 March to 31 May 2021 (90 days; public archive
LucianaMarques/amazon-spot-dataset). In brackets: the generator, 245 types from large to 24xlarge
in 4 zones over 24 days, range over five seeds.

- No change within 4 h of the last; 89 % come 4 to 8 h after it [87 to 88], 7 % come 8 to 16 h after
  it [8].
- A price changes in 7.7 % of pool-hours [7.8 to 8.2].
- 36 % of pools do not change in 24 days [32 to 36] and 27 % never in 90 days; 71 % of these stand
  at 30 % of the on-demand price.
- Size of a change: median 0.20 % [0.18 to 0.20], 90th percentile 0.8 % [0.8], 99th percentile 3.1 %
  [2.6 to 2.9]. 21 % are a single tick [19 to 20]; cheap pools change less often, in larger steps.
- Two changes in a row agree in direction 74 % of the time [75].
- Daily returns of one type in two zones correlate by 0.16 [0.13 to 0.17], of two types of a family
  in one zone by 0.05 [0.04 to 0.05], of pools that share neither by 0.01 [0.01 to 0.02]. A family
  in one zone is hardly closer than a family across zones (0.04), so its pressure spans the zones.
- A rise of 3 % or more within 12 h follows 0.8 % of pool-hours [0.6 to 0.8].
- Volatility over a day: 99th percentile 0.023 [0.020 to 0.022].
- Spot / on-demand, the median of each pool: 0.27 at the 10th percentile [0.28 to 0.29], 0.32 in the
  middle [0.32 to 0.34], 0.46 at the 90th [0.44 to 0.51].
- No effect of the hour of the day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from simulator.market.history import TICK_USD_PER_HOUR, Pool, PriceHistory, epoch_s

_HOUR_S = 3600
_REVIEW_H = (4.55, 7.45)
_MEAN_REVIEW_H = sum(_REVIEW_H) / 2

_NEVER_MOVES = 0.25
_NEVER_MOVES_AT_FLOOR = 0.71
_FLOOR_RATIO = 0.30
_LOWEST_RATIO = 0.10

# An awake pool falls asleep about every 300 days and sleeps about 45 (measured: of the pools that
# changed in one span of 9 days 3 % are still in the next, of the still ones 20 % wake up).
_FALLS_ASLEEP = 0.03 * _MEAN_REVIEW_H / (9 * 24)
_WAKES_UP = 0.20 * _MEAN_REVIEW_H / (9 * 24)

# Quantiles over pools: (share of pools, value). Prices relative to on-demand are as measured; the
# other two are fitted, so that what shows after rounding to ticks has the measured distribution.
_MOVE_PROBABILITY = (
    (0.0, 0.0),
    (0.08, 0.02),
    (0.10, 0.40),
    (0.20, 0.84),
    (0.33, 1.0),
    (1.0, 1.0),
)
_SIZE = (
    (0.01, 0.0004),
    (0.05, 0.0006),
    (0.25, 0.0014),
    (0.50, 0.0024),
    (0.75, 0.0036),
    (0.90, 0.0065),
    (0.95, 0.0110),
    (0.99, 0.0220),
)
_RATIO = (
    (0.001, 0.10),
    (0.01, 0.115),
    (0.05, 0.241),
    (0.10, 0.272),
    (0.25, 0.306),
    (0.50, 0.342),
    (0.75, 0.404),
    (0.90, 0.477),
    (0.95, 0.525),
    (0.99, 0.649),
    (0.999, 0.815),
)
# Share of the spread of levels that a family, a type and a zone account for (measured: standard
# deviation of the log ratio 0.32 in all, 0.13 within a family, 0.065 within a type across zones).
_LEVEL_SHARES = (0.83, 0.13, 0.04)

# The pressure: memory from one review to the next, and how much of it is slow or shared
# (measured: directions 1, 2, 4, 8, 16 changes apart agree by .745, .669, .630, .582, .535).
_SLOW_MEMORY = 0.892
_FAST_MEMORY = 0.30
_SLOW_SHARE = 0.70
_TYPE_SHARE = 0.19
_FAMILY_SHARE = 0.06
_REGION_SHARE = 0.025
_PULL_TO_LEVEL = 0.011
_LEVEL_WANDERING = 15.0

_SIZE_EXPONENT = 0.85
_SIZE_WANDERING = 0.6
_SIZE_MEMORY = 0.84
_LARGEST_STEP = 0.045


@dataclass(frozen=True)
class _PoolTraits:
    """What stays the same for a pool; every array has shape (pools,)."""

    on_demand: NDArray[np.float64]
    level: NDArray[np.float64]  # log USD per hour
    size: NDArray[np.float64]  # log-price step at unit pressure
    displacement: NDArray[np.float64]  # log price at the start, away from the level
    move_probability: NDArray[np.float64]
    type_index: NDArray[np.int64]
    family_index: NDArray[np.int64]


def generate_market(
    *,
    seed: int,
    start: datetime,
    end: datetime,
    zones: Sequence[str],
    on_demand_usd_per_hour: Mapping[str, float],
    instance_types: Sequence[str],
    history_days: float = 9.0,
) -> PriceHistory:
    """Generate the prices of every instance type in every zone.

    The same arguments give the same market, and a later `end` only adds to it. No price exceeds
    the on-demand price.

    Args:
        start: when the scenario starts; the market starts `history_days` earlier, so that
            features over 7 days exist from the first moment.
        on_demand_usd_per_hour: by instance type; at least those of `instance_types`.

    Raises:
        ValueError: a span that is empty, no zone or type, one named twice, a type without an
            on-demand price of a tick or more, less than 0 days of history.
    """
    _validate(start, end, zones, on_demand_usd_per_hour, instance_types, history_days)
    begin_s = epoch_s("start", start - timedelta(days=history_days))
    end_s = epoch_s("end", end)
    pools = [Pool(name, zone) for name in instance_types for zone in zones]
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
    on_demand = np.array([on_demand_usd_per_hour[name] for name in instance_types])
    traits = _draw_traits(streams[0], instance_types, len(zones), on_demand)
    times_s = _review_times(streams[1], len(pools), begin_s, end_s)
    shared = _shared_pressure(streams[2], traits, times_s, begin_s)
    prices = _walk(streams[3], traits, shared)
    within = times_s <= end_s
    columns = np.broadcast_to(np.arange(len(pools)), times_s.shape)
    return PriceHistory.from_rows(pools, columns[within], times_s[within], prices[within], end=end)


def _validate(
    start: datetime,
    end: datetime,
    zones: Sequence[str],
    on_demand_usd_per_hour: Mapping[str, float],
    instance_types: Sequence[str],
    history_days: float,
) -> None:
    if epoch_s("end", end) <= epoch_s("start", start):
        raise ValueError(f"end: {end.isoformat()} must come after start {start.isoformat()}")
    if not history_days >= 0:
        raise ValueError(f"history_days: {history_days} must be 0 or more")
    for field, names in (("zones", zones), ("instance_types", instance_types)):
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{field}: {list(names)} must name one or more, each once")
    unpriced = [
        name
        for name in instance_types
        if not on_demand_usd_per_hour.get(name, 0) >= TICK_USD_PER_HOUR
    ]
    if unpriced:
        raise ValueError(
            f"on_demand_usd_per_hour: no price of {TICK_USD_PER_HOUR} or more for "
            f"{', '.join(unpriced)}; leave these types out or price them"
        )


def _draw_traits(
    rng: np.random.Generator,
    instance_types: Sequence[str],
    zones: int,
    on_demand: NDArray[np.float64],
) -> _PoolTraits:
    families = {name: i for i, name in enumerate(sorted({_family(t) for t in instance_types}))}
    family_of_type = np.array([families[_family(name)] for name in instance_types])
    type_index = np.repeat(np.arange(len(instance_types)), zones)
    family_index = family_of_type[type_index]
    count = len(type_index)
    family_share, type_share, zone_share = np.sqrt(_LEVEL_SHARES)
    score = (
        family_share * rng.standard_normal(len(families))[family_index]
        + type_share * rng.standard_normal(len(instance_types))[type_index]
        + zone_share * rng.standard_normal(count)
    )
    ratio = np.exp(_at_scores(_RATIO, score))
    never_moves = rng.random(count) < _NEVER_MOVES
    at_floor = never_moves & (rng.random(count) < _NEVER_MOVES_AT_FLOOR)
    ratio = np.where(at_floor, _FLOOR_RATIO, ratio)
    shares, values = zip(*_MOVE_PROBABILITY, strict=True)
    move_probability = np.interp(rng.random(count), shares, values)
    size = np.exp(_at_scores(_SIZE, rng.standard_normal(count)))
    wandered = _LEVEL_WANDERING * size * rng.standard_normal(count)
    return _PoolTraits(
        on_demand=on_demand[type_index],
        level=np.log(ratio * on_demand[type_index]),
        size=size,
        displacement=np.where(never_moves, 0.0, wandered),
        move_probability=np.where(never_moves, 0.0, move_probability),
        type_index=type_index,
        family_index=family_index,
    )


def _at_scores(
    quantiles: tuple[tuple[float, float], ...], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log values at standard normal scores of a distribution given by its quantiles."""
    normal = NormalDist()
    at = [normal.inv_cdf(share) for share, _ in quantiles]
    return np.asarray(np.interp(scores, at, np.log([value for _, value in quantiles])))


def _review_times(
    rng: np.random.Generator, pools: int, begin_s: int, end_s: int
) -> NDArray[np.int64]:
    """Epoch seconds, shape (reviews, pools); every first is before `begin_s`, every last past end.

    Drawn review by review, like every stream here, so that a later end repeats what came before.
    """
    first_s = begin_s - np.rint(rng.random(pools) * _MEAN_REVIEW_H * _HOUR_S).astype(np.int64)
    reviews = int((end_s - begin_s) / _HOUR_S / _REVIEW_H[0] + _MEAN_REVIEW_H) + 1
    gaps_s = np.rint(rng.uniform(*_REVIEW_H, (reviews, pools)) * _HOUR_S).astype(np.int64)
    return np.vstack((first_s, first_s + np.cumsum(gaps_s, axis=0)))


def _shared_pressure(
    rng: np.random.Generator, traits: _PoolTraits, times_s: NDArray[np.int64], begin_s: int
) -> NDArray[np.float64]:
    """What siblings have in common, at every review: shape (reviews, pools)."""
    types, families = int(traits.type_index.max()) + 1, int(traits.family_index.max()) + 1
    steps = int((times_s.max() - begin_s) / _HOUR_S / _MEAN_REVIEW_H) + 2
    noise = rng.standard_normal((steps, 1 + families + types))
    pressure = np.empty_like(noise)
    pressure[0] = noise[0]
    for step in range(1, steps):
        pressure[step] = _remember(pressure[step - 1], _SLOW_MEMORY, noise[step])
    step_of_review = ((times_s - begin_s) / _HOUR_S / _MEAN_REVIEW_H).astype(np.int64).clip(0)
    combined: NDArray[np.float64] = (
        sqrt(_REGION_SHARE) * pressure[step_of_review, 0]
        + sqrt(_FAMILY_SHARE) * pressure[step_of_review, 1 + traits.family_index]
        + sqrt(_TYPE_SHARE) * pressure[step_of_review, 1 + families + traits.type_index]
    )
    return combined


def _walk(
    rng: np.random.Generator, traits: _PoolTraits, shared: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The price seen after every review, USD per hour: shape (reviews, pools)."""
    reviews, pools = shared.shape
    normal_stream, uniform_stream = rng.spawn(2)
    own_noise, fast_noise, size_noise = np.moveaxis(
        normal_stream.standard_normal((reviews, 3, pools)), 1, 0
    )
    sleep_draw, move_draw = np.moveaxis(uniform_stream.random((reviews, 2, pools)), 1, 0)
    own, fast, wander = own_noise[0], fast_noise[0], size_noise[0]
    awake = sleep_draw[0] < _WAKES_UP / (_WAKES_UP + _FALLS_ASLEEP)
    # The last whole tick, so that rounding cannot pass the on-demand price.
    most = np.floor(traits.on_demand / TICK_USD_PER_HOUR + 1e-6) * TICK_USD_PER_HOUR
    lowest, highest = np.log(_LOWEST_RATIO * traits.on_demand), np.log(most)
    log_price = np.clip(traits.level + traits.displacement, lowest, highest)
    own_share = 1 - _TYPE_SHARE - _FAMILY_SHARE - _REGION_SHARE
    prices = np.empty((reviews, pools))
    prices[0] = _to_tick(log_price)
    for review in range(1, reviews):
        own = _remember(own, _SLOW_MEMORY, own_noise[review])
        fast = _remember(fast, _FAST_MEMORY, fast_noise[review])
        wander = _remember(wander, _SIZE_MEMORY, size_noise[review])
        awake = np.where(awake, sleep_draw[review] >= _FALLS_ASLEEP, sleep_draw[review] < _WAKES_UP)
        pressure = (
            sqrt(_SLOW_SHARE) * (shared[review] + sqrt(own_share) * own)
            + sqrt(1 - _SLOW_SHARE) * fast
            - _PULL_TO_LEVEL * (log_price - traits.level) / traits.size
        )
        size = traits.size * np.exp(_SIZE_WANDERING * wander) * np.abs(pressure) ** _SIZE_EXPONENT
        step = np.sign(pressure) * np.minimum(size, _LARGEST_STEP)
        moves = awake & (move_draw[review] < traits.move_probability)
        log_price = np.clip(log_price + moves * step, lowest, highest)
        prices[review] = _to_tick(log_price)
    return prices


def _remember(
    state: NDArray[np.float64], memory: float, noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One step of a stationary first-order process of unit variance."""
    return memory * state + sqrt(1 - memory**2) * noise


def _to_tick(log_price: NDArray[np.float64]) -> NDArray[np.float64]:
    """USD per hour, rounded to the tick, at least one."""
    ticks = np.maximum(np.rint(np.exp(log_price) / TICK_USD_PER_HOUR), 1)
    return np.round(ticks * TICK_USD_PER_HOUR, 4)


def _family(instance_type: str) -> str:
    return instance_type.split(".", 1)[0]
