"""Spot price history from EC2."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spot_optimizer.aws.clients import client
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.words import Pool

PRODUCT = "Linux/UNIX"
_TYPES_MAX = 200
"""Types a request names at most: a longer filter makes the request itself too large."""


@dataclass(frozen=True, slots=True)
class PriceReceipt:
    """Rows of DescribeSpotPriceHistory as they came, and the same as price rows."""

    received: list[dict[str, Any]]

    def rows(self) -> list[PriceRow]:
        """Pool, epoch seconds, USD per hour; a price that is no number becomes NaN."""
        return [
            (
                Pool(row["InstanceType"], row["AvailabilityZone"]),
                int(row["Timestamp"].timestamp()),
                _number(row["SpotPrice"]),
            )
            for row in self.received
        ]


def read_spot_prices(
    instance_types: Iterable[str], start: datetime, end: datetime
) -> PriceReceipt:
    """All price changes of these types from ``start`` to ``end``, and the last one before ``start``
    for every pool (DescribeSpotPriceHistory API reference, StartTime).

    Always filtered by product and types. An empty NextToken ends the pages; a page may be empty
    without being the last.
    """
    wanted = sorted(instance_types)
    received: list[dict[str, Any]] = []
    for first in range(0, len(wanted), _TYPES_MAX):
        received += _pages(wanted[first : first + _TYPES_MAX], start, end)
    return PriceReceipt(received)


def _pages(types: list[str], start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = client("ec2").describe_spot_price_history(
            InstanceTypes=types,
            ProductDescriptions=[PRODUCT],
            StartTime=start,
            EndTime=end,
            **({"NextToken": token} if token else {}),
        )
        yield from page["SpotPriceHistory"]
        token = page.get("NextToken", "")
        if not token:
            return


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
