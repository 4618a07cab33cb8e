"""From rows of the market to ranked targets."""

from dataclasses import dataclass

import numpy as np

from spot_optimizer.decision.market_table import Bools, Codes, Rows
from spot_optimizer.decision.model import Candidate, Rejection
from spot_optimizer.decision.situation import Situation, explain_safety, signal_age
from spot_optimizer.decision.stages import Reason, Want, screen
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.market.snapshot import Floats
from spot_optimizer.words import Lifecycle

CANDIDATES_MAX = 6
FAILOVER_PLAN_MAX = 10
REJECTED_MAX = 10


@dataclass(frozen=True, slots=True)
class Found:
    """What a row found: ``codes`` of all pools, shape (P,), and the pools left, the best first."""

    situation: Situation
    want: Want
    codes: Codes
    ranked: Rows

    @property
    def price(self) -> Floats:
        """Forecast price of the pools left, in their order, USD per hour."""
        return self.situation.table.market.forecast_mean[self.ranked]

    @property
    def risk(self) -> Floats:
        """Risk of the pools left, in their order."""
        return self.situation.table.risk[self.ranked]

    def only(self, worth: Bools) -> "Found":
        """The pools left that are worth it; the others are recorded as too small a gain."""
        codes = self.codes.copy()
        codes[self.ranked[~worth]] = Reason.GAIN_TOO_SMALL
        return Found(self.situation, self.want, codes, self.ranked[worth])

    def candidates(self, limit: int = CANDIDATES_MAX) -> tuple[Candidate, ...]:
        """The best of the pools left as targets."""
        return tuple(spot_candidate(self.situation, int(row)) for row in self.ranked[:limit])

    def rejected(self) -> tuple[Rejection, ...]:
        """The cheapest rejected pools; those that the machine could use at all come first, because
        the small sizes and foreign architectures of a whole market would crowd them out."""
        price = self.situation.table.market.price
        other = self.codes != Reason.CURRENT
        rows = np.flatnonzero((self.codes != Reason.CANDIDATE) & other & np.isfinite(price))
        never = self.codes[rows] <= Reason.TOO_LARGE
        names = self.situation.table.name_ranks[rows]
        cheapest = rows[np.lexsort((names, price[rows], never))[:REJECTED_MAX]]
        return tuple(self._rejection(int(row)) for row in cheapest)

    def counts(self) -> dict[str, int]:
        """Reason -> number of rejected pools."""
        numbers = np.bincount(self.codes, minlength=len(Reason))
        return {
            reason.label: int(numbers[reason])
            for reason in Reason
            if reason is not Reason.CANDIDATE and numbers[reason]
        }

    def _rejection(self, row: int) -> Rejection:
        table = self.situation.table
        pool, code = table.market.pools[row], Reason(self.codes[row])
        return Rejection(pool, _detail(self, row, code), float(table.market.price[row]))


def find(situation: Situation, want: Want) -> Found:
    """The pools that pass every stage, without the current one and those signalled, best first.

    Best is the most discount; ties go to less risk, then to the name.
    """
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
    if workload.lifecycle is Lifecycle.SPOT and situation.row is not None:
        codes[situation.row] = Reason.CURRENT
    rows = np.flatnonzero(codes == Reason.CANDIDATE)
    price, risk = table.market.forecast_mean[rows], table.risk[rows]
    ranked = rows[np.lexsort((table.name_ranks[rows], risk, price))]
    return Found(situation, want, codes, ranked)


def spot_candidate(situation: Situation, row: int) -> Candidate:
    """A pool of the market as a target."""
    table = situation.table
    pool, price = table.market.pools[row], float(table.market.forecast_mean[row])
    return Candidate(
        instance_type=pool.instance_type,
        availability_zone=pool.availability_zone,
        lifecycle=Lifecycle.SPOT,
        subnet_id=situation.workload.subnets[pool.availability_zone],
        price_usd_per_hour=price,
        discount_points=100.0 * (1 - price / situation.home_on_demand_usd_per_hour),
        risk=float(table.risk[row]),
    )


def on_demand_candidates(situation: Situation) -> tuple[Candidate, ...]:
    """The home type on-demand in each zone that has it and a subnet, the current zone first."""
    workload, home = situation.workload, situation.home
    offered = situation.table.catalog.zones.get(home.name, frozenset()) & set(workload.subnets)
    zones = sorted(offered, key=lambda zone: (zone != workload.availability_zone, zone))
    return tuple(
        Candidate(
            instance_type=home.name,
            availability_zone=zone,
            lifecycle=Lifecycle.ON_DEMAND,
            subnet_id=workload.subnets[zone],
            price_usd_per_hour=situation.home_on_demand_usd_per_hour,
            discount_points=0.0,
            risk=0.0,
        )
        for zone in zones
    )


def misfit(candidate: InstanceType, home: InstanceType) -> str:
    """What keeps a ``home`` image from running on ``candidate``: the first clause of
    market.catalog.fits_machine that fails, empty if none."""
    clauses = (
        ("architecture", candidate.architecture == home.architecture),
        ("not sold as spot", candidate.spot),
        ("bare metal", not candidate.bare_metal),
        ("number of GPUs", candidate.gpus == home.gpus),
        ("accelerators", candidate.accelerators == home.accelerators),
        ("burstable", home.burstable or not candidate.burstable),
        ("hypervisor", candidate.hypervisor == home.hypervisor),
        ("instance store", candidate.instance_store == home.instance_store),
    )
    return next((text for text, holds in clauses if not holds), "")


def _detail(found: Found, row: int, code: Reason) -> str:
    situation, want = found.situation, found.want
    table, home = situation.table, want.home
    pool = table.market.pools[row]
    if code in (Reason.VOLATILE, Reason.UNSTABLE):
        return explain_safety(table, row, want.safety, code)
    if code is Reason.MISFIT:
        return f"{code.label}: {_misfit_text(table.catalog, pool.instance_type, home)}"
    if code is Reason.NOT_IN_TYPES:
        return f"not in types {', '.join(want.globs)}"
    if code is Reason.NO_SUBNET:
        return f"no subnet in {pool.availability_zone}"
    if code in (Reason.TOO_SMALL, Reason.TOO_LARGE):
        return f"{code.label}: {table.vcpu[row]:g} vCPU, {table.memory_gib[row]:g} GiB"
    if code is Reason.UNCONFIRMED:
        return f"not safe for {situation.workload.settings.confirm_safe_minutes:g} minutes yet"
    if code in (Reason.GAIN_TOO_SMALL, Reason.NOT_CHEAPER_THAN_ON_DEMAND):
        candidate = spot_candidate(situation, row)
        return f"{code.label}: {candidate.discount_points:.1f} points at risk {candidate.risk:.2f}"
    return code.label


def _misfit_text(catalog: Catalog, name: str, home: InstanceType) -> str:
    known = catalog.types.get(name)
    return misfit(known, home) if known else "unknown to the catalogue"
