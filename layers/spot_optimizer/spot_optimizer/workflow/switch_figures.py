"""What a switch that succeeded brought: its savings, overlap, break-even and downtime.

A saving is the difference of like prices: current price minus current price, forecast price minus
forecast price. The order of a switch holds one price of each place only, so both prices come from the
record of the decision that ordered it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.contracts.switch import Target
from spot_optimizer.vocabulary import DecisionKind, Lifecycle


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per hour of one place at the time of the decision; None if unknown.

    Both are the list price if the place is on-demand.
    """

    spot_usd_per_hour: float | None
    """Current price."""
    forecast_usd_per_hour: float | None
    """Mean forecast price of the next hour."""


def success_figures(
    switch: SwitchItem, decision: Mapping[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """The outcome of a switch that succeeded. What is unknown is None.

    ``decision`` is the record of the decision that ordered it. A failover has none, and version 0.1.0
    wrote none for some decisions and no current prices of candidates.

    ``saving_usd_per_hour`` and the other prices without "spot" or "forecast" in their names are what
    0.1.0 wrote; they are current prices.
    """
    before, after = _prices_before(switch, decision), _prices_after(switch, decision)
    saving_spot = _difference(before.spot_usd_per_hour, after.spot_usd_per_hour)
    saving_forecast = _difference(before.forecast_usd_per_hour, after.forecast_usd_per_hour)
    assert switch.launched_at is not None
    overlap_s = (now - switch.launched_at).total_seconds()
    overlap_usd = _overlap_usd(before, after, overlap_s)
    return {
        "summary": _summary(switch, saving_spot, saving_forecast),
        "original_terminated": switch.order.auto_terminate,
        "spot_before_usd_per_hour": before.spot_usd_per_hour,
        "spot_after_usd_per_hour": after.spot_usd_per_hour,
        "forecast_before_usd_per_hour": before.forecast_usd_per_hour,
        "forecast_after_usd_per_hour": after.forecast_usd_per_hour,
        "saving_spot_usd_per_hour": saving_spot,
        "saving_forecast_usd_per_hour": saving_forecast,
        "price_before_usd_per_hour": before.spot_usd_per_hour,
        "price_after_usd_per_hour": after.spot_usd_per_hour,
        "saving_usd_per_hour": saving_spot,
        "overlap_s": overlap_s,
        "overlap_usd": overlap_usd,
        "break_even_hours": _break_even_hours(overlap_usd, saving_spot),
        "duration_s": (now - switch.claimed_at).total_seconds(),
        "downtime_s": _downtime_s(switch),
    }


def _prices_before(switch: SwitchItem, decision: Mapping[str, Any] | None) -> Prices:
    original = switch.order.original
    forecast = _number(decision or {}, "current_forecast_usd_per_hour")
    return _with_list_price(Prices(original.spot_usd_per_hour, forecast), original.lifecycle)


def _prices_after(switch: SwitchItem, decision: Mapping[str, Any] | None) -> Prices:
    target = switch.order.candidates[switch.candidate]
    recorded = _candidate_of(decision, target)
    spot = _number(recorded, "spot_usd_per_hour")
    return _with_list_price(Prices(spot, target.forecast_usd_per_hour), target.lifecycle)


def _with_list_price(prices: Prices, lifecycle: Lifecycle) -> Prices:
    """An on-demand price is both: if one of the two is known, so is the other."""
    if lifecycle is not Lifecycle.ON_DEMAND:
        return prices
    spot, forecast = prices.spot_usd_per_hour, prices.forecast_usd_per_hour
    return Prices(
        spot_usd_per_hour=forecast if spot is None else spot,
        forecast_usd_per_hour=spot if forecast is None else forecast,
    )


def _candidate_of(decision: Mapping[str, Any] | None, target: Target) -> Mapping[str, Any]:
    """The decision's candidate that is the order's ``target``; empty if there is none.

    Compared by place, because the order of a failover or an older version may list other candidates.
    """
    place = (target.instance_type, target.availability_zone, target.lifecycle.value)
    candidates: list[Mapping[str, Any]] = list((decision or {}).get("candidates") or ())
    for each in candidates:
        if (each["instance_type"], each["availability_zone"], each["lifecycle"]) == place:
            return each
    return {}


def _number(record: Mapping[str, Any], name: str) -> float | None:
    value = record.get(name)
    return None if value is None else float(value)


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def _overlap_usd(before: Prices, after: Prices, overlap_s: float) -> float | None:
    """Cost of the time in which both instances ran: the cheaper of the two was the additional one."""
    if before.spot_usd_per_hour is None or after.spot_usd_per_hour is None:
        return None
    return min(before.spot_usd_per_hour, after.spot_usd_per_hour) * overlap_s / 3600


def _break_even_hours(overlap_usd: float | None, saving: float | None) -> float | None:
    """Hours until the saving has paid for the overlap; None if there is no saving."""
    if overlap_usd is None or saving is None or saving <= 0:
        return None
    return overlap_usd / saving


def _summary(switch: SwitchItem, saving_spot: float | None, saving_forecast: float | None) -> str:
    original, target = switch.order.original, switch.order.candidates[switch.candidate]
    savings = {"current prices": saving_spot, "forecast prices": saving_forecast}
    texts = {
        prices: _saving_text(saving) for prices, saving in savings.items() if saving is not None
    }
    if len(texts) == 2 and len(set(texts.values())) == 1:
        texts = {"current and forecast prices": texts["current prices"]}
    return ", ".join(
        [
            f"{original.instance_type}/{original.availability_zone} {original.lifecycle}"
            f" -> {target.instance_type}/{target.availability_zone} {target.lifecycle}",
            *(f"{text} at {prices}" for prices, text in texts.items()),
        ]
    )


def _saving_text(saving: float) -> str:
    if saving < 0:
        return f"costs {-saving:.4f} USD per hour more"
    return f"saves {saving:.4f} USD per hour"


def _downtime_s(switch: SwitchItem) -> float | None:
    """Seconds between the original's last and the replacement's first readiness.

    0 for a switch: it launches before it terminates and hands over between two healthy instances. For a
    failover, the time from the end of the original to the hand-over; None if no signal gave that end, or
    if the hand-over is owed.
    """
    end = switch.order.original_ends_at
    if switch.order.kind is DecisionKind.EVACUATE and end is None:
        return None
    if end is None:
        return 0.0
    if switch.owed_because or switch.handed_over_at is None:
        return None
    return max(0.0, (switch.handed_over_at - end).total_seconds())
