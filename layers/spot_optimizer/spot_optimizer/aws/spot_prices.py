"""Spot price history from EC2."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from spot_optimizer.aws.clients import client
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.collection_plan import Slice
from spot_optimizer.vocabulary import Pool

PRODUCT = "Linux/UNIX"


@dataclass(frozen=True, slots=True)
class PriceReceipt:
    """Rows of DescribeSpotPriceHistory as they came, and the same as price rows."""

    received: list[Mapping[str, Any]]
    pages: int

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

    def zone_ids(self) -> dict[str, str]:
        """Zone name -> zone id, as far as the rows say it."""
        return {
            row["AvailabilityZone"]: row["AvailabilityZoneId"]
            for row in self.received
            if row.get("AvailabilityZoneId")
        }


def read_spot_prices(wanted: Slice) -> PriceReceipt:
    """All price changes that a slice asks for, and the last one before its start for every pool
    (DescribeSpotPriceHistory API reference, StartTime).

    Always filtered by product and types. An empty NextToken ends the pages; a page may be empty
    without being the last.
    """
    pages = list(_pages(wanted))
    return PriceReceipt([row for page in pages for row in page], len(pages))


def _pages(wanted: Slice) -> Iterator[Sequence[Mapping[str, Any]]]:
    more: dict[str, Any] = {}
    while True:
        page = client("ec2").describe_spot_price_history(
            InstanceTypes=cast(Any, list(wanted.types)),
            ProductDescriptions=[PRODUCT],
            StartTime=datetime.fromtimestamp(wanted.start_s, UTC),
            EndTime=datetime.fromtimestamp(wanted.end_s, UTC),
            **more,
        )
        yield page["SpotPriceHistory"]
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
