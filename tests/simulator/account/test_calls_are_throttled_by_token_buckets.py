"""What an account may call in a second is what AWS's token buckets hold, and the SDK waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from simulator.account import Call, Caller, EmbeddedAccount
from simulator.account.rates import Need, Rates, TokenBuckets, speaks_of_rates
from simulator.api_calls import ApiCall
from simulator.limit_table import changed
from simulator.limits import LIMITS, Bucket

START = datetime(2025, 3, 1, tzinfo=UTC)
STANDARD = Config(retries={"mode": "standard", "max_attempts": 5})
AS_FUNCTION = Caller("lambda", "Product", "us-east-1")
MOMENTS = st.lists(st.integers(0, 400).map(lambda n: 0.25 * n), min_size=1, max_size=60)
REQUEST: dict[str, Any] = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


@given(
    moments=MOMENTS.map(sorted),
    capacity=st.integers(1, 10),
    refill=st.sampled_from([0.1, 0.25, 1, 2, 7]),
    tokens=st.integers(1, 3),
)
def test_no_window_lets_more_through_than_capacity_and_refill(
    moments: list[float], capacity: int, refill: float, tokens: int
) -> None:
    """And nothing is refused while the bucket, refilled evenly, still holds enough."""
    buckets, taken = TokenBuckets(), []
    level, before = float(capacity), moments[0]
    for moment in moments:
        level, before = min(capacity, level + refill * (moment - before)), moment
        passed = buckets.take("r", [Need("n", Bucket(capacity, refill), tokens)], at(moment))
        assert passed == (level + 1e-6 >= tokens)
        if passed:
            level -= tokens
            taken.append(moment)
    for first, low in enumerate(taken):
        for last, high in enumerate(taken[first:], first):
            assert tokens * (last - first + 1) <= capacity + refill * (high - low) + 1e-6


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "Query", "ThrottlingException"),
        ("ec2", "DescribeInstances", "RequestLimitExceeded"),
        ("lambda", "Invoke", "TooManyRequestsException"),
        ("s3", "PutObject", "SlowDown"),
        ("sns", "Publish", "Throttled"),
    ],
)
def test_operation_has_the_bucket_that_it_is_given(service: str, operation: str, code: str) -> None:
    """Two at once and one more a second later, whatever the limits say; others keep theirs."""
    now = [START]
    rates = Rates(LIMITS, lambda: now[0], {ApiCall(service, operation): Bucket(2, 1)})

    def refused() -> str | None:
        refusal = rates.refusal(service, operation, "r", {})
        assert refusal is None or speaks_of_rates(f"({refusal.code}): {refusal.message}")
        return refusal.code if refusal else None

    assert [refused() for _ in range(3)] == [None, None, code]
    now[0] = at(1)
    assert [refused() for _ in range(2)] == [None, code]
    assert rates.refusal("ec2", "RunInstances", "r", {"MaxCount": 1}) is None


def test_refused_call_takes_no_token_of_any_bucket() -> None:
    """RunInstances needs a request token and one for each instance; both or none."""
    buckets = TokenBuckets()
    requests, resources = Bucket(1, 1), Bucket(10, 1)
    assert not buckets.take("r", [Need("a", requests), Need("b", resources, 11)], START)
    assert buckets.take("r", [Need("a", requests), Need("b", resources, 10)], START)


@pytest.mark.parametrize(
    ("service", "operation", "params", "passes", "code"),
    [
        ("ec2", "RunInstances", {"MaxCount": 1}, 5, "RequestLimitExceeded"),
        ("ec2", "RunInstances", {"MaxCount": 400}, 2, "RequestLimitExceeded"),
        ("ec2", "TerminateInstances", {"InstanceIds": ["i-1"]}, 100, "RequestLimitExceeded"),
        ("ec2", "TerminateInstances", {"InstanceIds": ["i-1"] * 300}, 3, "RequestLimitExceeded"),
        ("ec2", "DescribeInstances", {}, 50, "RequestLimitExceeded"),
        ("ec2", "DescribeInstances", {"MaxResults": 5}, 100, "RequestLimitExceeded"),
        ("ec2", "DescribeInstances", {"InstanceIds": ["i-1"]}, 100, "RequestLimitExceeded"),
        ("ec2", "DescribeSpotPriceHistory", {}, 100, "RequestLimitExceeded"),
        ("ec2", "CreateTags", {}, 100, "RequestLimitExceeded"),
        ("ec2", "AssociateAddress", {}, 50, "RequestLimitExceeded"),
        ("elbv2", "DescribeTargetHealth", {}, 40, "Throttling"),
        ("cloudwatch", "ListMetrics", {}, 25, "Throttling"),
        ("stepfunctions", "StartExecution", {}, 1300, "ThrottlingException"),
    ],
)
def test_each_action_has_the_bucket_that_aws_documents(
    service: str, operation: str, params: dict[str, Any], passes: int, code: str
) -> None:
    """So many at once pass, the next one is refused, and another region has buckets of its own."""
    rates = Rates(LIMITS, lambda: START)
    answers = [rates.refusal(service, operation, "us-east-1", params) for _ in range(passes + 1)]
    assert answers[:-1] == [None] * passes
    assert answers[-1] is not None
    assert answers[-1].code == code
    assert rates.refusal(service, operation, "eu-west-1", params) is None


@contextmanager
def opened(world: Any, **limits: Any) -> Iterator[EmbeddedAccount]:
    with EmbeddedAccount(start=START, world=world, seed=7, limits=changed(limits)) as account:
        yield account


def launches(account: EmbeddedAccount) -> int:
    return account.calls[Call("ec2", "RunInstances", "lambda", "Product")]


def test_ten_launches_at_once_pass_at_the_documented_rate(world: Any) -> None:
    """Five are the burst, two a second follow: the SDK waits in virtual time until all have passed."""
    with opened(world) as account, account.callers.calling(AS_FUNCTION):
        client = boto3.client("ec2", config=STANDARD)
        replies = [client.run_instances(**REQUEST) for _ in range(10)]
        took = (account.clock.now() - START).total_seconds()
    assert len([call for call in world.asked if call[1] == "RunInstances"]) == 10
    assert 2.5 <= took < 40
    assert launches(account) == 10 + sum(r["ResponseMetadata"]["RetryAttempts"] for r in replies)
    assert launches(account) > 10


def test_call_throttled_to_the_end_is_reported_with_its_code_and_attempts(world: Any) -> None:
    """Six tries with growing waits; EC2's error is a 503."""
    with (
        opened(world, api_ec2_run_instances=[1, 0.001]) as account,
        account.callers.calling(AS_FUNCTION),
    ):
        client = boto3.client("ec2", config=STANDARD)
        client.run_instances(**REQUEST)
        with pytest.raises(ClientError) as refused:
            client.run_instances(**REQUEST)
        assert launches(account) == 7
        assert account.clock.now() > START
    response = refused.value.response
    assert response["Error"]["Code"] == "RequestLimitExceeded"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert response["ResponseMetadata"]["RetryAttempts"] == 5


