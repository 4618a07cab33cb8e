"""The clairvoyant optimum equals the best of all ways, tried one by one."""

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.billing import Terms, bill
from backtest.clairvoyant import optimum

CENTS = st.integers(1, 9)
Case = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], Terms, int]
"""Prices (T, K + 1) whose last column is on-demand, two draws of hits, terms, and where it begins."""


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    """Prices (T, K + 1) whose last column is on-demand, two draws of hits, terms, and where it begins."""
    hours, pools = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    spot = [[draw(CENTS) for _ in range(pools)] for _ in range(hours)]
    price = np.hstack((np.array(spot, float), np.full((hours, 1), float(draw(CENTS)))))
    hits = np.zeros((2, hours, pools + 1), bool)
    hits[:, :, :-1] = [
        [[draw(st.booleans()) for _ in range(pools)] for _ in range(hours)] for _ in range(2)
    ]
    tenths = st.integers(0, 10)
    terms = Terms(draw(tenths) / 10, draw(tenths) / 10, float(draw(st.sampled_from([0, 1, 5]))))
    return price, hits, terms, draw(st.integers(0, pools))


def _cost(
    price: np.ndarray, hits: np.ndarray, terms: Terms, first: int, way: tuple[int, ...]
) -> float:
    """What one way costs, counted hour by hour; a switch is billed in full, none after a hit."""
    here, usd, free, on_demand = first, 0.0, False, price[0, -1]
    for hour, place in enumerate(way):
        if place != here and not free:
            usd += terms.overlap_hours * price[hour, here] + terms.lost_hours * on_demand
        here = place
        usd += price[hour, here]
        free = bool(hits[hour, here])
        if free:
            usd += terms.interruption_hours * on_demand
    return float(usd)


@settings(max_examples=150, deadline=None)
@given(_cases())
def test_it_costs_what_the_best_of_all_ways_costs(case: Case) -> None:
    """Through every hour and place, interruptions seen; and its path costs what it says."""
    price, hits, terms, first = case
    ways = list(product(range(price.shape[1]), repeat=len(price)))
    least = [min(_cost(price, one, terms, first, way) for way in ways) for one in hits]
    best = optimum(price, price, hits, price[0, -1], terms)
    assert best.rest_usd[:, first] == pytest.approx(least)
    paths = best.paths(first, hits)
    hours = np.tile(np.arange(len(price)), (2, 1))
    hit = np.take_along_axis(hits, paths.place[:, :, None], axis=2)[:, :, 0]
    billed = bill(paths, hours, price, price, hit, price[0, -1], terms)
    assert billed.total.sum(axis=1) == pytest.approx(least)


@settings(max_examples=80, deadline=None)
@given(_cases())
def test_blind_it_is_the_best_without_interruptions(case: Case) -> None:
    """Who does not see them plans as if there were none."""
    price, hits, terms, first = case
    none = np.zeros_like(hits[0])
    ways = product(range(price.shape[1]), repeat=len(price))
    least = min(_cost(price, none, terms, first, way) for way in ways)
    best = optimum(price, price, None, price[0, -1], terms)
    assert best.rest_usd[0, first] == pytest.approx(least)


def test_a_place_without_a_price_is_not_entered() -> None:
    """NaN is no bargain."""
    price = np.array([[np.nan, 2.0, 3.0], [1.0, 2.0, 3.0]])
    best = optimum(price, price, None, 3.0, Terms(0.0, 0.0, 0.0))
    paths = best.paths(2, np.zeros((1, 2, 3), bool))
    assert paths.place.tolist() == [[1, 0]]
    assert best.rest_usd[0, 2] == 3.0
