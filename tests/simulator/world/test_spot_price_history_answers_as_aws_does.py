"""DescribeSpotPriceHistory: what applies in the range, newest first, in pages."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.world import World
from tests.simulator.world.conftest import Account, Pool


def history(account: Account, **params: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """All rows, and the tokens that came with the pages."""
    rows: list[dict[str, Any]] = []
    tokens: list[str] = []
    while True:
        reply = account.ec2.describe_spot_price_history(
            **params, **({"NextToken": tokens[-1]} if tokens else {})
        )
        rows += reply["SpotPriceHistory"]
        tokens.append(reply["NextToken"])
        if not tokens[-1]:
            return rows, tokens


def expected_rows(
    account: Account, start: datetime, end: datetime, keep: Callable[[Pool], bool] = lambda _: True
) -> set[tuple[str, str, int, str]]:
    """By the definition: changes in the range, and the last before it, of every pool."""
    found = set()
    for pool in account.market.pools:
        if not keep(pool):
            continue
        times, prices = account.market.changes(pool)
        stamps = times.tolist()
        before = [t for t in stamps if t <= start.timestamp()]
        within = [t for t in stamps if start.timestamp() < t <= end.timestamp()]
        for t in before[-1:] + within:
            found.add((*pool, t, f"{prices[stamps.index(t)]:.6f}"))
    return found


def as_set(rows: list[dict[str, Any]]) -> set[tuple[str, str, int, str]]:
    """Rows as the definition spells them."""
    return {
        (
            row["InstanceType"],
            row["AvailabilityZone"],
            int(row["Timestamp"].timestamp()),
            row["SpotPrice"],
        )
        for row in rows
    }


@settings(max_examples=30, deadline=None)
@given(
    ago_minutes=st.integers(0, 12 * 1440),
    length_minutes=st.integers(0, 6 * 1440),
    page=st.integers(1, 1000),
    one_type=st.booleans(),
)
def test_any_range_in_any_pages_holds_exactly_what_applies(
    new_account: Callable[..., Account],
    ago_minutes: int,
    length_minutes: int,
    page: int,
    one_type: bool,
) -> None:
    """Nothing twice, nothing missing, newest first, an empty token at the end only."""
    account = new_account()
    start = account.now - timedelta(minutes=ago_minutes)
    end = min(account.now, start + timedelta(minutes=length_minutes))
    params = {"StartTime": start, "EndTime": end, "MaxResults": max(page, 20)}
    if one_type:
        params["InstanceTypes"] = ["m5.large"]
    rows, tokens = history(account, ProductDescriptions=["Linux/UNIX"], **params)
    assert len(rows) == len(as_set(rows))
    kept = expected_rows(
        account, start, end, lambda pool: not one_type or pool.instance_type == "m5.large"
    )
    assert as_set(rows) == kept
    times = [row["Timestamp"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert tokens[-1] == ""
    assert all(tokens[:-1])


def test_future_prices_are_not_shown(account: Account) -> None:
    """An end time ahead gives what is known now."""
    rows, _ = history(account, StartTime=account.now, EndTime=account.now + timedelta(days=1))
    assert as_set(rows) == expected_rows(account, account.now, account.now)
    assert len(rows) == len(account.market.pools)


def test_other_products_have_no_rows_and_unknown_ones_are_refused(
    account: Account, refused: Callable[..., str]
) -> None:
    """Only Linux/UNIX has prices; filters on zone and type work as parameters do."""
    assert history(account, ProductDescriptions=["Windows"])[0] == []
    error = refused(account.ec2.describe_spot_price_history, ProductDescriptions=["Lunix"])
    assert error.startswith("InvalidParameterValue")
    rows, _ = history(
        account,
        StartTime=account.now,
        AvailabilityZone="us-east-1a",
        Filters=[{"Name": "instance-type", "Values": ["m5.*"]}],
    )
    assert {row["InstanceType"] for row in rows} == {"m5.large", "m5.xlarge"}
    assert {row["AvailabilityZone"] for row in rows} == {"us-east-1a"}


def test_empty_pages_come_now_and_then(account: Account) -> None:
    """A reader that stops at an empty page loses rows; some listing has one."""
    empty = 0
    for _ in range(4):
        token = None
        while token != "":
            reply = account.ec2.describe_spot_price_history(
                MaxResults=20, **({"NextToken": token} if token else {})
            )
            token = reply["NextToken"]
            empty += not reply["SpotPriceHistory"]
    assert empty


def test_token_of_another_operation_is_refused(
    account: Account, refused: Callable[..., str]
) -> None:
    """InvalidPaginationToken, as for one that never was."""
    token = account.ec2.describe_spot_price_history(MaxResults=1)["NextToken"]
    for wrong in (token, "banana"):
        error = refused(account.ec2.describe_instances, NextToken=wrong)
        assert error.startswith("InvalidPaginationToken")


def test_prices_of_another_region_are_not_taken(account: Account) -> None:
    """A market whose zones are not the region's is an error that names them."""
    with pytest.raises(ValueError, match="us-east-1a"):
        World(
            lambda: account.now,
            seed=1,
            region="eu-west-1",
            prices=account.market,
            on_demand_usd_per_hour={},
        )
