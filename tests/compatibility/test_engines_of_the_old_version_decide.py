"""A user's engine that was written for version 0.1.0 decides as it did."""

from pathlib import Path

import pytest

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.world import World
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import DecisionKind, Pool
from spot_optimizer.workflow.engines import load_engines
from tests.decision.worlds import CATALOG, HOME, NOW, REGION, ZONES, market, workload

OLD = """
from spot_optimizer.decision.engines.staged import StagedEngine
from spot_optimizer.decision.found import Found, Stage
from spot_optimizer.decision.model import Candidate
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.situation import Situation
from spot_optimizer.words import DecisionKind, Lifecycle

class Thrifty:
    name = "thrifty"
    def judge(self, situation: Situation) -> Outcome:
        return Outcome(DecisionKind.STAY, 4, f"costs {situation.cost_usd_per_hour:.2f}")

class OnDemand:
    name = "cautious"
    def judge(self, situation):
        workload, price = situation.workload, situation.home_on_demand_usd_per_hour
        target = Candidate(
            instance_type=situation.home.name,
            availability_zone=workload.availability_zone,
            lifecycle=Lifecycle.ON_DEMAND,
            subnet_id=workload.subnets[workload.availability_zone],
            price_usd_per_hour=price,
            discount_points=0.0,
            risk=0.0,
        )
        assert target.price_usd_per_hour == price
        return Outcome(DecisionKind.FALLBACK, 6, "on-demand is safer", candidates=(target,))
"""
ENTRY_POINTS = """
[spot_optimizer.engines]
thrifty = old_engines:Thrifty
cautious = old_engines:OnDemand
"""


@pytest.fixture
def old_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip leaves of the user's package."""
    (tmp_path / "old_engines.py").write_text(OLD)
    info = tmp_path / "old_engines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: old_engines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("old_engines")
@pytest.mark.parametrize(
    ("engine", "kind", "reason"),
    [
        ("thrifty", DecisionKind.STAY, "costs 0."),
        ("cautious", DecisionKind.FALLBACK, "on-demand is safer"),
    ],
)
def test_engine_with_old_imports_and_attributes_decides(
    engine: str, kind: DecisionKind, reason: str
) -> None:
    """Modules, classes and attributes are found by the names of version 0.1.0."""
    view = workload(settings=Settings(engine=engine))
    prices = market({Pool(HOME, ZONES[0]): 0.08})
    (decision,) = decide(
        World((view,), prices, CATALOG), NOW, region=REGION, engines=load_engines([engine])
    )
    assert not decision.alarm, decision.reason
    assert decision.kind is kind
    assert decision.reason.startswith(reason)
