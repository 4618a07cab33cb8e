"""The situation of a workload: what its place costs, and its state in the decision table."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from spot_optimizer.decision.hazard import age_factor
from spot_optimizer.decision.market_table import MarketTable
from spot_optimizer.decision.over_or_under_provisioned import UsageVerdict, classify_usage
from spot_optimizer.decision.stages import Reason, Safety, safety_codes
from spot_optimizer.decision.world import WorkloadView
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.vocabulary import Lifecycle, Pool

SIGNAL_MEMORY = timedelta(hours=2)
"""How long a workload avoids a pool in which it got an interruption or a rebalance recommendation."""


class CannotJudge(Exception):
    """A precondition of a decision does not hold; the text says which. The outcome is STAY."""


class State(StrEnum):
    """State of the current place. Exactly one holds; earlier ones take precedence."""

    ON_DEMAND = "on-demand"
    UNBEARABLE = "unbearable"
    ACCEPTABLE = "acceptable"
    EXPENSIVE = "safe but expensive"
    UNSAFE = "not safe"


@dataclass(frozen=True, slots=True)
class Situation:
    """One workload joined with the market."""

    workload: WorkloadView
    table: MarketTable
    now: datetime
    home: InstanceType
    home_on_demand_usd_per_hour: float
    state: State
    why: str
    """Why the current place is in its state, with the figure."""
    row: int | None
    """Row of the current pool in the market, None if the market does not know it."""
    spot_usd_per_hour: float
    """Current spot price of the current pool, or the list price on-demand; NaN if unknown (only of a
    pool that must be left)."""
    forecast_usd_per_hour: float
    """Mean forecast of the same pool one hour ahead, or the list price on-demand; NaN if unknown."""
    risk: float
    usage: UsageVerdict
    only_instance: bool = False
    """The place is unbearable only because EC2 will end this instance: another one may be launched in
    the same place."""

    @property
    def urgent(self) -> bool:
        """Whether the place must be left now. A scheduled stop leaves time for a planned switch."""
        stop = self.workload.scheduled_stop
        planned = self.only_instance and stop is not None and not stop.is_near(self.now)
        return self.state is State.UNBEARABLE and not planned

    @property
    def safety(self) -> Safety:
        """The workload's limits of a safe pool."""
        return Safety.of(self.workload.settings)

    @property
    def hazard_per_hour(self) -> float:
        """Expected interruptions per hour here: 0 on-demand, NaN in a spot pool that the market does
        not know."""
        if self.workload.lifecycle is Lifecycle.ON_DEMAND:
            return 0.0
        if self.row is None:
            return float("nan")
        age = self.now - self.workload.launched_at
        return self.table.plain.hazard_per_hour[self.row] * age_factor(age)

    @property
    def cost_points(self) -> float:
        """The forecast of the current place in points of the home type's on-demand price."""
        return 100.0 * self.forecast_usd_per_hour / self.home_on_demand_usd_per_hour

    @property
    def discount_points(self) -> float:
        """The forecast discount of the current place against the home type's on-demand price."""
        return 100.0 - self.cost_points


def home_of(workload: WorkloadView, catalog: Catalog) -> tuple[InstanceType, float]:
    """The home type and its on-demand price, USD per hour. Raises CannotJudge."""
    home = catalog.types.get(workload.home_type)
    if home is None:
        raise CannotJudge(f"home type {workload.home_type} is not in the catalog")
    price = catalog.on_demand_usd_per_hour.get(workload.home_type, float("nan"))
    if not price > 0:
        raise CannotJudge(f"home type {workload.home_type} has no on-demand price")
    return home, price


