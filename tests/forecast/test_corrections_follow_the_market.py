"""Corrections of probabilities, mean and interval follow the market, and old lessons fade."""

import io
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState, pack_columns
from spot_optimizer.forecast.calibration import (
    ALL,
    HALF_LIFE_DAYS,
    Calibration,
    LabeledForecasts,
    interval_scores,
)
from spot_optimizer.forecast.daily_lessons import learn_hours
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES, RawForecast
from spot_optimizer.forecast.ticks import moved_ticks, price_after

ROWS = 20_000
H, R = len(HORIZONS_H), len(RISES)


def market(
    seed: int = 1, rows: int = ROWS, odds: float = 1.0, slope: float = 1.0, scale: float = 1.0
) -> tuple[LabeledForecasts, npt.NDArray[np.float64]]:
    """Forecasts in a market whose odds of a change, slope and scale of moves differ from the
    predictions by these factors; half of the rows are m5, half c5, which moves three times as
    much."""
    chance = np.random.default_rng(seed)
    predicted = chance.uniform(0.05, 0.95, rows)
    truth = odds * predicted / (1 - predicted + odds * predicted)
    changed = (chance.random((H, rows)) < truth).astype(float)
    expected = chance.normal(0, 0.01, rows)
    family = np.where(np.arange(rows) % 2, "m5", "c5")
    wild = np.where(family == "c5", 3.0, 1.0)
    move = changed * (slope * expected + scale * wild * chance.normal(0, 0.01, (H, rows)))
    raw = RawForecast(
        change=np.tile(predicted, (H, 1)),
        move=np.tile(expected, (H, 1)),
        low=np.full((H, rows), -0.0164),
        median=np.zeros((H, rows)),
        high=np.full((H, rows), 0.0164),
        rise=np.tile(predicted, (R, 1)),
        step=np.zeros(rows),
    )
    rose = (chance.random((R, rows)) < truth).astype(float)
    price = np.full(rows, 1.0)
    return LabeledForecasts(raw, price, np.zeros(rows), family, move, changed, rose), truth


def held(labeled: LabeledForecasts, calibration: Calibration, family: str) -> float:
    """Share of the changed rows of a family that the interval of the first horizon contains."""
    chosen = (labeled.family == family) & (labeled.changed[0] == 1)
    factor = calibration.interval_factor(0, labeled.family[chosen])
    price, one = labeled.price[chosen], np.ones(1)
    low = price_after(price, factor * moved_ticks(one, labeled.raw.low[0][chosen]))
    high = price_after(price, factor * moved_ticks(one, labeled.raw.high[0][chosen]))
    actual = np.exp(labeled.move[0][chosen])
    return float(((actual >= low - 0.00005) & (actual <= high + 0.00005)).mean())


def test_blank_calibration_corrects_nothing() -> None:
    """Without lessons all predictions stay as they are."""
    labeled, _ = market(rows=50)
    blank = Calibration.blank()
    np.testing.assert_allclose(blank.probability(0, labeled.raw.change[0]), labeled.raw.change[0])
    np.testing.assert_allclose(
        blank.mean_move(labeled.raw, 0, labeled.return_24h),
        labeled.raw.change[0] * labeled.raw.move[0],
    )
    assert (blank.interval_factor(0, labeled.family) == 1).all()


def test_probabilities_learn_the_odds_of_the_market() -> None:
    """In a market with a third of the odds, predicted and true probability agree after the lesson."""
    labeled, truth = market(odds=1 / 3)
    learned = Calibration.blank().learn(labeled)
    for number in (0, H):
        predicted = learned.probability(number, labeled.raw.change[0])
        assert np.abs(predicted - truth).mean() < 0.02
        assert np.abs(labeled.raw.change[0] - truth).mean() > 0.15


def test_mean_learns_the_slope_of_the_market() -> None:
    """In a market with half the moves the mean shrinks most of the way."""
    labeled, _ = market(slope=0.5, scale=0.2)
    learned = Calibration.blank().learn(labeled)
    ratio = learned.mean_move(labeled.raw, 0, labeled.return_24h) / (
        labeled.raw.change[0] * labeled.raw.move[0]
    )
    assert ratio.mean() == pytest.approx(0.6, abs=0.08)


@pytest.mark.parametrize("family", ["m5", "c5"])
def test_interval_learns_each_familys_own_width(family: str) -> None:
    """Moves of 1.5 and 4.5 times the size: the interval contains 90 % of the changes in both
    families."""
    labeled, _ = market(scale=1.5)
    learned = Calibration.blank().learn(labeled)
    later, _ = market(seed=2, scale=1.5)
    assert held(later, learned, family) == pytest.approx(0.9, abs=0.02)
    assert held(later, Calibration.blank(), family) < 0.8


def test_interval_factor_is_limited() -> None:
    """With moves of twenty times the size the factor is five."""
    learned = Calibration.blank().learn(market(scale=20.0)[0])
    assert learned.interval_factor(0, ["m5"])[0] == 5


def test_unknown_family_has_the_factor_of_all_families() -> None:
    """A new family is not an error."""
    learned = Calibration.blank().learn(market()[0])
    everyone = learned.interval_factor(0, ["never seen"])[0]
    m5, c5 = learned.interval_factor(0, ["m5", "c5"])
    assert m5 < everyone < c5


