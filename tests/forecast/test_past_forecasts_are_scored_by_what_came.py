"""A forecast is scored by what came, when its time has come: once, per horizon, never before."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState
from spot_optimizer.forecast.accuracy import (
    Came,
    Sums,
    score,
)
from spot_optimizer.forecast.forecaster import Forecast
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts, issue_forecasts
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.forecast.score_history import (
    CHANGES_MIN,
    GIVEN_UP_S,
    ScoreBook,
    day_of,
    judge,
)
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import HOUR_S, Pool

DAY_S = 24 * HOUR_S
START_S = 1_700_006_400
POOLS = (Pool("m5.large", "us-east-1a"), Pool("c5.large", "us-east-1b"))
MADE_S = START_S + 20 * HOUR_S

prices = st.floats(0.001, 10.0).map(lambda price: round(price, 4))


def market(*rows: tuple[int, int, float]) -> PriceChanges:
    """Pool number, hours since the start, price."""
    received = [(POOLS[pool], START_S + int(hour * HOUR_S), price) for pool, hour, price in rows]
    return PriceChanges().merge(received, {})[0]


def said_alike(model: str, price: list[float], mean: list[float], band: float) -> IssuedForecasts:
    """The same at every horizon: ``mean`` and an interval of ``band`` times up and down."""
    shape = (1, len(HORIZONS_H), len(price))
    centre = np.broadcast_to(np.array(mean), shape)
    return IssuedForecasts(
        made_s=MADE_S,
        models=(model,),
        pools=POOLS[: len(price)],
        price=np.array(price),
        low=centre / band,
        median=centre,
        high=centre * band,
        mean=centre,
        change=np.full(shape, 0.25),
        instability=np.full((1, len(price)), 0.5),
    )


def test_figures_are_those_of_the_definition():
    """Two pools, one that moved by 10 % within six hours: every figure counted by hand."""
    changes = market((0, 0, 0.10), (1, 0, 0.20), (0, 23, 0.11))
    issued = said_alike("mine", [0.10, 0.20], [0.11, 0.20], 1.05)
    (sums,) = score(issued, changes, 1, MADE_S + 6 * HOUR_S).values()
    found = sums.figures()
    assert (found["forecasts"], found["changed"]) == (2, 1)
    assert found["skill"] == pytest.approx(1.0)
    assert found["coverage"] == found["coverage_of_changes"] == 1.0
    assert found["change_brier"] == pytest.approx((0.75**2 + 0.25**2) / 2)
    assert found["change_base_rate"] == 0.5
    assert "instability_brier" not in found, "a rise within 12 h belongs to the horizon of 12 h"
    (at_12,) = score(issued, changes, 2, MADE_S + 12 * HOUR_S).values()
    assert at_12.figures()["instability_brier"] == pytest.approx(0.25)
    assert at_12.figures()["instability_base_rate"] == 0.5
    with pytest.raises(ValueError, match="before the horizon's end"):
        score(issued, changes, 1, MADE_S + 6 * HOUR_S - 1)


@given(st.lists(prices, min_size=2, max_size=2), st.lists(prices, min_size=2, max_size=2))
def test_the_last_price_has_no_skill_and_no_lack_of_it(before, after):
    """Whatever came: the yardstick measures itself as 0."""
    rows = [(n, hour, p) for hour, part in ((0, before), (21, after)) for n, p in enumerate(part)]
    changes = market(*rows)
    issued = issue_forecasts(changes, MADE_S, {"last-price": LastPrice()})
    (sums,) = score(issued, changes, 1, MADE_S + 6 * HOUR_S).values()
    assert sums.squared == sums.squared_last
    assert sums.skill in (None, 0.0)
    assert not sums.change_told
    assert not sums.rise_told


@given(st.lists(prices, min_size=4, max_size=40), st.floats(1.0, 1.5), st.integers(0, 2**32 - 1))
def test_sums_of_parts_are_the_sums_of_the_whole(price, band, seed):
    """Pools scored apart, or days added up, give what one look at all would."""
    chance = np.random.default_rng(seed)
    now = np.array(price)
    mean = now * np.exp(chance.normal(0, 0.05, len(now)))
    said = Forecast(mean / band, mean, mean * band, mean)
    came = Came(
        now * np.exp(chance.normal(0, 0.05, len(now))),
        chance.integers(0, 2, len(now)).astype(float),
        np.where(chance.random(len(now)) < 0.3, np.nan, 1.0),
    )
    change, rise = chance.random(len(now)), chance.random(len(now))
    whole = Sums.of(now, said, change, rise, came)
    parts = Sums()
    for part in np.array_split(np.arange(len(now)), 3):
        parts += Sums.of(
            now[part],
            Forecast(*(column[part] for column in (said.p05, said.p50, said.p95, said.mean))),
            change[part],
            rise[part],
            Came(came.price[part], came.changed[part], came.rose[part]),
        )
    assert parts.to_json() == pytest.approx(whole.to_json())
    assert whole.covered <= whole.forecasts
    assert whole.covered_changed <= whole.changed <= whole.forecasts


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_what_is_kept_is_what_was_said(seed):
    """Through bytes and back: names and pools as they were, figures to single precision, so that no
    interval that ends on a price loses it."""
    chance = np.random.default_rng(seed)
    price = np.round(chance.uniform(0.001, 20, 2), 4)
    issued = said_alike("mine", price.tolist(), price.tolist(), 1.0)
    back = IssuedForecasts.from_bytes(issued.to_bytes())
    assert (back.made_s, back.models, back.pools) == (MADE_S, ("mine",), POOLS)
    np.testing.assert_array_equal(back.price, issued.price)
    changes = market((0, 0, float(price[0])), (1, 0, float(price[1])))
    (sums,) = score(back, changes, 3, MADE_S + DAY_S).values()
    assert sums.covered == 2
    with pytest.raises(DamagedState):
        IssuedForecasts.from_bytes(issued.to_bytes()[:-40])


def test_a_pool_that_is_gone_or_new_is_left_out():
    """Only what was foretold and is still collected counts."""
    issued = said_alike("mine", [0.1, 0.2], [0.1, 0.2], 1.1)
    (sums,) = score(issued, market((0, 0, 0.1)), 0, MADE_S + HOUR_S).values()
    assert sums.forecasts == 1


hours_later = st.lists(st.integers(1, 400), min_size=1, max_size=60)


@given(hours_later)
def test_every_horizon_of_every_hour_is_scored_once_and_never_early(steps):
    """Cycles at any distance, outages among them: what is closed was due, what is due is closed once,
    and what could not be scored for three days is given up."""
    book, now_s, closed = ScoreBook(), START_S, []
    for step in steps:
        now_s += step * 600
        for made_s, come in list(book.due(now_s)):
            for hours in come:
                assert made_s + hours * HOUR_S <= now_s
                closed.append((made_s, hours))
                book = book.closed(made_s, hours, {"m": Sums(forecasts=1)})
        if book.is_due(now_s):
            book = book.opened(now_s)
        book = ScoreBook.from_bytes(book.tidied(now_s).to_bytes())
        assert all(now_s - made_s < DAY_S + GIVEN_UP_S for made_s in book.open)
        assert len({made_s // HOUR_S for made_s in book.open}) == len(book.open)
    assert len(closed) == len(set(closed))
    still_open = {(made_s, hours) for made_s, left in book.open.items() for hours in left}
    assert not still_open & set(closed)
    recent = {day_of(made_s + hours * HOUR_S) for made_s, hours in closed}
    assert set(book.days) <= recent
    assert sum(s.forecasts for s in book.window("m").values()) <= len(closed)


BAD = Sums(
    forecasts=1_000,
    squared=2.0,
    squared_last=1.0,
    changed=CHANGES_MIN,
    covered_changed=0.5 * CHANGES_MIN,
)


def test_a_model_is_found_wanting_by_each_figure_on_its_own():
    """Skill, coverage and the probability of a change each tell, with horizon and figure."""
    good = replace(BAD, squared=0.5, covered_changed=0.9 * CHANGES_MIN)
    assert judge({6: good}, ()) == ()
    (reason,) = judge({6: replace(good, squared=1.06)}, ())
    assert reason == "at 6 h the last price is better: skill -0.060"
    (reason,) = judge({24: replace(good, covered_changed=0.7 * CHANGES_MIN)}, ())
    assert reason == "at 24 h the 90 % interval held 70 % of the changed prices"
    coin = replace(good, change_told=1_000, change_happened=100, change_brier=100)
    (reason,) = judge({1: coin}, ())
    assert reason.startswith("at 1 h the base rate tells changes better")


def test_too_few_changes_tell_nothing():
    """A calm market is no verdict."""
    assert len(judge({6: BAD}, ())) == 2
    assert judge({6: replace(BAD, changed=CHANGES_MIN - 1)}, ()) == ()


def test_a_figure_on_the_edge_does_not_alert_every_hour():
    """Found wanting below one threshold, good again above a higher one."""
    edge = replace(BAD, squared=1.03, covered_changed=0.77 * CHANGES_MIN)
    assert judge({6: edge}, ()) == ()
    assert len(judge({6: edge}, ("bad before",))) == 2
    good = replace(BAD, squared=0.99, covered_changed=0.81 * CHANGES_MIN)
    assert judge({6: good}, ("bad before",)) == ()
