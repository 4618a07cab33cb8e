"""The schema version of the ledger, and the upgrade of an older ledger.

=======  ==========================================================================================
version  what code of an older version would misread
=======  ==========================================================================================
1        (the stack's item has no version)
2        interruptions are also in the list of all pools, from which the hazard is computed
=======  ==========================================================================================

A new attribute with a default needs no new version: both versions of the code can read the item. Code of
an older version refuses a newer ledger.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import ValidationError

from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import StackItem, WorkloadItem, pool_from_text
from spot_optimizer.aws.ledger.pool_events import KEPT_DAYS, record_pool_event
from spot_optimizer.aws.ledger.signals import pool_signals
from spot_optimizer.aws.ledger.table import SCHEMA_VERSION, Ledger
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import Pool


def upgrade(ledger: Ledger, stack: StackItem, now: datetime) -> None:
    """Upgrade an older ledger. The caller holds the lease of the cycle.

    The version is written last and every step can be repeated, so the next run repeats an interrupted
    upgrade.
    """
    if stack.schema_version == SCHEMA_VERSION:
        return
    if stack.schema_version < 2:
        _list_interruptions(ledger, now)
    ledger.update(keys.stack_key(), {"schema_version": SCHEMA_VERSION})
    logger.info("ledger upgraded", found=stack.schema_version, schema_version=SCHEMA_VERSION)


def _list_interruptions(ledger: Ledger, now: datetime) -> None:
    """1 to 2: interruptions were recorded for their workload and in the partition of their pool only."""
    since = now - timedelta(days=KEPT_DAYS)
    pools = {pool for item in ledger.workloads().values() for pool in _pools_of(ledger, item)}
    for pool in sorted(pools, key=str):
        for signal in pool_signals(ledger, pool, now):
            if signal.kind == "interruption" and signal.at >= since:
                record_pool_event(ledger, "INTERRUPTED", pool, signal.at, signal.instance_id)


def _pools_of(ledger: Ledger, workload: WorkloadItem) -> Iterator[Pool]:
    """Pools in which a workload has run: its current one, and those of its signals and switches."""
    if workload.instance_type and workload.availability_zone:
        yield Pool(workload.instance_type, workload.availability_zone)
    yield from map(pool_from_text, workload.signals)
    try:
        for switch in ledger.switches(workload.workload_id):
            original = switch.order.original
            yield Pool(original.instance_type, original.availability_zone)
    except ValidationError as error:
        logger.error("damaged switch", workload_id=workload.workload_id, reason=str(error))
