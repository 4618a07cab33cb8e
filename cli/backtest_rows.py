"""Rows and columns of a backtest's tables, for the terminal and the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from backtest.policies.simple import ON_DEMAND, STAY
from backtest.results import Figures, Row, knows_the_future
from backtest.runs import SEEING

Kind = Literal["simple", "engine", "future"]


@dataclass(frozen=True)
class Column:
    """A figure of each policy."""

    name: str
    meaning: str
    """One sentence for people who see it for the first time; empty for a plain name."""
    text: Callable[[Row], str]


def kind_of(row: Row) -> Kind:
    """What a policy is: a simple rule, an engine, or one that needs knowledge of the future."""
    if knows_the_future(row.policy):
        return "future"
    return "engine" if ", " in row.policy else "simple"


def telling(rows: Sequence[Row]) -> list[Row]:
    """The rows that matter, the most expensive first: the references, the best simple rule, each
    engine with its best forecast, and the optimum."""
    references = [row for row in rows if row.policy in (ON_DEMAND, STAY, SEEING)]
    rules = [row for row in rows if kind_of(row) == "simple" and row not in references]
    engines: dict[str, Row] = {}
    for row in rows:
        name = row.policy.partition(", ")[0]
        if kind_of(row) == "engine" and (name not in engines or _usd(row) < _usd(engines[name])):
            engines[name] = row
    chosen = [*references, *sorted(rules, key=_usd)[:1], *engines.values()]
    # The optimum last, also where others tie with it.
    return sorted(chosen, key=lambda row: (row.policy == SEEING, -_usd(row)))


def best_engine(figures: Figures) -> Row | None:
    """The cheapest engine that could be switched on, if one was replayed."""
    return min((r for r in figures.rows if kind_of(r) == "engine"), key=_usd, default=None)


def _usd(row: Row) -> float:
    return row.usd_per_month


def percent(share: float, decimals: int = 1, *, sign: bool = False) -> str:
    """A fraction in percent; what rounds to 0 has no sign."""
    value = round(100 * share, decimals) + 0.0
    return f"{value:{'+' if sign and value else ''}.{decimals}f} %"


def or_none(share: float | None) -> str:
    """A fraction in percent, or a dash."""
    return "-" if share is None else percent(share)


USD = Column(
    "USD per month",
    "simulated cost per workload and month: hours, switches, and work lost to interruptions",
    lambda row: f"{row.usd_per_month:.2f}",
)
AGAINST_ON_DEMAND = Column(
    "against on-demand", "", lambda row: percent(row.against_on_demand, sign=True)
)
SWITCHES = Column("switches", "planned ones per run", lambda row: f"{row.switches:.2f}")
INTERRUPTIONS = Column("interruptions", "per run, as drawn", lambda row: f"{row.interruptions:.3f}")
OVER_OPTIMUM = Column(
    "over optimum",
    "cost over that of the clairvoyant optimum, which knows all prices and interruptions in advance;"
    " mean over the runs",
    lambda row: percent(row.over_optimum_mean, 2),
)
OVER_OPTIMUM_P95 = Column(
    "95th percentile",
    "of the cost over the optimum: 95 of 100 runs are below",
    lambda row: percent(row.over_optimum_p95, 2),
)
OVER_BLIND = Column(
    "over blind optimum",
    "cost over that of the optimum that knows all prices, but no interruption",
    lambda row: percent(row.over_blind_optimum_mean, 2),
)
HEADROOM = Column(
    "headroom",
    "share of what the optimum saves against staying on the first pool",
    lambda row: or_none(row.headroom_share),
)
USD_EXPECTED = Column(
    "expected USD",
    "per month, with interruptions by the pools' rates instead of those drawn: less luck in it",
    lambda row: f"{row.usd_expected_per_month:.2f}",
)
INTERRUPTIONS_EXPECTED = Column(
    "expected interruptions",
    "per run, by the pools' rates",
    lambda row: f"{row.interruptions_expected:.3f}",
)
AVAILABILITY = Column(
    "availability",
    "share of the time in which an instance served",
    lambda row: percent(row.availability, 3),
)
FEW_SWITCHES = Column(
    "few switches",
    "share of the runs with at most 1.5 times the optimum's switches and one",
    lambda row: percent(row.switches_within_limit, 0),
)
FIRST_HOUR = Column(
    "first hour",
    "share of the saving that the cheapest pool offered at the start",
    lambda row: or_none(row.first_hour_share),
)
HIGHEST_PRICE = Column(
    "highest price",
    "highest price paid per hour, as a share of on-demand",
    lambda row: percent(row.highest_price_fraction),
)
WORST_POOL = Column(
    "worst pool",
    "where the runs began that ended the furthest above the optimum",
    lambda row: row.worst_pool,
)
FROM_WORST_POOL = Column(
    "from there",
    "cost of the runs from the worst pool over the optimum",
    lambda row: percent(row.worst_pool_over_optimum, 2),
)

MAIN = (USD, AGAINST_ON_DEMAND, SWITCHES, INTERRUPTIONS)
MORE = (
    (OVER_OPTIMUM, OVER_OPTIMUM_P95, OVER_BLIND, HEADROOM),
    (USD_EXPECTED, INTERRUPTIONS_EXPECTED, AVAILABILITY, FEW_SWITCHES),
    (FIRST_HOUR, HIGHEST_PRICE, WORST_POOL, FROM_WORST_POOL),
)
ON_FRONT = "no policy without knowledge of the future has both a lower bill and fewer interruptions"
