"""Features of a pool depend neither on later prices nor on how much history is kept."""

from collections.abc import Sequence
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.forecast.features import FEATURES, WINDOW_S, compute_features
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool
from tests.market.price_strategies import POOLS, START_S, merged, rows_within

HOUR_S = 3_600
DAY_S = 86_400
AT_S = START_S + 3 * DAY_S
ON_DEMAND = {"m5.large": 0.4}
OPENING = [(pool, START_S, 0.2) for pool in POOLS]
LARGE, XLARGE = Pool("m5.large", "us-east-1a"), Pool("m5.xlarge", "us-east-1a")
ELSEWHERE = Pool("m5.large", "us-east-1b")

histories = rows_within(6 * DAY_S).map(lambda rows: [r for r in rows if r[1] > START_S])


def feature_values(
    changes: PriceChanges, times_s: Sequence[int]
) -> dict[str, npt.NDArray[np.float32]]:
    """Feature values by name, (P, T) each."""
    values = compute_features(changes, np.array(times_s), ON_DEMAND).values
    return {name: values[:, :, column] for column, name in enumerate(FEATURES)}


def at(rows: list[PriceRow], time_s: int, pool: Pool) -> dict[str, float]:
    """Feature values by name of one pool at one moment."""
    changes = merged(rows)
    row = changes.pools.index(pool)
    return {name: float(value[row, 0]) for name, value in feature_values(changes, [time_s]).items()}


@settings(deadline=None, max_examples=40)
@given(histories, st.randoms(use_true_random=False))
def test_features_do_not_change_if_the_future_is_permuted(
    rows: list[PriceRow], random: Random
) -> None:
    """Prices after the moment are permuted among all pools: not a single bit changes."""
    past = [row for row in rows if row[1] <= AT_S]
    future = [row for row in rows if row[1] > AT_S]
    prices = [price for *_, price in future]
    random.shuffle(prices)
    dealt = [(pool, time_s, price) for (pool, time_s, _), price in zip(future, prices, strict=True)]
    times = [AT_S - DAY_S, AT_S - HOUR_S, AT_S]
    known, shuffled, only_past = (
        compute_features(merged(OPENING, past, after), np.array(times), ON_DEMAND)
        for after in (future, dealt, [])
    )
    np.testing.assert_array_equal(known.values, shuffled.values)
    np.testing.assert_array_equal(known.values, only_past.values)


@settings(deadline=None, max_examples=40)
@given(rows_within(40 * DAY_S, max_size=80))
def test_short_history_gives_the_features_of_a_long_one(rows: list[PriceRow]) -> None:
    """What Lambda keeps is enough: two weeks, and the last change before."""
    changes = merged([(pool, START_S, 0.2) for pool in POOLS], rows)
    at_s = START_S + 40 * DAY_S
    short = changes.trim(at_s - WINDOW_S)
    for name, value in feature_values(changes, [at_s]).items():
        np.testing.assert_array_equal(value, feature_values(short, [at_s])[name], err_msg=name)


@settings(deadline=None, max_examples=40)
@given(histories)
def test_features_of_many_moments_equal_those_of_each(rows: list[PriceRow]) -> None:
    """Training computes weeks at once, Lambda one moment: both give the same."""
    changes = merged(OPENING, rows)
    times = [AT_S - 5 * HOUR_S, AT_S, AT_S + HOUR_S]
    together = compute_features(changes, np.array(times), ON_DEMAND).values
    for column, time_s in enumerate(times):
        alone = compute_features(changes, np.array([time_s]), ON_DEMAND).values
        np.testing.assert_array_equal(together[:, column], alone[:, 0])


def test_cadence_direction_and_price_position_are_correct() -> None:
    """One pool by hand: 0.10, after 10 h 0.12, 6 h later 0.11, seen 2 h after that."""
    rows = [
        (LARGE, START_S, 0.10),
        (LARGE, START_S + 10 * HOUR_S, 0.12),
        (LARGE, START_S + 16 * HOUR_S, 0.11),
    ]
    found = at(rows, START_S + 18 * HOUR_S, LARGE)
    expected = {
        "age_h": 2,
        "gap_1_h": 6,
        "age_by_mean_gap": 2 / 6,
        "changes_24h": 2,
        "change_1": np.log(0.11 / 0.12),
        "change_2": np.log(0.12 / 0.10),
        "change_sum_4": np.log(0.11 / 0.10),
        "sign_sum_4": 0,
        "streak": -1,
        "return_6h": np.log(0.11 / 0.12),
        "return_12h": np.log(0.11 / 0.10),
        "position_7d": np.log(0.11 / 0.10) / np.log(0.12 / 0.10),
        "below_high_7d": np.log(0.12 / 0.11),
        "discount": 1 - 0.11 / 0.4,
        "tick_share": 0.0001 / 0.11,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    assert np.isnan(found["gap_2_h"])
    assert np.isnan(found["return_24h"])


def test_group_features_use_the_type_in_other_zones_and_the_family_in_the_zone() -> None:
    """The move of a sibling counts, the pool's own does not."""
    rows = [
        *(
            (pool, START_S, price)
            for pool, price in ((LARGE, 0.1), (XLARGE, 0.2), (ELSEWHERE, 0.1))
        ),
        (XLARGE, START_S + DAY_S, 0.3),
        (ELSEWHERE, START_S + DAY_S, 0.05),
    ]
    found = at(rows, START_S + DAY_S + HOUR_S, LARGE)
    assert found["family_return_24h"] == pytest.approx(np.log(1.5), rel=1e-5)
    assert found["type_return_24h"] == pytest.approx(np.log(0.5), rel=1e-5)
    assert found["family_position_max"] == 1
    assert found["family_price_gap"] == pytest.approx(np.log(0.1 / 0.15), rel=1e-5)
    assert found["type_price_gap"] == pytest.approx(np.log(2), rel=1e-5)
    assert found["family_changed_6h"] == 1


def test_restatements_do_not_count_in_a_feed_that_states_every_price_hourly() -> None:
    """AWS restates a price after a day; an hourly extract states all of them."""
    hourly = [(LARGE, START_S + HOUR_S * h, 0.1) for h in range(100)]
    daily = [(LARGE, START_S + DAY_S * d, 0.1) for d in range(5)]
    assert np.isnan(at(hourly, START_S + 99 * HOUR_S, LARGE)["seen_age_h"])
    assert at(daily, START_S + 99 * HOUR_S, LARGE)["seen_age_h"] == 3


def test_empty_market_and_pool_without_a_price_are_not_errors() -> None:
    """No pools give no rows; a pool's price before its first change is unknown."""
    assert compute_features(PriceChanges(), np.array([AT_S]), {}).values.shape == (
        0,
        1,
        len(FEATURES),
    )
    block = compute_features(merged([(LARGE, AT_S, 0.1)]), np.array([AT_S - 1, AT_S]), {})
    assert np.isnan(block.price[0, 0])
    assert block.price[0, 1] == 0.1
