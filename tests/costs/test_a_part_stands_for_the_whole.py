"""What is scaled from a part of the time is what the whole time uses."""

import pytest

from simulator.costs.bill import bill_of
from simulator.costs.meter import Usage
from simulator.costs.month import Lived, month_of
from simulator.costs.price_table import HOURS_PER_MONTH, Item
from tests.costs.conftest import BEGINNING_H

NEARLY = 0.03
"""Sizes of compressed objects and of what came from EC2 are not the same every hour; forecasts of twelve
hours ago are scored from some hour on."""


def totals(usage: Usage) -> dict[Item, float]:
    found: dict[Item, float] = {}
    for (item, _), quantity in usage.items():
        found[item] = found.get(item, 0.0) + quantity
    return found


def test_part_times_its_share_is_the_whole(part: Lived, whole: Lived) -> None:
    """Everything that a quarter of a day uses is half of what half a day uses."""
    of_part, of_whole = totals(part.daily), totals(whole.daily)
    assert of_part.keys() == of_whole.keys()
    for item, quantity in of_whole.items():
        assert 2 * of_part[item] == pytest.approx(quantity, rel=NEARLY), item


def test_months_of_both_cost_the_same(part: Lived, whole: Lived) -> None:
    """A month from a quarter of a day is a month from half a day, line by line."""
    bills = [
        {line.item: line.usd for line in bill_of(month_of(lived)).lines} for lived in (part, whole)
    ]
    assert bills[0] == pytest.approx(bills[1], rel=0.05, abs=0.001)


def test_beginning_counts_once(part: Lived) -> None:
    """What happened at the beginning is not multiplied, what happened after it is, alarms are not."""
    month, once, daily = (totals(usage) for usage in (month_of(part), part.once, part.daily))
    times = (HOURS_PER_MONTH - BEGINNING_H) / 24 / part.days
    for item in (Item.S3_PUTS, Item.LAMBDA_REQUESTS, Item.DYNAMODB_WRITES):
        assert month[item] == pytest.approx(once[item] + times * daily[item])
    assert month[Item.ALARMS] == part.deployed[Item.ALARMS]
    assert month[Item.DASHBOARDS] == 1


def test_long_retention_is_counted_in_full(part: Lived) -> None:
    """Receipts are stored for the retention, not for a month; what has no end only as it is."""
    sizes = {who: gb for (item, who), gb in month_of(part).items() if item is Item.S3_STORAGE}
    grown = part.stored_at_end["receipts/"] - part.stored_at_begin["receipts/"]
    assert grown > 0
    assert sizes["receipts/"] == pytest.approx(grown / part.days * 400 / 1e9)
    assert sizes["market/"] == pytest.approx(part.stored_at_end["market/"] / 1e9)


def test_fixed_cost_stays_below_ten_dollars(part: Lived) -> None:
    """Dashboard, alarms and custom metrics; every new one has to pay for itself."""
    assert 3 < bill_of(month_of(part)).fixed_usd < 10
