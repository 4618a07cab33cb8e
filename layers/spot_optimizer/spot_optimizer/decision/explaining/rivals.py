"""What would have made another pool the best: its price, and the removal of what excludes it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from spot_optimizer.decision.explaining.what_if import (
    PRICE_TICK_USD,
    Case,
    Verdict,
    last_that_holds,
)
from spot_optimizer.decision.pool_history import PoolHistory
from spot_optimizer.decision.risk import ADVISOR_BUCKET_WORST
from spot_optimizer.decision.stages import Reason, Safety
from spot_optimizer.market.cleaning import PRICE_TO_ON_DEMAND_MAX
from spot_optimizer.vocabulary import DecisionKind, Lifecycle


@dataclass(frozen=True, slots=True)
class Change:
    """One input that would have had to be different."""

    what: str
    """The input: the name of a setting, or a fact about a pool."""
    now: str
    needed: str


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Changes that together would have changed the decision, and the result, as tried with the engine."""

    changes: tuple[Change, ...]
    then: Verdict


@dataclass(frozen=True, slots=True)
class _Cured:
    case: Case
    change: Change


def would_take(case: Case, row: int) -> Counterfactual | None:
    """The smallest changes with which another spot pool would have been chosen: without the reasons that
    exclude it, and then at the highest price that suffices. None if no price suffices."""
    changes: list[Change] = []
    while not case.takes(row):
        cured = _cured(case, row)
        if cured is None or len(changes) > len(_CURES):
            break
        case = cured.case
        changes.append(cured.change)
    if not case.takes(row):
        case_and_price = _cheap_enough(case, row)
        if case_and_price is None:
            return None
        changes.append(case_and_price.change)
    pool = case.table.market.pools[row]
    return Counterfactual(tuple(changes), Verdict(DecisionKind.SWITCH, pool, Lifecycle.SPOT))


def _cheap_enough(case: Case, row: int) -> _Cured | None:
    market = case.table.market
    now = float(market.forecast_mean[row])
    below = math.ceil(now / PRICE_TICK_USD - 1e-6) - 1
    if below < 1:
        return None
    ticks = last_that_holds(1, below, lambda t: case.with_price(row, t).takes(row))
    if ticks is None:
        return None
    change = Change(
        f"forecast price of {market.pools[row]}", f"{now:.4f}", f"{ticks * 1e-4:.4f} or less"
    )
    return _Cured(case.with_price(row, ticks), change)


def no_longer(case: Case, row: int) -> Counterfactual | None:
    """The forecast price from which on the chosen pool would not have been chosen."""
    market = case.table.market
    now = float(market.forecast_mean[row])
    first = math.floor(now / PRICE_TICK_USD + 1e-6)
    most = math.floor(PRICE_TO_ON_DEMAND_MAX * case.table.on_demand[row] / PRICE_TICK_USD)
    last = last_that_holds(first, most, lambda t: case.with_price(row, t).takes(row))
    if last is None or last >= most:
        return None
    needed = f"{(last + 1) * PRICE_TICK_USD:.4f} or more"
    change = Change(f"forecast price of {market.pools[row]}", f"{now:.4f}", needed)
    return Counterfactual((change,), case.with_price(row, last + 1).verdict())


def more_expensive_here(case: Case, row: int) -> Counterfactual | None:
    """The forecast price of the current pool from which on the decision would have been different."""
    market, actual = case.table.market, case.verdict()
    now = float(market.forecast_mean[row])
    first = math.floor(now / PRICE_TICK_USD + 1e-6)
    # Above on-demand the workload leaves the pool in any case.
    home = case.table.catalog.on_demand_usd_per_hour.get(case.workload.home_type, 0.0)
    most = math.ceil(2 * max(home, float(case.table.on_demand[row])) / PRICE_TICK_USD)
    last = last_that_holds(first, most, lambda t: case.with_price(row, t).verdict() == actual)
    if last is None or last >= most:
        return None
    needed = f"{(last + 1) * PRICE_TICK_USD:.4f} or more"
    change = Change(f"forecast price here, {market.pools[row]}", f"{now:.4f}", needed)
    return Counterfactual((change,), case.with_price(row, last + 1).verdict())