def test_client_that_is_to_ask_once_asks_once(world: Any) -> None:
    """No wait, no second request."""
    with (
        opened(world, api_ec2_run_instances=[1, 0.001]) as account,
        account.callers.calling(AS_FUNCTION),
    ):
        client = boto3.client("ec2", config=Config(retries={"total_max_attempts": 1}))
        client.run_instances(**REQUEST)
        with pytest.raises(ClientError):
            client.run_instances(**REQUEST)
        assert (launches(account), account.clock.now()) == (2, START)


def test_server_error_of_the_world_is_asked_for_again_and_a_client_error_is_not(
    world: Any,
) -> None:
    """Missing capacity is a 500: the SDK asks six times for what is not there."""
    world.full = True
    handle = world.handle
    with opened(world) as account, account.callers.calling(AS_FUNCTION):
        client = boto3.client("ec2", config=STANDARD)
        for status, tries in ((500, 6), (400, 1)):
            asked = len(world.asked)
            world.handle = lambda *call, status=status: (status, handle(*call)[1])
            with pytest.raises(ClientError):
                client.run_instances(**REQUEST)
            assert len([c for c in world.asked[asked:] if c[1] == "RunInstances"]) <= tries
            assert launches(account) == tries + (6 if status == 400 else 0)
            account.clock.sleep(10)


def test_simulation_itself_is_not_throttled(world: Any, stack: Path) -> None:
    """The driver reads as often as it likes; only the product and AWS's services take tokens."""
    with opened(world, api_ec2_describe_unfiltered=[1, 0.001]) as account:
        account.deploy(stack, "small")
        client = boto3.client("ec2")
        for _ in range(3):
            client.describe_instances()
        assert account.invoke("Relay", {"do": "describe"}) == 1
        assert account.calls[Call("ec2", "DescribeInstances", "lambda", "Relay")] == 1


def test_two_runs_with_one_seed_wait_alike(world: Any) -> None:
    """The jitter is the seed's."""
    moments = []
    for _ in range(2):
        with opened(world) as account, account.callers.calling(AS_FUNCTION):
            client = boto3.client("ec2", config=STANDARD)
            for _ in range(9):
                client.run_instances(**REQUEST)
            moments.append(account.clock.now())
    assert moments[0] == moments[1] > START
