"""Decisions explained as the archive would have kept them."""

from dataclasses import replace

from spot_optimizer.decision.engine import table_of
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.explaining.explanation import Explanation, explain
from spot_optimizer.decision.explaining.what_if import Case
from spot_optimizer.decision.kept_inputs import (
    KeptInputs,
    SettingLayers,
    inputs_from_bytes,
    inputs_to_bytes,
    parameters_of,
)
from spot_optimizer.decision.world import WorkloadView, World
from spot_optimizer.market.snapshot import MarketSnapshot
from tests.decision.worlds import CATALOG, NOW, REGION, Facts, market


def kept(world: World, layers: SettingLayers) -> KeptInputs:
    """A cycle's inputs, written and read again."""
    data = inputs_to_bytes(
        world, NOW, REGION, market_id="market", catalog_id="catalog", layers=layers
    )
    return inputs_from_bytes(data)


def explained(view: WorkloadView, pools: Facts | MarketSnapshot, **world: object) -> Explanation:
    """One workload's decision, from all sides."""
    snapshot = pools if isinstance(pools, MarketSnapshot) else market(pools)
    whole = World((view,), snapshot, CATALOG, **world)  # type: ignore[arg-type]
    layers = SettingLayers(parameters=parameters_of(view.settings))
    return explain(kept(whole, layers), snapshot, CATALOG, view.workload_id, BUILT_IN)


def case_of(view: WorkloadView, pools: Facts | MarketSnapshot) -> Case:
    """The same to try things with."""
    snapshot = pools if isinstance(pools, MarketSnapshot) else market(pools)
    table = table_of(World((view,), snapshot, CATALOG), NOW, REGION)
    assert table is not None
    return Case(view, table, NOW, BUILT_IN)


def judged_by(view: WorkloadView, engine: str) -> WorkloadView:
    """The workload with another engine."""
    return replace(view, settings=replace(view.settings, engine=engine))
