"""``risk_score``: safe, with caution, avoid; the cheapest of the best class."""

from dataclasses import replace

import numpy as np
import pytest

from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engines.risk_score import classes
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import ACTING, HERE, Facts, decide_one, target_of, workload

B, C = "us-east-1b", "us-east-1c"
ONE, TWO = Pool("m5.xlarge", B), Pool("m5a.xlarge", C)
SETTINGS = replace(ACTING, engine="risk_score")
SAFE, CAUTION, AVOID = 0, 2, 4
"""Spot Advisor buckets that give about 0.9, 0.6 and 0.3 to a pool with a calm week."""


def _decide(pools: Facts, **changes: object) -> Decision:
    return decide_one(workload(settings=SETTINGS, **changes), pools)


def _pool(price: float, bucket: int) -> dict[str, float]:
    return {"price": price, "advisor_bucket": bucket}


def test_the_borders_belong_to_caution() -> None:
    """Above 0.65 is safe, below 0.40 to be avoided."""
    scores = np.array([0.39, 0.40, 0.65, 0.66])
    assert classes(scores).tolist() == [0, 1, 1, 2]


def test_a_pool_to_be_avoided_is_not_entered() -> None:
    """At no price, and the record says its score."""
    decision = _decide({HERE: _pool(0.09, SAFE), ONE: _pool(0.01, AVOID)})
    assert decision.kind is DecisionKind.STAY
    assert decision.rejected_counts["to be avoided"] == 1
    assert "score 0.34 (avoid)" in decision.rejected[0].reason


def test_the_safer_class_comes_before_the_lower_price() -> None:
    """A safe pool is taken although a pool with caution costs less; of two safe ones the cheaper."""
    pools = {HERE: _pool(0.09, CAUTION), ONE: _pool(0.03, CAUTION), TWO: _pool(0.05, SAFE)}
    decision = _decide(pools)
    assert target_of(decision) == TWO
    assert [c.instance_type for c in decision.candidates] == ["m5a.xlarge", "m5.xlarge"]
    assert (
        "(safe) at a forecast price of 0.0500 USD per hour, against 0.56 (caution) at 0.0900 here"
        in decision.reason
    )
    pools[ONE] = _pool(0.04, 1)
    assert target_of(_decide(pools)) == ONE


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        (_pool(0.050, SAFE), _pool(0.046, SAFE), DecisionKind.SWITCH),
        (_pool(0.050, SAFE), _pool(0.048, SAFE), DecisionKind.STAY),
        (_pool(0.050, SAFE), _pool(0.010, CAUTION), DecisionKind.STAY),
        (_pool(0.050, CAUTION), _pool(0.0549, SAFE), DecisionKind.SWITCH),
        (_pool(0.050, CAUTION), _pool(0.0552, SAFE), DecisionKind.STAY),
        (_pool(0.050, AVOID), _pool(0.0549, CAUTION), DecisionKind.SWITCH),
        (_pool(0.050, AVOID), _pool(0.060, SAFE), DecisionKind.STAY),
    ],
)
def test_a_move_leads_to_a_better_class_or_a_lower_price(
    here: dict[str, float], there: dict[str, float], kind: DecisionKind
) -> None:
    """Better at 10 % more at most; within the class 3 points cheaper; never to a worse class."""
    assert _decide({HERE: here, ONE: there}).kind is kind


def test_on_demand_is_left_for_a_safe_pool_only() -> None:
    """Caution is no reason to give up what cannot be interrupted."""
    for bucket, kind in ((SAFE, DecisionKind.SWITCH), (CAUTION, DecisionKind.STAY)):
        view = {"lifecycle": Lifecycle.ON_DEMAND}
        assert _decide({ONE: _pool(0.03, bucket)}, **view).kind is kind
