"""Every cell of the truth table: states x usage x flags x what one other pool offers.

The oracle below is the table in plain Python, over words instead of prices.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

import pytest

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    HOME_ON_DEMAND,
    NOW,
    REGION,
    market,
    over_provisioned,
    target_of,
    under_provisioned,
    workload,
)

MIDDLE, SAFER, RISKIER = 2, 0, 3
"""Spot Advisor buckets: 0.30 less risk and 0.15 more risk than the middle."""


@dataclass(frozen=True)
class Here:
    """The current pool: its word in the table and its facts. ``discount`` is 0 on-demand."""

    state: str
    discount: float
    facts: dict[str, float]
    signalled: bool = False


@dataclass(frozen=True)
class Offer:
    """One other pool: its type, its gain in points against the current place, and its facts."""

    type_name: str
    gain: float
    facts: dict[str, float]
    size: str = "same"
    risk: str = "same"
    safe: bool = True
    confirmed: bool = True


HERES = {
    "on-demand": Here("on-demand", 0, {}),
    "acceptable": Here("acceptable", 60, {}),
    "expensive": Here("expensive", 40, {}),
    "signalled": Here("unbearable", 60, {}, signalled=True),
    "spiking": Here("unbearable", 40, {"forecast_p95": HOME_ON_DEMAND}),
    "spiking and not safe": Here("unbearable", 40, {"forecast_p95": 0.2, "instability": 0.9}),
    "volatile": Here("not safe", 60, {"rise_volatility_24h": 0.2}),
    "unstable": Here("not safe", 20, {"instability": 0.9}),
    "often interrupted": Here("not safe", 60, {"advisor_bucket": 4}),
    "without history": Here("not safe", 60, {"rise_volatility_24h": float("nan")}),
}
OFFERS = {
    "much cheaper": Offer("m5.xlarge", 5, {}),
    "just cheaper enough": Offer("m5.xlarge", 3.01, {}),
    "a little cheaper": Offer("m5.xlarge", 2.9, {}),
    "cheaper and riskier": Offer("m5.xlarge", 5, {"advisor_bucket": RISKIER}, risk="more"),
    "safer at the same cost": Offer("m5.xlarge", 0, {"advisor_bucket": SAFER}, risk="less"),
    "safer and more expensive": Offer("m5.xlarge", -1, {"advisor_bucket": SAFER}, risk="less"),
    "much more expensive": Offer("m5.xlarge", -25, {}),
    "larger and cheaper": Offer("m5.2xlarge", 4, {}, size="two up"),
    "one size up, more expensive": Offer("m5.2xlarge", -30, {}, size="two up"),
    "one size up": Offer("m5.2xlarge", 1, {}, size="two up"),
    "smaller and cheaper": Offer("m5.large", 4, {}, size="smaller"),
    "smaller, a little cheaper": Offer("m5.large", 2, {}, size="smaller"),
    "cheaper and volatile": Offer("m5.xlarge", 9, {"rise_volatility_24h": 0.151}, safe=False),
    "cheaper and unstable": Offer("m5.xlarge", 9, {"instability": 0.85}, safe=False),
    "cheaper and often interrupted": Offer("m5.xlarge", 9, {"advisor_bucket": 4}, safe=False),
    "cheaper, lately volatile": Offer(
        "m5.xlarge", 9, {"rise_volatility_worst_recent": 0.3}, confirmed=False
    ),
    "cheaper and new": Offer("m5.xlarge", 9, {"history_s": 1799}, confirmed=False),
    "one size up, lately unstable": Offer(
        "m5.2xlarge", 4, {"instability_worst_recent": 0.9}, size="two up", confirmed=False
    ),
    "foreign": Offer("m6g.xlarge", 9, {}, size="foreign"),
}
USAGES: dict[str, Usage | None] = {
    "right": None,
    "over": over_provisioned(),
    "under": under_provisioned(cpu=True),
}
FLAGS = list(product((True, False), (True, False), (True, False)))


def expected(
    here: Here, offer: Offer, usage: str, flags: tuple[bool, bool, bool], pending: bool
) -> tuple[DecisionKind, int]:
    """Kind and row that the table says."""
    size_up, size_down, fallback = flags
    switch, stay = DecisionKind.SWITCH, DecisionKind.STAY
    enterable = offer.safe and (offer.confirmed or here.state != "on-demand")
    discount = here.discount + offer.gain
    large_enough = offer.size in ("same", "two up") and enterable and discount > 0
    if usage == "under" and size_up and enterable and offer.size == "two up":
        return switch, 1
    if usage == "over" and size_down and enterable and offer.size == "smaller" and offer.gain >= 3:
        return switch, 2
    if here.state == "on-demand":
        return (switch if large_enough else stay), 3
    if here.state == "acceptable":
        cheaper = offer.gain >= 3 and offer.risk != "more"
        safer = offer.risk == "less" and offer.gain >= 0
        return (switch if large_enough and (cheaper or safer) else stay), 4
    if here.state == "expensive":
        return (switch if large_enough and offer.gain >= 3 else stay), 5
    if here.state == "unbearable":
        if large_enough:
            return switch, 6
        at_once = usage == "under" or pending
        return (DecisionKind.FALLBACK if fallback and at_once else stay), 6
    cheap_enough = 100 - discount <= 1.1 * (100 - here.discount)
    return (switch if large_enough and cheap_enough else stay), 7


def _view(
    here: Here, usage: str, flags: tuple[bool, bool, bool], pending: bool, name: str
) -> WorkloadView:
    size_up, size_down, fallback = flags
    return workload(
        workload_id=name,
        lifecycle=Lifecycle.ON_DEMAND if here.state == "on-demand" else Lifecycle.SPOT,
        usage=USAGES[usage],
        signals={HERE: NOW - timedelta(minutes=90)} if here.signalled else {},
        fallback_pending_since=NOW - timedelta(minutes=5) if pending else None,
        settings=replace(
            ACTING,
            allow_rightsize_up=size_up,
            allow_rightsize_down=size_down,
            fallback_to_on_demand=fallback,
            switches_in_flight_max=1000,
        ),
    )


@pytest.mark.parametrize("offer_name", OFFERS)
@pytest.mark.parametrize("here_name", HERES)
def test_the_first_row_that_holds_decides(here_name: str, offer_name: str) -> None:
    """Kind, row and target are those of the table, whatever the usage, the flags and the past."""
    here, offer = HERES[here_name], OFFERS[offer_name]
    there = Pool(offer.type_name, "us-east-1b")
    other_price = (100 - here.discount - offer.gain) * HOME_ON_DEMAND / 100
    pools = {
        HERE: {"price": (100 - here.discount) * HOME_ON_DEMAND / 100, "advisor_bucket": MIDDLE}
        | here.facts,
        there: {"price": other_price, "advisor_bucket": MIDDLE} | offer.facts,
    }
    if here.state == "on-demand":
        del pools[HERE]
    cells = list(product(USAGES, FLAGS, (True, False)))
    views = tuple(
        _view(here, usage, flags, pending, str(i))
        for i, (usage, flags, pending) in enumerate(cells)
    )
    decisions = decide(World(views, market(pools), CATALOG), NOW, region=REGION)
    for decision, (usage, flags, pending) in zip(decisions, cells, strict=True):
        kind, row = expected(here, offer, usage, flags, pending)
        cell = (here_name, offer_name, usage, flags, pending, decision.reason)
        assert (decision.kind, decision.row) == (kind, row), cell
        assert bool(decision.candidates) == (kind is not DecisionKind.STAY), cell
        if kind is DecisionKind.SWITCH:
            assert target_of(decision) == there, cell
            resized = row in (1, 2)
            assert decision.home_type_after == (offer.type_name if resized else HERE[0]), cell
        if kind is DecisionKind.FALLBACK:
            best = decision.candidates[0]
            assert (best.instance_type, best.lifecycle) == (HERE[0], Lifecycle.ON_DEMAND), cell
        waits = row == 6 and kind is DecisionKind.STAY and flags[2]
        assert decision.fallback_pending == waits, cell
        assert decision.urgent == (kind is not DecisionKind.STAY and here.state == "unbearable")
