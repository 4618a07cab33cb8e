"""Step 4 of a cycle: everything that a decision looks at, and the decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.models import ModelLedger
from spot_optimizer.aws.ledger.pool_events import pool_events
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.pool_history import INTERRUPTION_MEMORY, REFUSAL_MEMORY
from spot_optimizer.decision.world import Force, StackState, Trial, World
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.services.decide.inventory import ManagedWorkload
from spot_optimizer.services.decide.throughput import ThroughputBook
from spot_optimizer.services.decide.usage import read_usage
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.engines import load_engines


@dataclass(frozen=True, slots=True)
class Judged:
    """The decisions, and what they were made on."""

    decisions: Sequence[Decision]
    world: World
    market_id: str
    """ETag of the market snapshot; empty if there is none."""
    trial_market_id: str
    """ETag of the trial model's snapshot; empty if none was read."""


def judge(
    workloads: Sequence[ManagedWorkload],
    *,
    all_workloads: bool,
    catalog: Catalog,
    stack: StackState,
    force: dict[str, Force],
    store: DataBucket,
    ledger: Ledger,
    region: str,
    now: datetime,
) -> Judged:
    """Decide about ``workloads``; ``all_workloads``: they are all of the stack's."""
    market, market_id = _read_snapshot(store, keys.MARKET_SNAPSHOT)
    trial, trial_market_id = _read_trial(store, ledger, market)
    usage = read_usage(store, workloads, catalog, now, all_workloads=all_workloads)
    throughput = ThroughputBook(store, now)
    world = World(
        workloads=tuple(
            throughput.known(each.view(usage.usage_of(each.workload_id, now), now))
            for each in workloads
        ),
        market=market,
        catalog=catalog,
        stack=stack,
        force=force,
        refusals=pool_events(ledger, "REFUSED", now, REFUSAL_MEMORY),
        interruptions=pool_events(ledger, "INTERRUPTED", now, INTERRUPTION_MEMORY),
        trial=trial,
    )
    engines = load_engines(each.settings.engine for each in workloads)
    decisions = decide(world, now, region=region, engines=engines)
    if throughput.read_where_it_matters(world.workloads, decisions):
        # Only a decision shows for which workloads throughput matters, and the guards share limits
        # among all, so all are decided again. A workload is read once a day, so that is one more pure
        # pass (0.3 s for 1,000 workloads and 1,500 pools, benchmarks/decide_many.py) in a few cycles.
        world = replace(world, workloads=tuple(map(throughput.known, world.workloads)))
        decisions = decide(world, now, region=region, engines=engines)
    return Judged(decisions, world, market_id, trial_market_id)


def _read_snapshot(store: DataBucket, key: str) -> tuple[MarketSnapshot | None, str]:
    body, etag = store.read_named(key)
    return snapshot_from_bytes(body) if body else None, etag


def _read_trial(
    store: DataBucket, ledger: Ledger, market: MarketSnapshot | None
) -> tuple[Trial | None, str]:
    """The second model that decides for some workloads, with the ETag of its snapshot.

    None if its forecast is not of the same prices, for example because it can no longer forecast.
    """
    registry = ModelLedger(ledger).registry()
    if market is None or registry.pending is None or not registry.trial_share:
        return None, ""
    tried, etag = _read_snapshot(store, keys.MARKET_TRIAL)
    if tried is None or tried.as_of != market.as_of:
        logger.warning("the trial's model has no forecast", model=registry.pending.version)
        return None, etag
    return Trial(registry.pending.version, registry.trial_share, tried), etag
