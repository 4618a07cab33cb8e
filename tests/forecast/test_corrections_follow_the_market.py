"""What came of past forecasts corrects probabilities, mean and interval; old lessons fade."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState, pack_columns
from spot_optimizer.forecast.calibration import (
    ALL,
    HALF_LIFE_DAYS,
    Calibration,
    Observed,
    interval_scores,
)
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES, RawForecast
from spot_optimizer.forecast.ticks import moved_ticks, price_after

ROWS = 20_000
H, R = len(HORIZONS_H), len(RISES)


def market(seed=1, rows=ROWS, odds=1.0, slope=1.0, scale=1.0):
    """Forecasts of a market whose odds of a change, slope and scale of moves differ from what the
    model says by these factors; half of the rows are m5, half c5, which moves thrice as much."""
    chance = np.random.default_rng(seed)
    said = chance.uniform(0.05, 0.95, rows)
    truth = odds * said / (1 - said + odds * said)
    changed = (chance.random((H, rows)) < truth).astype(float)
    expected = chance.normal(0, 0.01, rows)
    family = np.where(np.arange(rows) % 2, "m5", "c5")
    wild = np.where(family == "c5", 3.0, 1.0)
    move = changed * (slope * expected + scale * wild * chance.normal(0, 0.01, (H, rows)))
    raw = RawForecast(
        change=np.tile(said, (H, 1)),
        move=np.tile(expected, (H, 1)),
        low=np.full((H, rows), -0.0164),
        median=np.zeros((H, rows)),
        high=np.full((H, rows), 0.0164),
        rise=np.tile(said, (R, 1)),
        step=np.zeros(rows),
    )
    rose = (chance.random((R, rows)) < truth).astype(float)
    price = np.full(rows, 1.0)
    return Observed(raw, price, np.zeros(rows), family, move, changed, rose), truth


def held(seen, calibration, family):
    """Share of the changed rows of a family that the interval of the first horizon holds."""
    chosen = (seen.family == family) & (seen.changed[0] == 1)
    factor = calibration.interval_factor(0, seen.family[chosen])
    low = price_after(seen.price[chosen], factor * moved_ticks(1.0, seen.raw.low[0][chosen]))
    high = price_after(seen.price[chosen], factor * moved_ticks(1.0, seen.raw.high[0][chosen]))
    came = np.exp(seen.move[0][chosen])
    return float(((came >= low - 0.00005) & (came <= high + 0.00005)).mean())


def test_what_was_never_corrected_is_the_models_own_word():
    """Without lessons nothing is changed."""
    seen, _ = market(rows=50)
    blank = Calibration.blank()
    np.testing.assert_allclose(blank.probability(0, seen.raw.change[0]), seen.raw.change[0])
    np.testing.assert_allclose(
        blank.mean_move(seen.raw, 0, seen.return_24h), seen.raw.change[0] * seen.raw.move[0]
    )
    assert (blank.interval_factor(0, seen.family) == 1).all()


def test_probabilities_learn_the_odds_of_the_market():
    """A market with a third of the odds: after the lesson, said and true probability agree."""
    seen, truth = market(odds=1 / 3)
    learned = Calibration.blank().learn(seen)
    for number in (0, H):
        said = learned.probability(number, seen.raw.change[0])
        assert np.abs(said - truth).mean() < 0.02
        assert np.abs(seen.raw.change[0] - truth).mean() > 0.15


def test_the_mean_learns_the_slope_of_the_market():
    """A market that goes only half as far: the forecast comes down most of the way."""
    seen, _ = market(slope=0.5, scale=0.2)
    learned = Calibration.blank().learn(seen)
    ratio = learned.mean_move(seen.raw, 0, seen.return_24h) / (
        seen.raw.change[0] * seen.raw.move[0]
    )
    assert ratio.mean() == pytest.approx(0.6, abs=0.08)


@pytest.mark.parametrize("family", ["m5", "c5"])
def test_the_interval_learns_each_familys_own_width(family):
    """Moves of 1.5 and 4.5 times the size: 90 % of the changes are held in both families."""
    seen, _ = market(scale=1.5)
    learned = Calibration.blank().learn(seen)
    later, _ = market(seed=2, scale=1.5)
    assert held(later, learned, family) == pytest.approx(0.9, abs=0.02)
    assert held(later, Calibration.blank(), family) < 0.8


def test_an_interval_is_not_stretched_beyond_use():
    """Moves of twenty times the size: five times is the most."""
    learned = Calibration.blank().learn(market(scale=20.0)[0])
    assert learned.interval_factor(0, ["m5"])[0] == 5


def test_an_unknown_family_has_the_factor_of_all():
    """A family that was never seen is no error."""
    learned = Calibration.blank().learn(market()[0])
    everyone = learned.interval_factor(0, ["never seen"])[0]
    m5, c5 = learned.interval_factor(0, ["m5", "c5"])
    assert m5 < everyone < c5


def test_lessons_fade_and_new_ones_take_over():
    """After some weeks of another market the first is forgotten."""
    calm, wild = market(scale=1.0)[0], market(scale=4.0)[0]
    learned = Calibration.blank().learn(calm)
    for _ in range(4):
        learned = learned.forget(HALF_LIFE_DAYS).learn(wild)
    assert held(wild, learned, "m5") == pytest.approx(0.9, abs=0.03)
    halved = learned.forget(HALF_LIFE_DAYS)
    np.testing.assert_allclose(halved.said, learned.said / 2)
    np.testing.assert_allclose(halved.scores, learned.scores / 2)


def test_unknown_outcomes_teach_nothing():
    """NaN is not yet known, and counts nowhere."""
    seen, _ = market(rows=100)
    nothing = Observed(
        seen.raw, seen.price, seen.return_24h, seen.family,
        *(np.full(x.shape, np.nan) for x in (seen.move, seen.changed, seen.rose)),
    )  # fmt: skip
    learned = Calibration.blank().learn(nothing)
    for name in ("said", "happened", "gram", "moment", "scores"):
        assert not getattr(learned, name).any(), name


@settings(deadline=None)
@given(st.floats(0.01, 20), st.floats(-0.2, 0), st.floats(0, 0.2), st.floats(-0.3, 0.3))
def test_the_score_is_the_least_factor_that_holds_what_came(dollars, low, high, move):
    """A hair more holds it, a hair less does not (in whole ticks)."""
    price = np.round(np.array([dollars]), 4)
    came = np.round(price * np.exp(move), 4)
    low_, high_ = np.array([low]), np.array([high])
    if came[0] <= 0:
        return
    score = interval_scores(price, low_, high_, np.log(came / price))[0]
    limit = high if came[0] > price[0] else low
    if abs(moved_ticks(price, np.array([limit]))[0]) < 0.01:
        return

    def holds(factor):
        lowest = price_after(price, factor * moved_ticks(price, low_))
        highest = price_after(price, factor * moved_ticks(price, high_))
        return lowest[0] - 1e-9 <= came[0] <= highest[0] + 1e-9

    assert holds(score * 1.0001 + 1e-6)
    if score > 0.001:
        assert not holds(score * 0.9999 - 1e-6)


def test_stored_corrections_come_back_and_damaged_ones_are_refused():
    """The same bytes for the same sums; a table of another shape is named."""
    learned = Calibration.blank().learn(market(rows=500)[0])
    stored = learned.to_bytes()
    assert Calibration.from_bytes(stored).to_bytes() == stored
    assert Calibration.from_bytes(stored).families == (ALL, "c5", "m5")
    columns = {name: np.zeros(3) for name in ("said", "happened", "gram", "moment", "scores")} | {
        "families": np.array(["*"])
    }
    with pytest.raises(DamagedState, match=r"said has shape \(3,\)"):
        Calibration.from_bytes(pack_columns("calibration", 1, columns))


def test_an_interval_that_always_held_is_as_narrow_as_it_gets():
    """Every change was where it was expected: the factor is small, but not zero."""
    blank = Calibration.blank()
    scores = np.zeros_like(blank.scores)
    scores[:, 0, 0] = 1000
    factor = replace(blank, scores=scores).interval_factor(0, ["m5"])
    assert 0 < factor[0] < 0.2