def situation_of(workload: WorkloadView, table: MarketTable, now: datetime) -> Situation:
    """Join a workload with the market. Raises CannotJudge if prices are missing or implausible."""
    home, home_on_demand = home_of(workload, table.catalog)
    row = table.market.index_of(workload.pool)
    spot = forecast = float("nan")
    risk = 1.0
    if row is not None and table.usable_price[row]:
        spot, forecast = float(table.market.price[row]), float(table.market.forecast_mean[row])
        risk = float(table.risk[row])
    signaled_ago = signal_age(workload, workload.pool, now)
    if workload.lifecycle is Lifecycle.ON_DEMAND:
        listed = table.catalog.on_demand_usd_per_hour.get(workload.instance_type, home_on_demand)
        spot = forecast = listed
        risk, state, why = 0.0, State.ON_DEMAND, "bought on-demand"
    elif signaled_ago is not None:
        minutes = signaled_ago.total_seconds() / 60
        state = State.UNBEARABLE
        why = f"interrupted or flagged for rebalance {minutes:.0f} minutes ago"
    elif workload.scheduled_stop is None or (row is not None and table.usable_price[row]):
        state, why = _state_of_spot(
            workload, table, _row_with_price(workload, table, row), home_on_demand
        )
    else:
        state, why = State.UNSAFE, "its price is unknown"
    only_instance = workload.scheduled_stop is not None and state is not State.UNBEARABLE
    if only_instance:
        state, why = State.UNBEARABLE, str(workload.scheduled_stop)
    return Situation(
        workload=workload,
        table=table,
        now=now,
        home=home,
        home_on_demand_usd_per_hour=home_on_demand,
        state=state,
        why=why,
        row=row,
        spot_usd_per_hour=spot,
        forecast_usd_per_hour=forecast,
        risk=risk,
        usage=classify_usage(
            workload.usage, table.catalog.types.get(workload.instance_type), workload.settings
        ),
        only_instance=only_instance,
    )


def signal_age(workload: WorkloadView, pool: Pool, now: datetime) -> timedelta | None:
    """Age of the workload's last signal in the pool, None if it has none within SIGNAL_MEMORY."""
    at = workload.signals.get(pool)
    return now - at if at is not None and now - at < SIGNAL_MEMORY else None


def _row_with_price(workload: WorkloadView, table: MarketTable, row: int | None) -> int:
    if row is None:
        raise CannotJudge(f"no price of the current pool {workload.pool}")
    if not table.usable_price[row]:
        price, mean = table.market.price[row], table.market.forecast_mean[row]
        raise CannotJudge(
            f"the price of the current pool {workload.pool} is implausible: {price:.4f} USD per hour, "
            f"forecast {mean:.4f}, on-demand {table.on_demand[row]:.4f}"
        )
    return row


def _state_of_spot(
    workload: WorkloadView, table: MarketTable, row: int, home_on_demand: float
) -> tuple[State, str]:
    market, settings = table.market, workload.settings
    high = float(market.forecast_p95[row])
    if high >= home_on_demand:
        return (
            State.UNBEARABLE,
            f"the 95 % forecast price {high:.4f} reaches on-demand {home_on_demand:.4f}",
        )
    code = Reason(safety_codes(table, Safety.of(settings))[row])
    if code is not Reason.CANDIDATE:
        return State.UNSAFE, explain_safety(table, row, Safety.of(settings), code)
    discount = 100.0 * (1 - float(market.forecast_mean[row]) / home_on_demand)
    wanted = settings.discount_baseline_points - settings.discount_margin_points
    text = f"forecast discount {discount:.1f} points, {wanted:.1f} wanted"
    return (State.ACCEPTABLE if discount >= wanted else State.EXPENSIVE), text


def explain_safety(table: MarketTable, row: int, safety: Safety, code: Reason) -> str:
    """Why a pool is not safe, with the figure and the limit."""
    market = table.market
    if code is Reason.VOLATILE:
        value, limit = market.rise_volatility_24h[row], safety.rise_volatility_max
        return f"{code.label}: {value:.3f} in 24 h, at most {limit:.3f} is safe"
    if code is Reason.UNSTABLE:
        value, limit = market.instability[row], safety.instability_max
        return f"{code.label} {value:.2f}, below {limit:.2f} is safe"
    return code.label
