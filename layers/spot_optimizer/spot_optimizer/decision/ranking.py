"""From the pools of the market to ranked candidates."""

from spot_optimizer.decision.decision import Candidate
from spot_optimizer.decision.selection import Selection
from spot_optimizer.decision.situation import Situation, signal_age
from spot_optimizer.decision.stages import Reason, Want, screen
from spot_optimizer.vocabulary import Lifecycle

FAILOVER_PLAN_MAX = 10


def select(situation: Situation, want: Want) -> Selection:
    """The pools that pass every stage, without the current one (unless only the instance has to
    be left) and those with a signal, in the order of ``MarketTable.ranking``."""
    table, workload = situation.table, situation.workload
    codes = screen(table, want).copy()
    for pool in workload.signals:
        row = table.market.index_of(pool)
        if (
            row is not None
            and codes[row] == Reason.CANDIDATE
            and (signal_age(workload, pool, situation.now) is not None)
        ):
            codes[row] = Reason.SIGNALLED
    # Another instance in the current pool is as good, if only this instance has to be left.
    here = workload.lifecycle is Lifecycle.SPOT and not situation.only_instance
    if here and situation.row is not None:
        codes[situation.row] = Reason.CURRENT
    ranked = table.ranking[codes[table.ranking] == Reason.CANDIDATE]
    return Selection(situation, want, codes, ranked)


def on_demand_candidates(situation: Situation) -> tuple[Candidate, ...]:
    """The home type on-demand in each zone that offers it and has a subnet, the current zone first."""
    workload, home = situation.workload, situation.home
    offered = situation.table.catalog.zones.get(home.name, frozenset()) & set(workload.subnets)
    zones = sorted(offered, key=lambda zone: (zone != workload.availability_zone, zone))
    return tuple(
        Candidate(
            instance_type=home.name,
            availability_zone=zone,
            lifecycle=Lifecycle.ON_DEMAND,
            subnet_id=workload.subnet_in(zone),
            spot_usd_per_hour=situation.home_on_demand_usd_per_hour,
            forecast_usd_per_hour=situation.home_on_demand_usd_per_hour,
            discount_points=0.0,
            risk=0.0,
        )
        for zone in zones
    )
