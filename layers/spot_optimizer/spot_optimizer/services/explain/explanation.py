"""Explains a decision: makes it again from the inputs that its cycle kept."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.ledger.decisions import last_decision
from spot_optimizer.aws.ledger.items import WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.codec import DamagedState
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.decision.decision_record import differences
from spot_optimizer.decision.engine import decision_id as id_of
from spot_optimizer.decision.explaining.explanation import Explanation, NotDecided, explain
from spot_optimizer.decision.kept_inputs import KeptInputs, inputs_from_bytes
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.catalog_file import catalog_from_bytes
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.workflow.engines import load_engines
from spot_optimizer.workflow.known_workloads import known_workload, require_managed

_STAMP = re.compile(r"-(\d{8}T\d{6}Z)-[0-9a-f]{6}$")
_LOOK_BACK = timedelta(days=2)
_CYCLES_READ_MAX = 50
"""A forced cycle has a single workload, so another workload may be some cycles further back."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A recorded decision, and the same decision made again if its inputs are kept."""

    recorded: dict[str, Any]
    """As the cycle wrote it; empty if only the inputs are kept."""
    explanation: Explanation | None
    remark: str
    """Why it cannot be made again, or how the result differs; empty if both agree."""


def explain_decision(
    store: DataBucket,
    ledger: Ledger,
    workload_id: str,
    *,
    until: datetime,
    decision_id: str | None = None,
) -> Explained:
    """The last decision about a workload up to ``until``, or the one with that id.

    Raises InvalidRequest, with what is allowed, for an unknown workload or decision.
    """
    workload = known_workload(ledger, workload_id)
    for key in _cycles(store, until, decision_id):
        kept = _kept(store, key)
        if kept is None or not _is_of(kept, workload_id, decision_id):
            continue
        recorded = _recorded(store, key, workload_id)
        try:
            return _decided_again(store, kept, workload_id, recorded)
        except (DamagedState, _Missing, NotDecided) as error:
            return Explained(recorded, None, f"it cannot be made again: {error}")
    return _from_ledger(ledger, workload, until, decision_id)


class _Missing(Exception):
    """An input of the decision is not kept any more."""


def _cycles(store: DataBucket, until: datetime, decision_id: str | None) -> Iterator[str]:
    """Keys of the cycles' kept inputs, the newest first."""
    if decision_id is not None:
        stamp = _STAMP.search(decision_id)
        if stamp is None:
            raise InvalidRequest(
                f"decision = '{decision_id}' is not the id of a decision; an id ends like "
                "-20260302T080500Z-0c7435"
            )
        at = datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        yield from store.keys(keys.by_time(keys.CYCLES, at))
        return
    left = _CYCLES_READ_MAX
    for days in range(_LOOK_BACK.days + 1):
        day = until.astimezone(UTC) - timedelta(days=days)
        found = store.keys(f"{keys.CYCLES}/dt={day:%Y-%m-%d}/")
        last = f"{day:%H%M%S}" if days == 0 else "~"
        names = [key for key in found if key.rpartition("/")[2][:6] <= last]
        yield from names[::-1][:left]
        left -= len(names)
        if left <= 0:
            return


def _kept(store: DataBucket, key: str) -> KeptInputs | None:
    body = store.read(key)
    return inputs_from_bytes(body) if body is not None else None


def _is_of(kept: KeptInputs, workload_id: str, decision_id: str | None) -> bool:
    if all(view.workload_id != workload_id for view in kept.world.workloads):
        return False
    force = kept.world.force.get(workload_id)
    return decision_id is None or id_of(workload_id, kept.at, force) == decision_id


def _recorded(store: DataBucket, key: str, workload_id: str) -> dict[str, Any]:
    """The decision line of the cycle that kept its inputs at ``key``."""
    name = key.removeprefix(keys.CYCLES).removesuffix(".json.gz")
    body = store.read(f"{keys.DECISIONS}{name}.jsonl.gz")
    rows = gzip.decompress(body).decode().splitlines() if body else ()
    return next((row for row in map(json.loads, rows) if row["workload_id"] == workload_id), {})


def _decided_again(
    store: DataBucket, kept: KeptInputs, workload_id: str, recorded: dict[str, Any]
) -> Explained:
    market, catalog = _market(store, kept.market_of(workload_id)), _catalog(store, kept.catalog_id)
    engines = load_engines({w.settings.engine for w in kept.world.workloads})
    explanation = explain(kept, market, catalog, workload_id, engines)
    different = differences(recorded, explanation.decision) if recorded else []
    remark = ""
    if different:
        remark = (
            f"made again it differs in {', '.join(different)}: it was decided by another engine, version"
            " or settings than those here"
        )
    return Explained(recorded, explanation, remark)


def _market(store: DataBucket, name: str) -> MarketSnapshot | None:
    body = _by_name(store, keys.MARKET_SNAPSHOT, keys.KEPT_SNAPSHOTS, name, "market snapshot")
    return snapshot_from_bytes(body) if body else None


def _catalog(store: DataBucket, name: str) -> Catalog:
    body = _by_name(store, keys.MARKET_CATALOG, keys.KEPT_CATALOGS, name, "catalog")
    if body is None:
        raise _Missing("its catalog was not recorded")
    return catalog_from_bytes(body)


def _by_name(store: DataBucket, current: str, kept: str, name: str, what: str) -> bytes | None:
    if not name:
        return None
    body = store.read(f"{kept}{name}")
    if body is None:
        body, etag = store.read_named(current)
        if etag != name:
            raise _Missing(f"its {what} is not kept any more")
    return body


def _from_ledger(
    ledger: Ledger, workload: WorkloadItem, until: datetime, decision_id: str | None
) -> Explained:
    if decision_id is None:
        require_managed(workload)
    workload_id = workload.workload_id
    recorded = last_decision(ledger, workload_id, until)
    if recorded is None or decision_id not in (None, recorded["decision_id"]):
        which = (
            f"decision '{decision_id}'" if decision_id else f"decision up to {until.isoformat()}"
        )
        raise InvalidRequest(f"workload = '{workload_id}': no {which} is kept")
    return Explained(recorded, None, "the inputs of its cycle are not kept any more")
