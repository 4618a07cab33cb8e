"""Reference data: instance types, on-demand prices and the Spot Advisor, read every six hours."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws import data_bucket as keys
from spot_optimizer.aws.announcements import alert
from spot_optimizer.aws.data_bucket import DataBucket
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.reference_data import (
    read_instance_types,
    read_offerings,
    read_price_list,
    read_spot_advisor,
)
from spot_optimizer.codec import DamagedState
from spot_optimizer.market.advisor import parse_advisor
from spot_optimizer.market.advisor_copy import AdvisorCopy
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.catalog_file import (
    build_catalog,
    catalog_from_bytes,
    catalog_to_bytes,
)
from spot_optimizer.market.on_demand import DoubtedPrice
from spot_optimizer.telemetry import logger, metrics


class MissingInRegion(Exception):
    """The region lacks data that every decision needs; the text says what to do."""


def read_catalog(store: DataBucket) -> Catalog | None:
    """The stored catalog; None if there is none or it is damaged."""
    try:
        return store.load(keys.MARKET_CATALOG, catalog_from_bytes)
    except DamagedState as damage:
        logger.error("the catalog is damaged and is built again", reason=str(damage))
        return None


def read_advisor(store: DataBucket) -> AdvisorCopy | None:
    """The stored copy of the Spot Advisor; None if there is none or it is damaged."""
    try:
        return store.load(keys.MARKET_ADVISOR, AdvisorCopy.from_bytes)
    except DamagedState as damage:
        logger.error("the copy of the Spot Advisor is damaged", reason=str(damage))
        return None


def refresh_reference_data(
    store: DataBucket, env: Environment, now: datetime, accepted_prices: Collection[str] = ()
) -> tuple[Catalog, dict[str, Any]]:
    """Read the catalog and the Spot Advisor. A failure of the advisor, or of the price list if prices
    are already known, does not stop the rest."""
    previous = read_catalog(store)
    built = build_catalog(
        type_rows=read_instance_types(),
        offering_rows=read_offerings(),
        products=_products(env.region, has_prices=previous is not None),
        region=env.region,
        previous=previous,
        accepted_prices=accepted_prices,
    )
    _refuse_region_without(env.region, built.catalog)
    store.write_and_keep(keys.MARKET_CATALOG, keys.KEPT_CATALOGS, catalog_to_bytes(built.catalog))
    _alert_doubted_prices(store, env, built.doubted)
    counts: dict[str, Any] = {
        "types": len(built.catalog.types),
        "on_demand_prices": len(built.catalog.on_demand_usd_per_hour),
        "types_dropped": dict(built.types_dropped),
        "products_dropped": dict(built.products_dropped),
        "doubted_prices": [doubt.instance_type for doubt in built.doubted],
        "unlisted_prices": len(built.unlisted),
        **_refresh_advisor(store, env.region, now),
    }
    logger.info("reference data read", counts=counts)
    return built.catalog, counts


def _refuse_region_without(region: str, catalog: Catalog) -> None:
    if not catalog.types:
        raise MissingInRegion(
            f"EC2 in {region} offers no instance type on spot, so there is nothing to optimize:"
            " delete this stack and deploy it in another region"
        )
    if not catalog.on_demand_usd_per_hour:
        raise MissingInRegion(
            f"the Price List has no on-demand prices of Linux instances in {region}, and discounts"
            " cannot be computed without them: deploy in a region that it lists; if the region is new,"
            " keep the stack in dry run until it is listed, or delete it; every cycle checks again"
        )


def _products(region: str, *, has_prices: bool) -> list[str]:
    try:
        return read_price_list(region)
    except (BotoCoreError, ClientError) as error:
        if not has_prices:
            raise
        logger.error("the price list cannot be read; the old prices stay", reason=str(error))
        return []


def _refresh_advisor(store: DataBucket, region: str, now: datetime) -> dict[str, Any]:
    """Refresh the stored copy and return its figures; if that fails, the last copy stays in use."""
    copy = read_advisor(store)
    unreadable: Mapping[str, str] = {}
    try:
        answer = read_spot_advisor(*((copy.etag, copy.last_modified) if copy else ()))
        if answer.body is not None:
            found = parse_advisor(answer.body, region)
            unreadable = found.unreadable
            buckets = {**_kept_buckets(copy, unreadable), **found.buckets}
        elif copy is not None:
            buckets = dict(copy.buckets)
        else:
            raise OSError("the answer was 304 Not Modified, but there is no copy")
        copy = AdvisorCopy(buckets, now, answer.etag, answer.last_modified)
        store.write(keys.MARKET_ADVISOR, copy.to_bytes())
        state = "new" if answer.body is not None else "unchanged"
    except (OSError, ValueError) as error:
        logger.error("the Spot Advisor cannot be read; the last copy stays", reason=str(error))
        state = f"not read: {error}"
    if copy is None:
        return {"advisor_entries": 0, "advisor": state}
    age_hours = round(copy.age_hours(now), 1)
    metrics.add_metric("SpotAdvisorAgeHours", "Count", age_hours)
    return {
        "advisor_entries": len(copy.buckets),
        "advisor": state,
        "advisor_age_hours": age_hours,
        **({"advisor_entries_dropped": dict(unreadable)} if unreadable else {}),
    }


def _kept_buckets(copy: AdvisorCopy | None, unreadable: Collection[str]) -> dict[str, int]:
    """The last known buckets of types whose entry is unreadable now."""
    known = copy.buckets if copy is not None else {}
    return {name: known[name] for name in unreadable if name in known}


def _alert_doubted_prices(
    store: DataBucket, env: Environment, doubted: Sequence[DoubtedPrice]
) -> None:
    """Send one alert for prices that are doubted for the first time."""
    body = store.read(keys.MARKET_DOUBTED)
    alerted: dict[str, float] = json.loads(body) if body else {}
    new = [d for d in doubted if alerted.get(d.instance_type) != d.new_usd_per_hour]
    if new:
        count = "1 on-demand price" if len(new) == 1 else f"{len(new)} on-demand prices"
        alert(env.alert_topic_arn, f"{count} doubted", _alert_text(new))
    now_doubted = {d.instance_type: d.new_usd_per_hour for d in doubted}
    if now_doubted != alerted:
        store.write(keys.MARKET_DOUBTED, json.dumps(now_doubted, sort_keys=True).encode())


def _alert_text(doubts: Sequence[DoubtedPrice]) -> str:
    lines = [
        f"{d.instance_type}: the price list says {d.new_usd_per_hour:.4f} USD per hour, "
        f"{d.old_usd_per_hour:.4f} is kept"
        for d in doubts
    ]
    request = {"task": "reference", "accept_prices": [d.instance_type for d in doubts]}
    return "\n".join(
        [
            "These on-demand prices changed by more than 50 % at once, so the old prices are kept:",
            *lines,
            "If the new prices are correct, invoke the function RefreshMarket with",
            json.dumps(request),
        ]
    )
