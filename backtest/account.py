"""A backtest's inputs from an AWS account: read only.

Needed are ec2:DescribeInstances, DescribeInstanceTypes, DescribeInstanceTypeOfferings and
DescribeSpotPriceHistory, and pricing:GetProducts. The Spot Advisor is public.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from backtest.inputs import Hazard
from backtest.period import period_of
from backtest.requirements import Requirement
from backtest.runs import Market
from models.markets import Market as PriceMarket
from spot_optimizer.aws.instances import read_managed_instances
from spot_optimizer.aws.reference_data import (
    read_instance_types,
    read_offerings,
    read_price_list,
)
from spot_optimizer.aws.spot_prices import read_spot_prices
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.catalog_file import build_catalog
from spot_optimizer.market.collection_plan import HISTORY_DAYS_MAX, plan_slices
from spot_optimizer.market.compatibility import types_to_collect
from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.settings import Settings
from spot_optimizer.switching.workload_tags import InvalidTags, parse_tags
from spot_optimizer.vocabulary import DAY_S

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class FromAccount:
    """What an account has to be backtested."""

    market: Market
    left_out: tuple[str, ...]
    """Workloads that cannot be, with the reason."""


def read_account(
    region: str,
    stack_name: str,
    asked: Sequence[Requirement],
    base: Settings,
    hazard: Hazard,
    *,
    days: float | None,
    now: datetime,
    progress: Progress,
) -> FromAccount:
    """90 days of prices of all types that matter to the workloads of a stack, or to ``asked``.

    Raises ValueError if there is no workload, and the errors of AWS (ClientError, BotoCoreError).
    """
    os.environ["AWS_REGION"] = region
    progress(0, 1, "instance types and on-demand prices")
    catalog = build_catalog(
        type_rows=read_instance_types(),
        offering_rows=read_offerings(),
        products=read_price_list(region),
        region=region,
        previous=None,
    ).catalog
    requirements = list(asked)
    left_out: list[str] = []
    if not requirements:
        requirements, left_out = _workloads(stack_name, catalog, base)
    if not requirements:
        why = f"; ignored: {'; '.join(left_out)}" if left_out else ""
        raise ValueError(
            f"--region {region}: no instance there has spot-optimizer:managed = {stack_name}{why};"
            " name a type by --instance-type, or the stack by --stack-name"
        )
    homes = sorted({r.home_type for r in requirements})
    prices = _prices(region, catalog, homes, int(now.timestamp()), progress)
    period = period_of(prices, catalog.types, homes, days=days, until_s=None)
    rate, buckets = hazard.of(period)
    return FromAccount(Market(period, tuple(requirements), rate, buckets), tuple(left_out))


def _workloads(
    stack_name: str, catalog: Catalog, base: Settings
) -> tuple[list[Requirement], list[str]]:
    """The managed workloads with their own tags, each on the type that it runs on now."""
    found: list[Requirement] = []
    left_out: list[str] = []
    for row in read_managed_instances(stack_name):
        tags = {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
        try:
            said = parse_tags(tags, base)
        except InvalidTags as problem:
            left_out.append(f"{row['InstanceId']}: {problem}")
            continue
        name, home = said.workload_id or row["InstanceId"], row["InstanceType"]
        if home not in catalog.types or home not in catalog.on_demand_usd_per_hour:
            left_out.append(f"{name}: {home} cannot be bought as spot, or has no on-demand price")
            continue
        found.append(Requirement(name, home, said.type_globs, said.settings))
    return found, left_out


def _prices(
    region: str, catalog: Catalog, homes: Sequence[str], now_s: int, progress: Progress
) -> PriceMarket:
    begin_s = now_s - HISTORY_DAYS_MAX * DAY_S
    types = types_to_collect(catalog, homes)
    slices = plan_slices(Coverage(), types, (begin_s, now_s))
    changes = PriceChanges()
    for number, wanted in enumerate(slices):
        progress(number, len(slices), f"prices of {len(types)} types")
        rows = read_spot_prices(wanted).rows()
        changes, _ = changes.merge(rows, catalog.on_demand_usd_per_hour)
    if not changes.pools:
        raise ValueError(f"--region {region}: EC2 has no spot prices of types that fit {homes}")
    # What held when the history begins was stated earlier: prices are known from there on.
    return PriceMarket(region, changes, catalog.on_demand_usd_per_hour, begin_s, now_s)
