"""Read instance types, offerings, on-demand prices and the Spot Advisor file from AWS."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.clients import client
from spot_optimizer.market.on_demand import REQUIRED_ATTRIBUTES
from spot_optimizer.switching.instance_record import Record
from spot_optimizer.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_pricing.type_defs import FilterTypeDef

SPOT_ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
"""The file behind https://aws.amazon.com/ec2/spot/instance-advisor/."""
_ADVISOR_TIMEOUT_S = 20
_ADVISOR_BYTES_MAX = 64 * 1024 * 1024
"""The file has 5 MB; an endless answer must not fill the memory."""

_PRICE_LIST_REGIONS = {"eu": "eu-central-1", "ap": "ap-south-1"}
"""Prefix of the region -> nearest endpoint of the Price List API. The only other endpoint is in
us-east-1 (AWS Billing user guide, "Price List Query API", Service endpoints)."""
_PRICE_LIST_REGION = "us-east-1"


def read_instance_types() -> list[Record]:
    """Rows of DescribeInstanceTypes that can be bought as spot and are no bare metal."""
    pages = (
        client("ec2")
        .get_paginator("describe_instance_types")
        .paginate(
            Filters=[
                {"Name": "supported-usage-class", "Values": ["spot"]},
                {"Name": "bare-metal", "Values": ["false"]},
            ]
        )
    )
    return [row for page in pages for row in page["InstanceTypes"]]


def read_offerings() -> list[Record]:
    """Rows of DescribeInstanceTypeOfferings by availability zone."""
    pages = (
        client("ec2")
        .get_paginator("describe_instance_type_offerings")
        .paginate(LocationType="availability-zone")
    )
    return [row for page in pages for row in page["InstanceTypeOfferings"]]


def read_price_list(region: str) -> list[str]:
    """Products of the price list that may be on-demand prices of the region's Linux instances.

    Reads from the nearest endpoint; if that fails, from us-east-1. Raises AWS's last error.
    """
    nearest = _PRICE_LIST_REGIONS.get(region.partition("-")[0], _PRICE_LIST_REGION)
    try:
        return _products(region, nearest)
    except (BotoCoreError, ClientError) as error:
        if nearest == _PRICE_LIST_REGION:
            raise
        logger.warning("price list not read, trying us-east-1", endpoint=nearest, reason=str(error))
        return _products(region, _PRICE_LIST_REGION)


def _products(region: str, endpoint: str) -> list[str]:
    filters: list[FilterTypeDef] = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in {**REQUIRED_ATTRIBUTES, "regionCode": region}.items()
    ]
    pages = (
        client("pricing", endpoint)
        .get_paginator("get_products")
        .paginate(ServiceCode="AmazonEC2", Filters=filters)
    )
    return [product for page in pages for product in page["PriceList"]]


@dataclass(frozen=True, slots=True)
class AdvisorAnswer:
    """Answer to a conditional request for the Spot Advisor file."""

    body: bytes | None
    """None if the file has not changed."""
    etag: str = ""
    last_modified: str = ""


def read_spot_advisor(etag: str = "", last_modified: str = "") -> AdvisorAnswer:
    """Read the Spot Advisor file, unless it still has this ETag or date (RFC 9110, conditional
    requests). Raises OSError if it cannot be read."""
    conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    request = urllib.request.Request(
        SPOT_ADVISOR_URL, headers={name: value for name, value in conditions.items() if value}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ADVISOR_TIMEOUT_S) as reply:
            body: bytes = reply.read(_ADVISOR_BYTES_MAX)
            headers = reply.headers
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_MODIFIED:
            return AdvisorAnswer(None, etag, last_modified)
        raise
    except http.client.HTTPException as error:
        raise OSError(f"the answer was interrupted: {error!r}") from error
    return AdvisorAnswer(body, headers.get("ETag", ""), headers.get("Last-Modified", ""))
