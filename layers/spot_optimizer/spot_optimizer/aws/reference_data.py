"""Instance types, offerings, on-demand prices and the Spot Advisor file, as AWS publishes them."""

import urllib.request
from typing import Any

from spot_optimizer.aws.clients import PRICE_LIST_REGION, client
from spot_optimizer.market.on_demand import REQUIRED_ATTRIBUTES

SPOT_ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
"""The file behind https://aws.amazon.com/ec2/spot/instance-advisor/."""
_ADVISOR_TIMEOUT_S = 20


def read_instance_types() -> list[dict[str, Any]]:
    """Rows of DescribeInstanceTypes that can be bought as spot and are no bare metal."""
    pages = client("ec2").get_paginator("describe_instance_types").paginate(
        Filters=[
            {"Name": "supported-usage-class", "Values": ["spot"]},
            {"Name": "bare-metal", "Values": ["false"]},
        ]
    )
    return [row for page in pages for row in page["InstanceTypes"]]


def read_offerings() -> list[dict[str, Any]]:
    """Rows of DescribeInstanceTypeOfferings by availability zone."""
    pages = client("ec2").get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone"
    )
    return [row for page in pages for row in page["InstanceTypeOfferings"]]


def read_price_list(region: str) -> list[str]:
    """Products of the price list that may be on-demand prices of the region's Linux instances."""
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in {**REQUIRED_ATTRIBUTES, "regionCode": region}.items()
    ]
    pages = client("pricing", PRICE_LIST_REGION).get_paginator("get_products").paginate(
        ServiceCode="AmazonEC2", Filters=filters
    )
    return [product for page in pages for product in page["PriceList"]]


def read_spot_advisor() -> bytes:
    """The Spot Advisor file as it is served."""
    with urllib.request.urlopen(SPOT_ADVISOR_URL, timeout=_ADVISOR_TIMEOUT_S) as reply:
        body: bytes = reply.read()
    return body
