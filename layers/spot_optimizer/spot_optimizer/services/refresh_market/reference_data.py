"""Instance types, on-demand prices and the Spot Advisor, read anew every six hours."""

import json
from collections.abc import Collection, Sequence
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
    """The region lacks what nothing can be decided without; the text says what to do."""


def read_catalog(store: DataBucket) -> Catalog | None:
    """The catalogue as it was last read, or None when there is none yet, or none that is whole."""
    try:
        return store.load(keys.MARKET_CATALOG, catalog_from_bytes)
    except DamagedState as damage:
        logger.error("the catalogue cannot be read, it is made anew", reason=str(damage))
        return None


def read_advisor(store: DataBucket) -> AdvisorCopy | None:
    """The last good copy of the Spot Advisor, or None."""
    try:
        return store.load(keys.MARKET_ADVISOR, AdvisorCopy.from_bytes)
    except DamagedState as damage:
        logger.error("the copy of the Spot Advisor cannot be read", reason=str(damage))
        return None


def refresh_reference(
    store: DataBucket, env: Environment, now: datetime, accepted_prices: Collection[str] = ()
) -> tuple[Catalog, dict[str, Any]]:
    """Read catalogue and Spot Advisor anew. Neither the advisor nor, where there are prices already,
    the price list keeps the rest back when it fails."""
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
    _tell_doubts(store, env, built.doubted)
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
            f"EC2 in {region} has no instance type that can be bought on spot, so there is nothing to"
            " optimise: delete this stack and deploy it in a region that has some"
        )
    if not catalog.on_demand_usd_per_hour:
        raise MissingInRegion(
            f"the Price List knows no on-demand price of Linux instances in {region}, without which no"
            " discount can be counted: deploy in a region that it lists, or, where the region is new,"
            " leave the stack in dry run until it does, or delete it; AWS is asked again in every cycle"
        )


def _products(region: str, *, has_prices: bool) -> list[str]:
    try:
        return read_price_list(region)
    except (BotoCoreError, ClientError) as error:
        if not has_prices:
            raise
        logger.error("price list not read, the old prices stay", reason=str(error))
        return []


def _refresh_advisor(store: DataBucket, region: str, now: datetime) -> dict[str, Any]:
    """Entries and age of the copy in use; the last good one stays when there is no better."""
    copy = read_advisor(store)
    try:
        answer = read_spot_advisor(*((copy.etag, copy.last_modified) if copy else ()))
        if answer.body is not None:
            buckets = parse_advisor(answer.body, region)
        elif copy is not None:
            buckets = dict(copy.buckets)
        else:
            raise OSError("304 Not Modified was answered, but there is no copy")
        copy = AdvisorCopy(buckets, now, answer.etag, answer.last_modified)
        store.write(keys.MARKET_ADVISOR, copy.to_bytes())
        state = "new" if answer.body is not None else "unchanged"
    except (OSError, ValueError) as error:
        logger.error("spot advisor not read, the last copy stays", reason=str(error))
        state = f"not read: {error}"
    if copy is None:
        return {"advisor_entries": 0, "advisor": state}
    age_hours = round(copy.age_hours(now), 1)
    metrics.add_metric("SpotAdvisorAgeHours", "Count", age_hours)
    return {
        "advisor_entries": len(copy.buckets),
        "advisor": state,
        "advisor_age_hours": age_hours,
    }


def _tell_doubts(store: DataBucket, env: Environment, doubted: Sequence[DoubtedPrice]) -> None:
    """Alert to what is doubted for the first time; the same doubt is told once."""
    body = store.read(keys.MARKET_DOUBTED)
    told: dict[str, float] = json.loads(body) if body else {}
    fresh = [d for d in doubted if told.get(d.instance_type) != d.new_usd_per_hour]
    if fresh:
        alert(env.alert_topic_arn, f"{len(fresh)} on-demand prices doubted", _doubts_text(fresh))
    now_doubted = {d.instance_type: d.new_usd_per_hour for d in doubted}
    if now_doubted != told:
        store.write(keys.MARKET_DOUBTED, json.dumps(now_doubted, sort_keys=True).encode())


def _doubts_text(doubts: Sequence[DoubtedPrice]) -> str:
    lines = [
        f"{d.instance_type}: the price list says {d.new_usd_per_hour:.4f} USD per hour, "
        f"{d.old_usd_per_hour:.4f} is kept"
        for d in doubts
    ]
    request = {"task": "reference", "accept_prices": [d.instance_type for d in doubts]}
    return "\n".join(
        [
            "These on-demand prices moved by more than 50 % at once, so the old ones are kept:",
            *lines,
            "If the new prices are right, invoke the function RefreshMarket with",
            json.dumps(request),
        ]
    )
