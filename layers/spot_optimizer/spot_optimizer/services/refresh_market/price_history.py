"""The price archive: back-fill it from AWS in slices, report its gaps, show prices of any past day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from spot_optimizer.market.collection_plan import Slice, history_span, plan_slices
from spot_optimizer.market.coverage import Coverage, Span, clipped, missing
from spot_optimizer.market.gap_methods import Method
from spot_optimizer.market.gaps import count_gaps, find_gaps
from spot_optimizer.market.grid_view import LOOK_AROUND_S, grid_view
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.price_months import Month, months_in
from spot_optimizer.services.refresh_market.collection import Collected, collect
from spot_optimizer.services.refresh_market.price_imports import read_imports
from spot_optimizer.services.refresh_market.recent_prices import KEPT_AT_HAND, Market
from spot_optimizer.vocabulary import DAY_S

ARCHIVED_AFTER = timedelta(days=6)
"""Days older than this are archived, before they leave the recent prices."""

SLICES_BY_HAND = 8
"""Slices of one ``fill`` request; a scheduled run takes one."""


def fill_history(market: Market, wanted_since: datetime | None, slices: int) -> dict[str, Any]:
    """Add up to ``slices`` slices to the archive, and report how complete it is.

    Days that leave the recent prices are copied from there; what is still missing is requested from
    AWS, the newest first. Each slice is stored before the next is requested, so that a run that dies
    loses one slice.
    """
    span = _wanted(market, wanted_since)
    archived_days = _archive_leaving_days(market)
    rows = changes = done = 0
    for _ in range(slices):
        wanted = _next_slice(market, span)
        if wanted is None:
            break
        found = _collect_slice(market, wanted)
        rows, changes = rows + found.counts["received"], changes + found.counts["changes"]
        done += found.slices
        if found.failed:
            return {**history_status(market, wanted_since), "failed": found.failed}
    return {
        **history_status(market, wanted_since),
        "slices_done": done,
        "received": rows,
        "changes": changes,
        "days_taken_over": archived_days,
    }


def history_status(market: Market, wanted_since: datetime | None) -> dict[str, Any]:
    """How much of the wanted past the archive has. Calls no price API and changes nothing."""
    span = _wanted(market, wanted_since)
    coverage, _ = market.prices.contents("reported", months_in(span))
    wanted_s = len(market.types) * (span[1] - span[0])
    covered_s = sum(
        end_s - start_s
        for name in market.types
        for start_s, end_s in clipped(coverage.of_type(name), span)
    )
    return {
        "from": _iso(span[0]),
        "until": _iso(span[1]),
        "types": len(market.types),
        "covered_fraction": round(covered_s / wanted_s, 4) if wanted_s else 1.0,
        "slices_left": len(plan_slices(coverage, market.types, span)),
        "imports": read_imports(market.store),
    }


def analyse_history(
    market: Market, wanted_since: datetime | None, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    """What a span lacks (default: the wanted past up to now): what AWS can still return, and gaps by
    kind, which decides how views fill them."""
    start_s = int(since.timestamp()) if since else _wanted(market, wanted_since)[0]
    end_s = int(until.timestamp()) if until else market.now_s
    span = (start_s, min(end_s, market.now_s))
    wide = (span[0] - LOOK_AROUND_S, min(span[1] + LOOK_AROUND_S, market.now_s))
    at_hand = market.prices.at_hand()
    archived, pools = market.prices.contents("reported", months_in(wide))
    imported, imported_pools = market.prices.contents("imported", months_in(wide))
    reported = archived.union(at_hand.coverage)
    aws_since_s = history_span(None, market.now_s, 0)[0]
    from_aws = plan_slices(reported, market.types, (max(span[0], aws_since_s), span[1]))
    everything = {*pools, *imported_pools, *at_hand.changes.pools}
    gaps = find_gaps([reported, imported], everything, span)
    return {
        "from": _iso(span[0]),
        "until": _iso(span[1]),
        "pools": len(everything),
        "aws_can_tell": [_describe(part) for part in from_aws],
        "gaps": count_gaps(gaps),
    }


def price_grid(
    market: Market, instance_type: str, since: datetime, until: datetime
) -> dict[str, Any]:
    """Five-minute prices of a type in all its zones, with method and confidence."""
    span = (int(since.timestamp()), int(until.timestamp()))
    wide = (span[0] - LOOK_AROUND_S, span[1] + LOOK_AROUND_S)
    only = frozenset({instance_type})
    grid = grid_view(
        market.prices.read("reported", wide).restrict(only),
        market.prices.read("imported", wide).restrict(only),
        span,
    )
    confidence = grid.confidence
    return {
        "instance_type": instance_type,
        "pools": {
            pool.availability_zone: [
                {
                    "time": _iso(int(time_s)),
                    "price_usd_per_hour": round(float(grid.price[row, column]), 6),
                    "method": Method(int(grid.method[row, column])).name.lower(),
                    "confidence": float(confidence[row, column]),
                }
                for column, time_s in enumerate(grid.time_s)
                if np.isfinite(grid.price[row, column])
            ]
            for row, pool in enumerate(grid.pools)
        },
        "empty_buckets": int((grid.method == Method.NONE).sum()),
    }


def _wanted(market: Market, wanted_since: datetime | None) -> Span:
    since_s = None if wanted_since is None else int(wanted_since.timestamp())
    return history_span(since_s, market.now_s, int(ARCHIVED_AFTER.total_seconds()))


def _archive_leaving_days(market: Market) -> int:
    """Archive the days that will soon leave the recent prices; returns the number of new type-days."""
    at_hand = market.prices.at_hand()
    oldest_s = market.now_s - int(KEPT_AT_HAND.total_seconds())
    end_s = (market.now_s - int(ARCHIVED_AFTER.total_seconds())) // DAY_S * DAY_S
    new_s = 0
    for month in months_in((oldest_s, end_s)):
        span = (max(oldest_s, month.span[0]), min(end_s, month.span[1]))
        archived, _ = market.prices.contents("reported", [month])
        leaving = at_hand.between(span)
        lacking_s = sum(_lacking_s(leaving.coverage, archived, name) for name in market.types)
        if lacking_s:
            market.prices.add_to_month("reported", month, leaving)
            new_s += lacking_s
    return round(new_s / DAY_S)


def _lacking_s(leaving: Coverage, archived: Coverage, name: str) -> int:
    known = archived.of_type(name)
    return sum(
        end_s - start_s for span in leaving.of_type(name) for start_s, end_s in missing(known, span)
    )


def _next_slice(market: Market, span: Span) -> Slice | None:
    """The newest missing slice, cut to one month: it is stored in that month's object."""
    coverage, _ = market.prices.contents("reported", months_in(span))
    slices = plan_slices(coverage, market.types, span)
    if not slices:
        return None
    newest = slices[0]
    month = Month.of(newest.end_s - 1)
    return Slice(newest.types, max(newest.start_s, month.span[0]), newest.end_s)


def _collect_slice(market: Market, wanted: Slice) -> Collected:
    month = Month.of(wanted.end_s - 1)
    return collect(
        market.store,
        PriceBook(),
        [wanted],
        on_demand_usd_per_hour=market.on_demand_usd_per_hour,
        now=market.now,
        name=f"history-{wanted.start_s}",
        save=lambda book: market.prices.add_to_month("reported", month, book),
    )


def _describe(part: Slice) -> dict[str, Any]:
    return {"types": len(part.types), "from": _iso(part.start_s), "until": _iso(part.end_s)}


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()
