"""What AWS charges for what a stack uses: us-east-1, public list prices, no free tier.

One line for each thing that is counted, with the page that says its price and the month in which it
was last looked up. First tiers only: no stack here leaves them.
"""

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["HOURS_PER_MONTH", "PRICES", "Item", "Price"]

HOURS_PER_MONTH = 730.0
"""AWS's own month (AWS Pricing Calculator, "Assumptions")."""


class Item(Enum):
    """Everything that is counted."""

    LAMBDA_REQUESTS = auto()
    LAMBDA_GB_SECONDS = auto()
    DYNAMODB_READS = auto()
    DYNAMODB_WRITES = auto()
    DYNAMODB_STORAGE = auto()
    DYNAMODB_RECOVERY = auto()
    S3_PUTS = auto()
    S3_GETS = auto()
    S3_STORAGE = auto()
    TRANSITIONS = auto()
    METRICS = auto()
    ALARMS = auto()
    DASHBOARDS = auto()
    METRICS_READ = auto()
    METRIC_LISTS = auto()
    LOGS = auto()
    LOGS_STORED = auto()
    TRACES = auto()
    EVENTS = auto()
    NOTICES = auto()
    NOTICE_MAILS = auto()
    MESSAGES = auto()
    KEY_REQUESTS = auto()


@dataclass(frozen=True, slots=True)
class Price:
    """USD for ``per`` of an item, the page that says so, and the month of the last look."""

    service: str
    what: str
    usd: float
    per: float
    page: str
    seen: str
    fixed: bool = False
    """Whether it is paid per deployed resource, independent of the workloads."""

    def cost_usd(self, quantity: float) -> float:
        """Of so many."""
        return quantity * self.usd / self.per


_LAMBDA = "aws.amazon.com/lambda/pricing"
_DYNAMODB = "aws.amazon.com/dynamodb/pricing/on-demand"
_S3 = "aws.amazon.com/s3/pricing"
_CLOUDWATCH = "aws.amazon.com/cloudwatch/pricing"
_NOVEMBER = "2026-11"

PRICES: dict[Item, Price] = {
    Item.LAMBDA_REQUESTS: Price("Lambda", "requests", 0.20, 1e6, _LAMBDA, _NOVEMBER),
    Item.LAMBDA_GB_SECONDS: Price(
        "Lambda", "GB-seconds (arm64)", 0.0000133334, 1, _LAMBDA, _NOVEMBER
    ),
    Item.DYNAMODB_READS: Price("DynamoDB", "read request units", 0.125, 1e6, _DYNAMODB, _NOVEMBER),
    Item.DYNAMODB_WRITES: Price(
        "DynamoDB", "write request units", 0.625, 1e6, _DYNAMODB, _NOVEMBER
    ),
    Item.DYNAMODB_STORAGE: Price("DynamoDB", "stored GB-months", 0.25, 1, _DYNAMODB, _NOVEMBER),
    Item.DYNAMODB_RECOVERY: Price(
        "DynamoDB", "point-in-time recovery, GB-months", 0.20, 1, _DYNAMODB, _NOVEMBER
    ),
    Item.S3_PUTS: Price("S3", "PUT and LIST requests", 0.005, 1e3, _S3, _NOVEMBER),
    Item.S3_GETS: Price("S3", "GET requests", 0.0004, 1e3, _S3, _NOVEMBER),
    Item.S3_STORAGE: Price("S3", "stored GB-months", 0.023, 1, _S3, _NOVEMBER),
    Item.TRANSITIONS: Price(
        "Step Functions",
        "state transitions",
        0.025,
        1e3,
        "aws.amazon.com/step-functions/pricing",
        _NOVEMBER,
    ),
    Item.METRICS: Price(
        "CloudWatch", "custom metrics", 0.30, 1, _CLOUDWATCH, _NOVEMBER, fixed=True
    ),
    Item.ALARMS: Price("CloudWatch", "alarms", 0.10, 1, _CLOUDWATCH, _NOVEMBER, fixed=True),
    Item.DASHBOARDS: Price("CloudWatch", "dashboards", 3.00, 1, _CLOUDWATCH, _NOVEMBER, fixed=True),
    Item.METRICS_READ: Price(
        "CloudWatch", "metrics read (GetMetricData)", 0.01, 1e3, _CLOUDWATCH, _NOVEMBER
    ),
    Item.METRIC_LISTS: Price(
        "CloudWatch", "API requests (ListMetrics)", 0.01, 1e3, _CLOUDWATCH, _NOVEMBER
    ),
    Item.LOGS: Price("CloudWatch", "logs ingested, GB", 0.50, 1, _CLOUDWATCH, _NOVEMBER),
    Item.LOGS_STORED: Price(
        "CloudWatch", "logs stored, GB-months", 0.03, 1, _CLOUDWATCH, _NOVEMBER
    ),
    Item.TRACES: Price(
        "X-Ray", "traces recorded", 5.00, 1e6, "aws.amazon.com/xray/pricing", _NOVEMBER
    ),
    Item.EVENTS: Price(
        "EventBridge",
        "events published",
        1.00,
        1e6,
        "aws.amazon.com/eventbridge/pricing",
        _NOVEMBER,
    ),
    Item.NOTICES: Price(
        "SNS", "notices published", 0.50, 1e6, "aws.amazon.com/sns/pricing", _NOVEMBER
    ),
    Item.NOTICE_MAILS: Price(
        "SNS", "notices mailed", 2.00, 1e5, "aws.amazon.com/sns/pricing", _NOVEMBER
    ),
    Item.MESSAGES: Price("SQS", "messages", 0.40, 1e6, "aws.amazon.com/sqs/pricing", _NOVEMBER),
    Item.KEY_REQUESTS: Price(
        "KMS",
        "requests to keys",
        0.03,
        1e4,
        "aws.amazon.com/kms/pricing",
        _NOVEMBER,
    ),
}
