"""Small markets to replay, and cases made by hand."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from backtest.hazards import draw_hits
from backtest.inputs import known_types
from backtest.period import Period, period_of
from backtest.requirements import Case, Requirement, case_of
from backtest.starts import Starts, run_hours, starts_of
from models.markets import Market
from simulator.market.on_demand import on_demand_prices
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.settings import Settings
from tests.models.small_markets import START_S, small_market

SETTINGS = Settings()
DAYS = 12.0


def market(rows: Sequence[PriceRow], days: float) -> Market:
    """Rows as a recorded market of us-east-1."""
    changes, _ = PriceChanges().merge(rows, {})
    prices = on_demand_prices({pool.instance_type for pool in changes.pools})
    return Market("us-east-1", changes, prices, START_S, START_S + int(days * 86_400))


@cache
def recorded(seed: int = 7) -> Market:
    """Twelve pools over twelve days."""
    return market(small_market(DAYS, seed), DAYS)


def period(of: Market, days: float | None = None) -> Period:
    """A market's end for a workload on m5.large."""
    return period_of(of, known_types(), ("m5.large",), days=days, until_s=None)


def case(of: Period, rate: float = 0.0, settings: Settings = SETTINGS) -> Case:
    """A flexible workload on m5.large, interrupted at one rate everywhere."""
    rates = np.full(len(of.pools), rate)
    return case_of(of, Requirement("shop", "m5.large", ("*",), settings), rates)


def begun(of: Period, seed: int, rate: float = 0.0, settings: Settings = SETTINGS) -> Starts:
    """Three runs of it."""
    rates = np.full(len(of.pools), rate)
    hits = draw_hits(of.pools, rates, of.start_s, run_hours(of.hours), 3, seed=1)
    return starts_of(case(of, rate, settings), hits, draws=1, seed=seed)


def by_hand(
    prices: Sequence[Sequence[float]],
    on_demand: float,
    first: int,
    hits: Mapping[int, int] | None = None,
    rates: Sequence[float] | None = None,
) -> Starts:
    """One run over hours whose prices (T, K) are given; ``hits`` is hour -> pool."""
    made = case(period(recorded(), days=1))
    price = np.array(prices)
    hours, pools = price.shape
    full = np.hstack((price, np.full((hours, 1), on_demand)))
    hit = np.zeros((1, hours, pools + 1), dtype=np.bool_)
    for hour, pool in (hits or {}).items():
        hit[0, hour, pool] = True
    small = Case(
        requirement=made.requirement,
        period=_cut(made.period, hours),
        columns=np.arange(pools),
        price=full,
        billed=full,
        rate_per_hour=np.append(rates if rates is not None else np.zeros(pools), 0.0),
        on_demand_usd_per_hour=on_demand,
        view=made.view,
    )
    return Starts(small, np.array([0]), np.array([first]), hit)


def _cut(of: Period, hours: int) -> Period:
    return Period(
        of.region, of.market, of.catalog, of.start_s, of.price[:hours], of.next_price[:hours],
        of.billed[:hours], np.full((hours, len(of.pools)), 10.0),
    )  # fmt: skip
