"""CloudWatch shows the demand that a scenario states, per instance and as AWS shapes it."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from simulator.world import Load
from tests.simulator.world.conftest import Account


def query(
    number: int,
    instance_id: str,
    stat: str = "Average",
    period: int = 300,
    name: str = "CPUUtilization",
) -> dict[str, Any]:
    """One MetricStat query for a metric of AWS/EC2."""
    return {
        "Id": f"q{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/EC2",
                "MetricName": name,
                "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
            },
            "Period": period,
            "Stat": stat,
        },
    }


def ask(
    account: Account, queries: list[dict[str, Any]], hours: float = 24.0, **params: Any
) -> dict[str, tuple[list[datetime], list[float]]]:
    """All results of the last hours, pages joined."""
    found: dict[str, tuple[list[datetime], list[float]]] = {}
    token = None
    while True:
        reply = account.cloudwatch.get_metric_data(
            MetricDataQueries=queries,
            StartTime=account.now - timedelta(hours=hours),
            EndTime=account.now,
            **params,
            **({"NextToken": token} if token else {}),
        )
        for result in reply["MetricDataResults"]:
            known = found.setdefault(result["Id"], ([], []))
            known[0].extend(result["Timestamps"])
            known[1].extend(result["Values"])
        token = reply.get("NextToken")
        if not token:
            return found


def wave(when: datetime) -> float:
    """A demand of 1 vCPU with a daily wave."""
    return 1.0 + 0.5 * math.sin(when.timestamp() / 86_400 * 2 * math.pi)


def test_cpu_is_demand_over_the_vcpus_of_the_type(account: Account) -> None:
    """The same demand is half the percentage on an instance twice as large; noise is within 3 %."""
    account.world.loads["web"] = Load(cpu_vcpu=wave)
    for instance_type, vcpus in (("m5.large", 2), ("m5.xlarge", 4)):
        instance_id = account.world.launch_instance(
            instance_type, "us-east-1a", tags={"Name": "web"}
        )
        times, values = ask(account, [query(0, instance_id)])["q0"]
        assert len(times) == 24 * 12
        assert times == sorted(times, reverse=True)
        for time, value in zip(times, values, strict=True):
            assert value == pytest.approx(100 * wave(time) / vcpus, rel=0.031)


def test_percentiles_and_means_are_those_of_the_five_minute_points(account: Account) -> None:
    """Over any period, against numpy on the raw points; a week at once."""
    account.world.loads["web"] = Load(cpu_vcpu=wave)
    instance_id = account.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "web"})
    stats: dict[str, Callable[[list[float]], Any]] = {
        "p95": lambda v: np.percentile(v, 95),
        "Average": np.mean,
        "Maximum": np.max,
    }
    queries = [query(0, instance_id)] + [
        query(n, instance_id, stat, 604_800) for n, stat in enumerate(stats, 1)
    ]
    found = ask(account, queries, hours=168)
    raw = found["q0"][1]
    assert len(raw) == 7 * 288
    for number, function in enumerate(stats.values(), 1):
        assert found[f"q{number}"][1] == [pytest.approx(function(raw))]


def test_memory_is_reported_only_where_an_agent_reports_it(account: Account) -> None:
    """Its dimensions are found by ListMetrics and must be named exactly."""
    account.world.loads["quiet"] = Load(cpu_vcpu=wave)
    account.world.loads["loud"] = Load(cpu_vcpu=wave, memory_gib=lambda _: 4.0)
    windows = account.world.add_image("x86_64", platform="windows")
    account.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "quiet"})
    linux_id = account.world.launch_instance("m5.large", "us-east-1a", tags={"Name": "loud"})
    windows_id = account.world.launch_instance(
        "m5.large", "us-east-1a", tags={"Name": "loud"}, image=windows
    )
    metrics = account.cloudwatch.list_metrics(Namespace="CWAgent")["Metrics"]
    by_id = {
        next(d["Value"] for d in metric["Dimensions"] if d["Name"] == "InstanceId"): metric
        for metric in metrics
    }
    assert set(by_id) == {linux_id, windows_id}
    assert by_id[linux_id]["MetricName"] == "mem_used_percent"
    assert by_id[windows_id]["MetricName"] == "Memory % Committed Bytes In Use"
    names = {d["Name"] for d in by_id[windows_id]["Dimensions"]}
    assert names == {"ImageId", "InstanceId", "InstanceType", "objectname"}
    exact = query(1, linux_id)
    exact["MetricStat"]["Metric"] = by_id[linux_id]
    partial = query(2, linux_id, name="mem_used_percent")
    partial["MetricStat"]["Metric"]["Namespace"] = "CWAgent"
    found = ask(account, [exact, partial])
    assert found["q1"][1][0] == pytest.approx(50, rel=0.031)
    assert found["q2"] == ([], [])


def test_there_are_no_points_while_an_instance_does_not_run(account: Account) -> None:
    """None before its launch, none after its end, none for the running five minutes."""
    account.world.loads["web"] = Load(cpu_vcpu=wave)
    instance_id = account.world.launch_instance(
        "m5.large", "us-east-1a", tags={"Name": "web"}, age=timedelta(hours=2)
    )
    times, _ = ask(account, [query(0, instance_id)])["q0"]
    assert min(times) == account.now - timedelta(hours=2)
    assert max(times) == account.now - timedelta(minutes=5)
    account.wait(minutes=2)
    times, _ = ask(account, [query(0, instance_id)])["q0"]
    assert max(times) == account.now - timedelta(minutes=7)
    ended = account.now
    account.ec2.terminate_instances(InstanceIds=[instance_id])
    account.wait(hours=3)
    times, _ = ask(account, [query(0, instance_id)])["q0"]
    assert max(times) < ended


def test_pages_join_to_the_whole_and_the_limits_hold(
    account: Account, refused: Callable[..., str]
) -> None:
    """Data points are cut into pages of MaxDatapoints; 501 queries and double ids are refused."""
    instance_id = account.world.launch_instance("m5.large", "us-east-1a")
    queries = [query(n, instance_id) for n in range(3)]
    assert ask(account, queries, MaxDatapoints=100) == ask(account, queries)
    ascending = ask(account, queries[:1], ScanBy="TimestampAscending")["q0"]
    assert ascending[0] == list(reversed(ask(account, queries[:1])["q0"][0]))
    for wrong in ([query(n, instance_id) for n in range(501)], queries + queries):
        error = refused(
            account.cloudwatch.get_metric_data,
            MetricDataQueries=wrong,
            StartTime=account.now - timedelta(hours=1),
            EndTime=account.now,
        )
        assert error.startswith("ValidationError")


def test_listings_come_in_pages_of_500(account: Account) -> None:
    """With 170 instances of five metrics each there are two pages."""
    for _ in range(170):
        account.world.launch_instance("m5.large", "us-east-1a")
    first = account.cloudwatch.list_metrics()
    second = account.cloudwatch.list_metrics(NextToken=first["NextToken"])
    assert (len(first["Metrics"]), len(second["Metrics"])) == (500, 350)
    assert not second.get("NextToken")
