"""``refresh_market``: collect prices, forecast them, write the market snapshot."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from spot_optimizer.aws import archive as keys
from spot_optimizer.aws.archive import Archive
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.aws.reference_data import (
    read_instance_types,
    read_offerings,
    read_price_list,
    read_spot_advisor,
)
from spot_optimizer.aws.spot_prices import PriceReceipt, read_spot_prices
from spot_optimizer.contracts import RefreshMarketRequest
from spot_optimizer.forecast.safety_history import SafetyHistory
from spot_optimizer.forecast.snapshot_builder import build_snapshot
from spot_optimizer.market.advisor import parse_advisor
from spot_optimizer.market.catalog import Catalog, types_that_matter
from spot_optimizer.market.catalog_file import (
    build_catalog,
    catalog_from_bytes,
    catalog_to_bytes,
)
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.market.snapshot_file import snapshot_to_bytes
from spot_optimizer.services.market_forecast import forecast_market
from spot_optimizer.telemetry import logger, metrics

HISTORY_KEPT = timedelta(days=17)
"""The longest look back is that of the model's daily lesson, 16 days; one more for late rows."""

OVERLAP = timedelta(minutes=15)
"""Each collection begins this long before the end of the last one: a change may be published late."""


def refresh_market(
    request: RefreshMarketRequest, env: Environment, now: datetime
) -> dict[str, Any]:
    """Carry out one task; the answer counts what was received and kept."""
    store = Archive(env.data_bucket)
    if request.task == "reference":
        _, counts = _refresh_reference(store, env)
        return counts
    catalog = _catalog(store) or _refresh_reference(store, env)[0]
    return _refresh_prices(store, env, catalog, now)


def _refresh_reference(store: Archive, env: Environment) -> tuple[Catalog, dict[str, Any]]:
    """Read catalogue and Spot Advisor anew. The advisor failing does not keep the catalogue back."""
    built = build_catalog(
        type_rows=read_instance_types(),
        offering_rows=read_offerings(),
        products=read_price_list(env.region),
        region=env.region,
        previous=_catalog(store),
    )
    store.write(keys.MARKET_CATALOG, catalog_to_bytes(built.catalog))
    advisor = _refresh_advisor(store, env.region)
    counts: dict[str, Any] = {
        "types": len(built.catalog.types),
        "on_demand_prices": len(built.catalog.on_demand_usd_per_hour),
        "types_dropped": dict(built.types_dropped),
        "products_dropped": dict(built.products_dropped),
        "doubted_prices": [doubt.instance_type for doubt in built.doubted],
        "advisor_entries": advisor,
    }
    logger.info("reference data read", counts=counts)
    return built.catalog, counts


def _refresh_advisor(store: Archive, region: str) -> int | None:
    """Entries read, or None when the file could not be had or read: the last good copy stays."""
    try:
        body = read_spot_advisor()
        entries = parse_advisor(body, region)
    except (OSError, ValueError) as error:
        logger.warning("spot advisor not read, the last copy stays", reason=str(error))
        return None
    store.write(keys.MARKET_ADVISOR, json.dumps(entries, sort_keys=True).encode())
    return len(entries)


def _refresh_prices(
    store: Archive, env: Environment, catalog: Catalog, now: datetime
) -> dict[str, Any]:
    matter = types_that_matter(catalog, Ledger(env.ledger_table).home_types())
    body = store.read(keys.MARKET_CHANGES)
    known = PriceChanges.from_bytes(body) if body else PriceChanges()
    collection = _Collection.read(store)
    receipts = [
        read_spot_prices(types, start, now)
        for types, start in collection.due(matter, now)
    ]
    merged, cleaning = known.merge(
        [row for receipt in receipts for row in receipt.rows()], catalog.on_demand_usd_per_hour
    )
    changes = merged.restrict(matter).trim(int((now - HISTORY_KEPT).timestamp()))
    _keep_receipts(store, receipts, now)
    if changes is not known:
        store.write(keys.MARKET_CHANGES, changes.to_bytes())
    # After the changes: if this run dies in between, the next one asks for the same span again.
    _Collection(now, matter).write(store)
    _write_snapshot(store, env, changes, catalog, now)
    metrics.add_metric("PriceRowsReceived", "Count", cleaning.received)
    metrics.add_metric("PriceRowsDropped", "Count", sum(cleaning.dropped.values()))
    metrics.add_metric("PoolsWatched", "Count", len(changes.pools))
    return {
        "pools": len(changes.pools),
        "received": cleaning.received,
        "changes": cleaning.changes,
        "dropped": dict(cleaning.dropped),
    }


def _write_snapshot(
    store: Archive, env: Environment, changes: PriceChanges, catalog: Catalog, now: datetime
) -> None:
    safety = store.read(keys.MARKET_SAFETY)
    advisor = store.read(keys.MARKET_ADVISOR)
    forecast = forecast_market(store, changes, catalog.on_demand_usd_per_hour, now)
    snapshot, history = build_snapshot(
        changes,
        as_of=now,
        now=now,
        advisor_buckets=json.loads(advisor) if advisor else {},
        forecaster=forecast.forecaster,
        instability=forecast.instability,
        degraded=forecast.degraded,
        previous=SafetyHistory.from_bytes(safety) if safety else SafetyHistory(),
        confirm_safe_minutes=env.settings.confirm_safe_minutes,
    )
    store.write(keys.MARKET_SAFETY, history.to_bytes())
    store.write(keys.MARKET_SNAPSHOT, snapshot_to_bytes(snapshot))


def _keep_receipts(store: Archive, receipts: Iterable[PriceReceipt], now: datetime) -> None:
    rows = [row for receipt in receipts for row in receipt.received]
    if rows:
        store.write_json_lines("receipts", now, rows)


def _catalog(store: Archive) -> Catalog | None:
    return store.load(keys.MARKET_CATALOG, catalog_from_bytes)


class _Collection:
    """Up to when the prices of which types have been collected."""

    def __init__(self, until: datetime | None, types: frozenset[str]) -> None:
        self._until, self._types = until, types

    def due(
        self, matter: frozenset[str], now: datetime
    ) -> list[tuple[frozenset[str], datetime]]:
        """What to ask for: the known types since the last time, new ones for the whole history."""
        earliest = now - HISTORY_KEPT
        since = earliest if self._until is None else max(self._until - OVERLAP, earliest)
        parts = [(matter & self._types, since), (matter - self._types, earliest)]
        return [(types, start) for types, start in parts if types]

    @classmethod
    def read(cls, store: Archive) -> "_Collection":
        body = store.read(keys.MARKET_COLLECTION)
        if body is None:
            return cls(None, frozenset())
        state = json.loads(body)
        return cls(datetime.fromtimestamp(state["until_s"], UTC), frozenset(state["types"]))

    def write(self, store: Archive) -> None:
        assert self._until is not None
        state = {"until_s": self._until.timestamp(), "types": sorted(self._types)}
        store.write(keys.MARKET_COLLECTION, json.dumps(state).encode())
