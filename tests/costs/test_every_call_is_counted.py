"""The meter sees what the account sees, and charges for it what AWS charges."""

from collections import Counter

from simulator.costs.meter import Usage
from simulator.costs.month import Lived
from simulator.costs.price_table import PRICES, Item

FREE = {"ec2", "elb", "elbv2", "iam", "pricing"}
CHARGED_AS_TIME = {"lambda", "stepfunctions"}
"""Invocations and transitions are counted where they happen."""
PRICED = {"cloudwatch", "dynamodb", "events", "kms", "s3", "sns", "sqs"}


def quantity(lived: Lived, item: Item) -> float:
    both: Usage = Usage(lived.once)
    for (each, who), more in lived.daily.items():
        both.add(each, who, more)
    return sum(more for (each, _), more in both.items() if each is item)


def called(lived: Lived, *names: str) -> int:
    return sum(
        count
        for call, count in lived.calls.items()
        if f"{call.service}:{call.operation}" in names and call.caller_kind != "driver"
    )


def test_no_service_is_overlooked(whole: Lived) -> None:
    """Whatever the stack calls is free, or has a price."""
    services = {call.service for call in whole.calls if call.caller_kind != "driver"}
    assert services <= FREE | CHARGED_AS_TIME | PRICED


def test_requests_are_those_that_the_account_has_answered(whole: Lived) -> None:
    """Every PUT, GET and listing of S3, every write and read of DynamoDB costs at least one unit,
    half a unit where it need not be consistent."""
    assert quantity(whole, Item.S3_PUTS) == called(whole, "s3:PutObject", "s3:ListObjectsV2")
    assert quantity(whole, Item.S3_GETS) == called(whole, "s3:GetObject")
    writes = called(whole, "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
    assert quantity(whole, Item.DYNAMODB_WRITES) >= writes > 0
    reads = called(whole, "dynamodb:GetItem", "dynamodb:Query")
    assert quantity(whole, Item.DYNAMODB_READS) >= reads / 2 > 0


def test_schedules_alone_make_so_many_requests(part: Lived) -> None:
    """In six quiet hours: six cycles of two functions, 24 looks for gaps, 36 sweeps, one or two looks
    at reference data."""
    by: Counter[str] = Counter()
    for (item, who), count in part.daily.items():
        if item is Item.LAMBDA_REQUESTS:
            by[who] += round(count)
    assert by["Decide"] >= 6
    assert by["Sweep"] == 36
    assert 6 + 24 + 1 <= by["RefreshMarket"] <= 6 + 24 + 2


def test_metric_is_paid_by_the_hours_in_which_it_is_sent(part: Lived) -> None:
    """PoolsWatched is sent every hour: six hours of a month; nothing is sent of troubles that are not."""
    shown = {who: more for (item, who), more in part.daily.items() if item is Item.METRICS}
    assert round(shown["PoolsWatched service=spot-optimizer"] * 730) == 6
    troubles = ("EngineFailures", "PriceSlicesFailed", "LeftoversFound", "SwitchesNotStarted")
    assert not [who for who in shown if who.startswith(troubles)]


def test_every_price_names_its_page_and_month() -> None:
    """No price without a source; every item has one."""
    assert set(PRICES) == set(Item)
    for price in PRICES.values():
        assert price.page.startswith("aws.amazon.com/")
        assert len(price.seen) == len("2026-11")
        assert price.usd > 0