def _cured(case: Case, row: int) -> _Cured | None:
    """The case without the reason that excludes the pool; None if that reason is not transient."""
    selection = case.look().outcome.selection
    if selection is None:
        return None
    cure = _CURES.get(selection.code(row))
    return cure(case, row) if cure else None


def _calm(case: Case, row: int) -> _Cured:
    limit = Safety.of(case.workload.settings).rise_volatility_max
    now = float(case.table.market.rise_volatility_24h[row])
    cured = case.with_facts(row, rise_volatility_24h=limit)
    return _Cured(
        cured, _of(case, row, "24 h volatility of rises", f"{now:.3f}", f"{limit:.3f} or less")
    )


def _stable(case: Case, row: int) -> _Cured:
    limit = case.workload.settings.instability_max
    now = float(case.table.market.instability[row])
    cured = case.with_facts(row, instability=math.nextafter(limit, 0))
    return _Cured(cured, _of(case, row, "instability", f"{now:.2f}", f"below {limit:.2f}"))


def _seldom_interrupted(case: Case, row: int) -> _Cured:
    cured = case.with_facts(row, advisor_bucket=ADVISOR_BUCKET_WORST - 1)
    return _Cured(cured, _of(case, row, "Spot Advisor's bucket", "> 20 %", "15-20 % or better"))


def _with_history(case: Case, row: int) -> _Cured:
    market = case.table.market
    known = {
        name: 0.0 if math.isnan(value) else value
        for name in ("rise_volatility_24h", "instability")
        for value in (float(getattr(market, name)[row]),)
    }
    return _Cured(
        case.with_facts(row, **known), _of(case, row, "price history", "none", "a calm day")
    )


def _confirmed(case: Case, row: int) -> _Cured:
    market = case.table.market
    minutes = case.workload.settings.confirm_safe_minutes
    cured = case.with_facts(
        row,
        rise_volatility_worst_recent=float(market.rise_volatility_24h[row]),
        instability_worst_recent=float(market.instability[row]),
        advisor_bucket_worst_recent=float(market.advisor_bucket[row]),
        history_s=max(float(market.history_s[row]), 60 * minutes),
    )
    return _Cured(cured, _of(case, row, "safe", "now", f"for {minutes:g} minutes"))


def _not_refused(case: Case, row: int) -> _Cured:
    table, pool = case.table, case.table.market.pools[row]
    refusals = {p: weight for p, weight in table.pool_history.refusals.items() if p != pool}
    known = table.pool_history
    pool_history = PoolHistory(refusals, known.interruptions, known.instance_hours)
    cured = replace(case, table=replace(table, pool_history=pool_history, shared_codes={}))
    return _Cured(cured, _of(case, row, "refused launches", "lately", "none"))


def _not_signalled(case: Case, row: int) -> _Cured:
    pool = case.table.market.pools[row]
    signals = {p: at for p, at in case.workload.signals.items() if p != pool}
    cured = case.workload_with(signals=signals)
    return _Cured(cured, _of(case, row, "EC2's signals", "in the last 2 h", "none"))


def _of(case: Case, row: int, what: str, now: str, needed: str) -> Change:
    return Change(f"{what} of {case.table.market.pools[row]}", now, needed)


_CURES: dict[int, Callable[[Case, int], _Cured]] = {
    Reason.REFUSED_LATELY: _not_refused,
    Reason.NO_HISTORY: _with_history,
    Reason.VOLATILE: _calm,
    Reason.UNSTABLE: _stable,
    Reason.OFTEN_INTERRUPTED: _seldom_interrupted,
    Reason.SIGNALLED: _not_signalled,
    Reason.UNCONFIRMED: _confirmed,
}
"""Transient reasons -> the case without the reason."""
