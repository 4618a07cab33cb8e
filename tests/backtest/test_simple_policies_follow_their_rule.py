"""Each simple policy on a market of a few hours, hour by hour."""

import pytest

from backtest.policies.simple import SIMPLE_POLICIES
from tests.backtest.replays import by_hand

POLICIES = {policy.name: policy for policy in SIMPLE_POLICIES}
ON_DEMAND = 2
"""The place after two pools."""


def _way(name: str, *args: object, **kwargs: object) -> tuple[list[int], int]:
    starts = by_hand(*args, **kwargs)  # type: ignore[arg-type]
    paths = POLICIES[name].paths(starts)
    return paths.place[0].tolist(), int((paths.left >= 0).sum())


@pytest.mark.parametrize(
    ("name", "way", "switches"),
    [
        ("always on-demand", [ON_DEMAND] * 4, 0),
        ("stay on the first pool", [0, 0, 0, 0], 0),
        ("cheapest now", [1, 1, 0, ON_DEMAND], 3),
        ("cheapest now with hysteresis", [0, 0, 0, ON_DEMAND], 1),
    ],
)
def test_rules_move_when_they_say(name: str, way: list[int], switches: int) -> None:
    """Two pools within 4 % of each other, then both more expensive than on-demand."""
    prices = [[0.050, 0.048], [0.050, 0.048], [0.047, 0.048], [0.120, 0.130]]
    assert _way(name, prices, 0.10, first=0) == (way, switches)


def test_an_interrupted_pool_is_not_entered_at_once_but_by_who_stays() -> None:
    """Greedy goes next door without a switch and comes back; who stays is launched where it was."""
    prices = [[0.03, 0.05]] * 3
    assert _way("cheapest now", prices, 0.10, first=0, hits={0: 0}) == ([0, 1, 0], 1)
    assert _way("stay on the first pool", prices, 0.10, first=0, hits={0: 0}) == ([0, 0, 0], 0)


def test_hotspot_moves_for_what_lasts_long_enough() -> None:
    """Ten hours between changes: 0.0004 a hour does not earn a switch of 0.0100, 0.0030 does, and
    the way back waits until the former switch has earned enough of its cost."""
    small, large = [[0.050, 0.0496]] * 2, [[0.050, 0.047]] * 2
    assert _way("HotSpot's rule", small, 0.10, first=0)[0] == [0, 0]
    assert _way("HotSpot's rule", large, 0.10, first=0)[0] == [1, 1]
    back = [[0.050, 0.047], [0.0455, 0.047], [0.0455, 0.047]]
    assert _way("HotSpot's rule", back, 0.10, first=0)[0] == [1, 1, 0]


def test_price_capacity_moves_by_launches_alone() -> None:
    """It begins in the pool that is least interrupted, and moves when it is interrupted."""
    prices = [[0.03, 0.05], [0.03, 0.20], [0.03, 0.20]]
    way = _way("price-capacity-like", prices, 0.10, first=0, rates=[0.1, 0.01])
    assert way == ([1, 1, 1], 1)
    hit = _way("price-capacity-like", prices, 0.10, first=0, rates=[0.1, 0.01], hits={0: 1})
    assert hit == ([1, 0, 0], 1)
