"""The order of a switch, from its decision; and the terms of a failover, for the standing plan."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from spot_optimizer.aws.ledger.items import FailoverTerms, PlanItem, ZoneSubnet
from spot_optimizer.contracts.switch import (
    CANDIDATES_MAX,
    GuardRules,
    Original,
    SwitchOrder,
    Target,
)
from spot_optimizer.decision.decision import Candidate, Decision
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.services.decide.inventory import ManagedWorkload
from spot_optimizer.settings import Settings
from spot_optimizer.switching.instance_record import lifecycle_of
from spot_optimizer.switching.subnets import SUBNETS_PER_ZONE_MAX
from spot_optimizer.vocabulary import Lifecycle, Pool


def switch_order(
    decision: Decision,
    workload: ManagedWorkload,
    plan: PlanItem,
    market: MarketSnapshot | None,
    catalog: Catalog,
    now: datetime,
) -> SwitchOrder:
    """The input of one SwitchInstance execution. Raises ValueError if the plan has no template."""
    if plan.launch_template is None:
        raise ValueError(f"workload '{decision.workload_id}' has no launch template yet")
    settings = workload.settings
    return SwitchOrder.model_validate(
        {
            "switch_id": decision.decision_id,
            "workload_id": decision.workload_id,
            "decision_id": decision.decision_id,
            "decided_at": now,
            "kind": decision.kind,
            "row": decision.row,
            "reason": decision.reason,
            "original": _original(workload, plan, market, catalog),
            "candidates": in_other_subnets(
                [target(c) for c in decision.candidates], workload.subnets
            ),
            "launch_template": plan.launch_template,
            "home_type_after": decision.home_type_after,
            "auto_terminate": settings.auto_terminate,
            "guard": _guard(settings),
            "asked_by": decision.forced_by,
            "standing_load_balancing": plan.load_balancing,
        }
    )


ON_DEMAND_PLACES_MAX = 3


def in_other_subnets(
    targets: Sequence[Target], subnets: Mapping[str, Sequence[str]]
) -> tuple[Target, ...]:
    """The same candidates, each followed by the same pool in other subnets of its zone.

    ``subnets``: of the workload, by zone, the preferred one first. An order has CANDIDATES_MAX at most:
    the best candidates get other subnets first. Only for RunInstances: CreateFleet refuses an order
    with one pool in two subnets ("The fleet configuration contains duplicate instance pools").
    """
    room = CANDIDATES_MAX - len(targets)
    found: list[Target] = []
    for each in targets:
        others = [s for s in subnets.get(each.availability_zone, ()) if s != each.subnet_id][:room]
        room -= len(others)
        found += [each, *(each.model_copy(update={"subnet_id": other}) for other in others)]
    return tuple(found)


def failover_terms(
    workload: ManagedWorkload, market: MarketSnapshot | None, stack_settings: Settings
) -> FailoverTerms:
    """What a failover must know of the workload's tags and settings: events carry none."""
    zone = workload.instance["Placement"]["AvailabilityZone"]
    row = market.index_of(Pool(workload.instance["InstanceType"], zone)) if market else None
    return FailoverTerms(
        mode=workload.item.mode or workload.adopted.mode,
        dry_run=stack_settings.dry_run,
        fallback_to_on_demand=workload.settings.fallback_to_on_demand,
        guard=_guard(workload.settings),
        advisor_bucket=(
            int(market.advisor_bucket[row]) if market is not None and row is not None else -1
        ),
        on_demand_subnets=on_demand_places(workload.subnets, zone),
    )


def on_demand_places(subnets: Mapping[str, Sequence[str]], zone: str) -> tuple[ZoneSubnet, ...]:
    """Where a failover may launch on-demand: ``zone``, its current one, first; every zone's preferred
    subnet before the others."""
    zones = sorted(subnets, key=lambda name: (name != zone, name))
    places = [
        ZoneSubnet(name, subnet)
        for rank in range(SUBNETS_PER_ZONE_MAX)
        for name in zones
        for subnet in subnets[name][rank : rank + 1]
    ]
    return tuple(places[:ON_DEMAND_PLACES_MAX])


def _guard(settings: Settings) -> GuardRules:
    return GuardRules(
        cooldown_minutes=settings.cooldown_minutes,
        breaker_failures=int(settings.breaker_failures),
        backoff_minutes=settings.backoff_minutes,
        backoff_minutes_max=settings.backoff_minutes_max,
    )


def target(candidate: Candidate) -> Target:
    """A candidate as orders and events name it."""
    return Target(
        instance_type=candidate.instance_type,
        availability_zone=candidate.availability_zone,
        lifecycle=candidate.lifecycle,
        subnet_id=candidate.subnet_id,
        forecast_usd_per_hour=candidate.forecast_usd_per_hour,
    )


def _original(
    workload: ManagedWorkload, plan: PlanItem, market: MarketSnapshot | None, catalog: Catalog
) -> Original:
    instance = workload.instance
    pool = Pool(instance["InstanceType"], instance["Placement"]["AvailabilityZone"])
    lifecycle = lifecycle_of(instance)
    return Original(
        instance_id=instance["InstanceId"],
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        lifecycle=lifecycle,
        spot_usd_per_hour=_price(pool, lifecycle, market, catalog),
        persistent_spot_request_id=plan.spot_request_of(instance["InstanceId"]),
    )


def _price(
    pool: Pool, lifecycle: Lifecycle, market: MarketSnapshot | None, catalog: Catalog
) -> float | None:
    if lifecycle is Lifecycle.ON_DEMAND:
        return catalog.on_demand_usd_per_hour.get(pool.instance_type)
    row = market.index_of(pool) if market else None
    price = float(market.price[row]) if market is not None and row is not None else None
    return price if price is not None and price > 0 else None
