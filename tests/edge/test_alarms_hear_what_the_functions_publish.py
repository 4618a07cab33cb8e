"""Each alarm listens to a metric that a function publishes, and tells the topic."""

import re
from typing import Any

import pytest

from tests.house.repository import PACKAGE, resources

ALARMS = resources("AWS::CloudWatch::Alarm")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
PUBLISHED = set(re.findall(r'(?:add_metric|publish)\(\s*"(\w+)"', SOURCE))

WANTED = {
    "ForecastMissingAlarm": {"ForecastDegraded"},
    "ForecastWorseAlarm": {"ForecastWorse"},
    "MarketUnreachableAlarm": {"Errors"},
    "PriceGapsAlarm": {"PriceGapBuckets"},
    "DecisionsFailAlarm": {"Errors", "Invocations"},
}
"""Model missing or stale, model worse than the last price, price feed or table unreachable, gaps that
stay, three failed decisions in a row (spec section 7). An open breaker, orphans and doubted prices are
told to the topic as they are found."""


def _metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [part["MetricStat"]["Metric"] for part in alarm.get("Metrics", ()) if "MetricStat" in part]
    return parts or [alarm]


def test_what_the_specification_names_has_an_alarm() -> None:
    """No alarm is missing, none listens to something else."""
    found = {name: {m["MetricName"] for m in _metrics(alarm)} for name, alarm in ALARMS.items()}
    assert {name: found.get(name) for name in WANTED} == WANTED


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_listens_to_what_is_published_and_tells_the_topic(name: str) -> None:
    """A misspelt metric or dimension would leave an alarm silent for ever."""
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [{"Ref": "AlertTopic"}]
    for metric in _metrics(alarm):
        if metric["Namespace"] == "AWS/Lambda":
            (dimension,) = metric["Dimensions"]
            assert dimension["Name"] == "FunctionName"
            assert dimension["Value"]["Ref"] in resources("AWS::Serverless::Function")
        else:
            assert metric["Namespace"] == "SpotOptimizer"
            assert metric["MetricName"] in PUBLISHED
            assert metric["Dimensions"] == [{"Name": "service", "Value": "spot-optimizer"}]
