"""Read the spot price history from EC2."""

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
    """Rows of DescribeSpotPriceHistory as AWS returned them."""

    received: list[Mapping[str, Any]]
    pages: int

    def rows(self) -> list[PriceRow]:
        """The rows as pool, epoch seconds, USD per hour; NaN if the price is not a number."""
        return [
            (
                Pool(row["InstanceType"], row["AvailabilityZone"]),
                int(row["Timestamp"].timestamp()),
                _number(row["SpotPrice"]),
            )
            for row in self.received
        ]

    def zone_ids(self) -> dict[str, str]:
        """Zone name -> zone id, for the rows that have both."""
        return {
            row["AvailabilityZone"]: row["AvailabilityZoneId"]
            for row in self.received
            if row.get("AvailabilityZoneId")
        }


def read_spot_prices(wanted: Slice) -> PriceReceipt:
    """All price changes of a slice, and the last one before its start for every pool
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