def test_lessons_fade_and_new_ones_take_over() -> None:
    """After some weeks of another market the first is forgotten."""
    calm, wild = market(scale=1.0)[0], market(scale=4.0)[0]
    learned = Calibration.blank().learn(calm)
    for _ in range(4):
        learned = learned.forget(HALF_LIFE_DAYS).learn(wild)
    assert held(wild, learned, "m5") == pytest.approx(0.9, abs=0.03)
    halved = learned.forget(HALF_LIFE_DAYS)
    np.testing.assert_allclose(halved.predicted, learned.predicted / 2)
    np.testing.assert_allclose(halved.scores, learned.scores / 2)


def test_daily_lesson_fades_old_sums_by_a_day_and_weighs_rows_by_hours() -> None:
    """If only every third hour is labeled, each row counts three times."""
    labeled, _ = market(rows=100)
    learned = Calibration.blank().learn(labeled)
    lesson = learn_hours(learned, [labeled], every_h=3)
    faded = 0.5 ** (1 / HALF_LIFE_DAYS)
    for name in ("predicted", "happened", "gram", "moment", "scores"):
        before = getattr(learned, name)
        np.testing.assert_allclose(getattr(lesson, name), (faded + 3) * before, rtol=1e-9)


def test_unknown_outcomes_change_nothing() -> None:
    """NaN is not known yet and does not count."""
    labeled, _ = market(rows=100)
    nothing = LabeledForecasts(
        labeled.raw, labeled.price, labeled.return_24h, labeled.family,
        *(np.full(x.shape, np.nan) for x in (labeled.move, labeled.changed, labeled.rose)),
    )  # fmt: skip
    learned = Calibration.blank().learn(nothing)
    for name in ("predicted", "happened", "gram", "moment", "scores"):
        assert not getattr(learned, name).any(), name


@settings(deadline=None)
@given(st.floats(0.01, 20), st.floats(-0.2, 0), st.floats(0, 0.2), st.floats(-0.3, 0.3))
def test_score_is_the_least_factor_that_contains_the_actual_price(
    dollars: float, low: float, high: float, move: float
) -> None:
    """A slightly larger factor contains it, a slightly smaller one does not (in whole ticks)."""
    price = np.round(np.array([dollars]), 4)
    actual = np.round(price * np.exp(move), 4)
    low_, high_ = np.array([low]), np.array([high])
    if actual[0] <= 0:
        return
    score = interval_scores(price, low_, high_, np.log(actual / price))[0]
    limit = high if actual[0] > price[0] else low
    if abs(moved_ticks(price, np.array([limit]))[0]) < 0.01:
        return

    def holds(factor: float) -> bool:
        lowest = price_after(price, factor * moved_ticks(price, low_))
        highest = price_after(price, factor * moved_ticks(price, high_))
        return bool(lowest[0] - 1e-9 <= actual[0] <= highest[0] + 1e-9)

    assert holds(score * 1.0001 + 1e-6)
    if score > 0.001:
        assert not holds(score * 0.9999 - 1e-6)


def test_stored_calibration_round_trips_and_damage_is_refused() -> None:
    """Equal sums give equal bytes; a table with a different shape is named."""
    learned = Calibration.blank().learn(market(rows=500)[0])
    stored = learned.to_bytes()
    assert Calibration.from_bytes(stored).to_bytes() == stored
    assert Calibration.from_bytes(stored).families == (ALL, "c5", "m5")
    columns = {name: np.zeros(3) for name in ("said", "happened", "gram", "moment", "scores")} | {
        "families": np.array(["*"])
    }
    with pytest.raises(DamagedState, match=r"said has shape \(3,\)"):
        Calibration.from_bytes(pack_columns("calibration", 1, columns))


@pytest.mark.parametrize("value", ["x", np.nan, np.inf, 1])
@pytest.mark.parametrize("name", ["said", "happened", "gram", "moment", "scores"])
def test_stored_calibration_of_other_values_is_refused(name: str, value: object) -> None:
    """Text, whole numbers and what is not finite: the column is named."""
    with np.load(io.BytesIO(Calibration.blank().to_bytes())) as archive:
        columns = {key: archive[key] for key in archive.files if key != "form"}
    columns[name] = np.full(columns[name].shape, value)
    with pytest.raises(DamagedState, match=f"{name}: allowed are finite"):
        Calibration.from_bytes(pack_columns("calibration", 1, columns))


@pytest.mark.parametrize("families", [np.float64(1), np.zeros(1)])
def test_stored_calibration_without_names_of_families_is_refused(
    families: npt.NDArray[np.float64],
) -> None:
    """A number has no names, and numbers are none."""
    with np.load(io.BytesIO(Calibration.blank().to_bytes())) as archive:
        columns = {key: archive[key] for key in archive.files if key != "form"}
    with pytest.raises(DamagedState, match="families: allowed is a list of names"):
        Calibration.from_bytes(
            pack_columns("calibration", 1, {**columns, "families": np.asarray(families)})
        )


def test_interval_that_always_contained_the_price_gets_the_least_factor() -> None:
    """The factor is small, but not zero."""
    blank = Calibration.blank()
    scores = np.zeros_like(blank.scores)
    scores[:, 0, 0] = 1000
    factor = replace(blank, scores=scores).interval_factor(0, ["m5"])
    assert 0 < factor[0] < 0.2
