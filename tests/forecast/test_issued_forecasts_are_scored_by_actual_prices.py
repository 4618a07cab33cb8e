"""An issued forecast is scored by actual prices when its horizon has ended: once per horizon, never
early."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState
from spot_optimizer.forecast.accuracy_of_past_forecasts import (
    AccuracySums,
    Actuals,
    score_forecasts,
)
from spot_optimizer.forecast.forecaster import Forecast
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts, issue_forecasts
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.forecast.score_history import (
    CHANGES_MIN,
    SCORING_GIVE_UP_S,
    ScoreHistory,
    day_of,
    find_weaknesses,
)
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import HOUR_S, Pool

DAY_S = 24 * HOUR_S
START_S = 1_700_006_400
POOLS = (Pool("m5.large", "us-east-1a"), Pool("c5.large", "us-east-1b"))
MADE_S = START_S + 20 * HOUR_S

prices = st.floats(0.001, 10.0).map(lambda price: round(price, 4))


def market(*rows: tuple[int, int, float]) -> PriceChanges:
    """Rows: pool number, hours since the start, price."""
    received = [(POOLS[pool], START_S + int(hour * HOUR_S), price) for pool, hour, price in rows]
    return PriceChanges().merge(received, {})[0]


def issued_alike(model: str, price: list[float], mean: list[float], band: float) -> IssuedForecasts:
    """The same forecast at every horizon: ``mean``, and an interval of ``mean`` / and x ``band``."""
    shape = (1, len(HORIZONS_H), len(price))
    center = np.broadcast_to(np.array(mean), shape)
    return IssuedForecasts(
        made_s=MADE_S,
        models=(model,),
        pools=POOLS[: len(price)],
        price=np.array(price),
        low=center / band,
        median=center,
        high=center * band,
        mean=center,
        change=np.full(shape, 0.25),
        instability=np.full((1, len(price)), 0.5),
    )


def test_figures_follow_their_definitions() -> None:
    """Two pools, one moved by 10 % within six hours: every figure is computed by hand."""
    changes = market((0, 0, 0.10), (1, 0, 0.20), (0, 23, 0.11))
    issued = issued_alike("mine", [0.10, 0.20], [0.11, 0.20], 1.05)
    (sums,) = score_forecasts(issued, changes, 1, MADE_S + 6 * HOUR_S).values()
    figures = sums.figures()
    assert (figures["forecasts"], figures["changed"]) == (2, 1)
    assert figures["skill"] == pytest.approx(1.0)
    assert figures["coverage"] == figures["coverage_of_changes"] == 1.0
    assert figures["change_brier"] == pytest.approx((0.75**2 + 0.25**2) / 2)
    assert figures["change_base_rate"] == 0.5
    assert "instability_brier" not in figures, "a rise within 12 h counts at the horizon of 12 h"
    (at_12,) = score_forecasts(issued, changes, 2, MADE_S + 12 * HOUR_S).values()
    assert at_12.figures()["instability_brier"] == pytest.approx(0.25)
    assert at_12.figures()["instability_base_rate"] == 0.5
    with pytest.raises(ValueError, match="before the horizon's end"):
        score_forecasts(issued, changes, 1, MADE_S + 6 * HOUR_S - 1)


@given(st.lists(prices, min_size=2, max_size=2), st.lists(prices, min_size=2, max_size=2))
def test_last_price_has_skill_zero(before: list[float], after: list[float]) -> None:
    """The yardstick measures itself as 0, whatever the prices did."""
    rows = [(n, hour, p) for hour, part in ((0, before), (21, after)) for n, p in enumerate(part)]
    changes = market(*rows)
    issued = issue_forecasts(changes, MADE_S, {"last-price": LastPrice()})
    (sums,) = score_forecasts(issued, changes, 1, MADE_S + 6 * HOUR_S).values()
    assert sums.squared == sums.squared_last
    assert sums.skill in (None, 0.0)
    assert not sums.change_forecasts
    assert not sums.rise_forecasts


@given(st.lists(prices, min_size=4, max_size=40), st.floats(1.0, 1.5), st.integers(0, 2**32 - 1))
def test_sums_of_parts_add_up_to_the_sums_of_the_whole(
    price: list[float], band: float, seed: int
) -> None:
    """Scoring pools separately, or adding days, gives the sums of scoring all at once."""
    chance = np.random.default_rng(seed)
    now = np.array(price)
    mean = now * np.exp(chance.normal(0, 0.05, len(now)))
    forecast = Forecast(mean / band, mean, mean * band, mean)
    actual = Actuals(
        now * np.exp(chance.normal(0, 0.05, len(now))),
        chance.integers(0, 2, len(now)).astype(float),
        np.where(chance.random(len(now)) < 0.3, np.nan, 1.0),
    )
    change, rise = chance.random(len(now)), chance.random(len(now))
    whole = AccuracySums.of(now, forecast, change, rise, actual)
    parts = AccuracySums()
    for part in np.array_split(np.arange(len(now)), 3):
        parts += AccuracySums.of(
            now[part],
            Forecast(
                forecast.p05[part], forecast.p50[part], forecast.p95[part], forecast.mean[part]
            ),
            change[part],
            rise[part],
            Actuals(actual.price[part], actual.changed[part], actual.rose[part]),
        )
    assert parts.to_json() == pytest.approx(whole.to_json())
    assert whole.covered <= whole.forecasts
    assert whole.covered_changed <= whole.changed <= whole.forecasts


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_stored_forecasts_round_trip(seed: int) -> None:
    """Names and pools stay the same, figures to single precision, so that an interval that ends on
    a price still contains it."""
    chance = np.random.default_rng(seed)
    price = np.round(chance.uniform(0.001, 20, 2), 4)
    issued = issued_alike("mine", price.tolist(), price.tolist(), 1.0)
    back = IssuedForecasts.from_bytes(issued.to_bytes())
    assert (back.made_s, back.models, back.pools) == (MADE_S, ("mine",), POOLS)
    np.testing.assert_array_equal(back.price, issued.price)
    changes = market((0, 0, float(price[0])), (1, 0, float(price[1])))
    (sums,) = score_forecasts(back, changes, 3, MADE_S + DAY_S).values()
    assert sums.covered == 2
    with pytest.raises(DamagedState):
        IssuedForecasts.from_bytes(issued.to_bytes()[:-40])


def test_removed_and_new_pools_are_not_scored() -> None:
    """Only pools that were forecast and are still collected count."""
    issued = issued_alike("mine", [0.1, 0.2], [0.1, 0.2], 1.1)
    (sums,) = score_forecasts(issued, market((0, 0, 0.1)), 0, MADE_S + HOUR_S).values()
    assert sums.forecasts == 1


hours_later = st.lists(st.integers(1, 400), min_size=1, max_size=60)


@given(hours_later)
def test_every_horizon_of_every_hour_is_scored_once_and_never_early(steps: list[int]) -> None:
    """With any time between cycles, outages included: what is scored was due, it is scored once,
    and what could not be scored for three days is given up."""
    history, now_s, closed = ScoreHistory(), START_S, []
    for step in steps:
        now_s += step * 600
        for made_s, ended in list(history.due(now_s)):
            for hours in ended:
                assert made_s + hours * HOUR_S <= now_s
                closed.append((made_s, hours))
                history = history.with_scores(made_s, hours, {"m": AccuracySums(forecasts=1)})
        if history.needs_forecasts(now_s):
            history = history.with_issued(now_s)
        history = ScoreHistory.from_bytes(history.pruned(now_s).to_bytes())
        assert all(now_s - made_s < DAY_S + SCORING_GIVE_UP_S for made_s in history.open)
        assert len({made_s // HOUR_S for made_s in history.open}) == len(history.open)
    assert len(closed) == len(set(closed))
    still_open = {(made_s, hours) for made_s, left in history.open.items() for hours in left}
    assert not still_open & set(closed)
    recent = {day_of(made_s + hours * HOUR_S) for made_s, hours in closed}
    assert set(history.days) <= recent
    assert sum(s.forecasts for s in history.window("m").values()) <= len(closed)


def test_sums_are_stored_under_the_names_that_version_0_1_0_reads() -> None:
    """Version 0.1.0 refuses unknown names; names of the attributes are read too."""
    sums = AccuracySums(forecasts=3, change_forecasts=2, rise_forecasts=1)
    stored = sums.to_json()
    assert (stored["change_told"], stored["rise_told"]) == (2, 1)
    assert AccuracySums.from_json(stored) == AccuracySums.from_json(vars(sums)) == sums
    with pytest.raises(TypeError):
        AccuracySums.from_json({**stored, "unknown": 1.0})


BAD = AccuracySums(
    forecasts=1_000,
    squared=2.0,
    squared_last=1.0,
    changed=CHANGES_MIN,
    covered_changed=0.5 * CHANGES_MIN,
)


def test_each_weak_figure_makes_a_model_weak() -> None:
    """Skill, coverage and the probability of a change each suffice; the reason names horizon and
    figure."""
    good = replace(BAD, squared=0.5, covered_changed=0.9 * CHANGES_MIN)
    assert find_weaknesses({6: good}, ()) == ()
    (reason,) = find_weaknesses({6: replace(good, squared=1.06)}, ())
    assert reason == "at 6 h the last price is better: skill -0.060"
    (reason,) = find_weaknesses({24: replace(good, covered_changed=0.7 * CHANGES_MIN)}, ())
    assert reason == "at 24 h the 90 % interval contained 70 % of the changed prices"
    coin = replace(good, change_forecasts=1_000, change_happened=100, change_brier=100)
    (reason,) = find_weaknesses({1: coin}, ())
    assert reason.startswith("at 1 h the base rate predicts changes better")


def test_too_few_changes_give_no_rating() -> None:
    """A calm market is not enough to rate a model."""
    assert len(find_weaknesses({6: BAD}, ())) == 2
    assert find_weaknesses({6: replace(BAD, changed=CHANGES_MIN - 1)}, ()) == ()


def test_figure_near_its_limit_does_not_alert_every_hour() -> None:
    """A model is weak below one limit, and good again only above a higher one."""
    edge = replace(BAD, squared=1.03, covered_changed=0.77 * CHANGES_MIN)
    assert find_weaknesses({6: edge}, ()) == ()
    assert len(find_weaknesses({6: edge}, ("bad before",))) == 2
    good = replace(BAD, squared=0.99, covered_changed=0.81 * CHANGES_MIN)
    assert find_weaknesses({6: good}, ("bad before",)) == ()
