"""The translated template: failures raise alarms, data expire, and everything is encrypted."""

import json
import re
from typing import Any

import pytest

from tests.house.repository import PACKAGE
from tests.house.translated import function_of, properties_of, reference, resources_of, translated

FUNCTIONS = properties_of("AWS::Lambda::Function")
WORKFLOWS = properties_of("AWS::StepFunctions::StateMachine")
RULES = properties_of("AWS::Events::Rule")
ALARMS = properties_of("AWS::CloudWatch::Alarm")
INVOKE_CONFIGS = {
    str(reference(each["FunctionName"])): each
    for each in properties_of("AWS::Lambda::EventInvokeConfig").values()
}
TARGETS = [(name, target) for name, rule in RULES.items() for target in rule["Targets"]]
KEPT = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")
DASHBOARDS = properties_of("AWS::CloudWatch::Dashboard")
NOT_ENCRYPTED_BY_KEY = {
    "AWS::SNS::Topic": "alarms cannot publish under the key aws/sns, and a key costs $1 a month",
    "AWS::Logs::LogGroup": "encrypted by CloudWatch Logs itself; no secret is ever logged",
}
"""Types without encryption of their own, and why."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_writes_json_into_a_group_that_expires(name: str) -> None:
    """Not into a group that Lambda creates and never expires."""
    config = FUNCTIONS[name]["LoggingConfig"]
    assert config["LogFormat"] == "JSON"
    group = properties_of("AWS::Logs::LogGroup")[str(reference(config["LogGroup"]))]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_traced_and_has_bounds(name: str) -> None:
    """X-Ray, its own timeout and memory."""
    function = FUNCTIONS[name]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert 0 < function["Timeout"] <= 900
    assert 128 <= function["MemorySize"] <= 1024


def test_reserved_concurrency_is_optional_and_as_large_as_documented() -> None:
    """Small accounts have none to reserve; the parameter's description says how much it takes."""
    reserved = [FUNCTIONS[name]["ReservedConcurrentExecutions"]["Fn::If"] for name in FUNCTIONS]
    assert all(
        (when, otherwise) == ("ConcurrencyIsReserved", {"Ref": "AWS::NoValue"})
        for when, _, otherwise in reserved
    )
    parameter = translated()["Parameters"]["ReserveConcurrency"]
    assert parameter["Default"] == "false"
    assert f"Reserve {sum(number for _, number, _ in reserved)} of" in parameter["Description"]


def test_every_log_group_expires() -> None:
    """Retention is a parameter."""
    groups = properties_of("AWS::Logs::LogGroup")
    assert groups
    for name, group in groups.items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_asynchronous_invocation_has_bounded_retries_and_a_dead_letter_queue() -> None:
    """Every function that a rule or another function invokes asynchronously: retries are bounded, and
    final failures go to the queue."""
    started = {str(function_of(target["Arn"])) for _, target in TARGETS}
    assert started == set(INVOKE_CONFIGS)
    for name, config in INVOKE_CONFIGS.items():
        assert config["MaximumRetryAttempts"] <= 2, name
        assert config["MaximumEventAgeInSeconds"] <= 3600, name
        failed = config["DestinationConfig"]["OnFailure"]["Destination"]
        assert reference(failed) == "DeadLetters", name


def test_functions_invoke_only_decide_asynchronously() -> None:
    """``InvocationType="Event"`` is used once, for Decide, whose retries are bounded."""
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    assert sum(text.count('InvocationType="Event"') for text in sources) == 1
    assert "Decide" in INVOKE_CONFIGS


@pytest.mark.parametrize(("name", "target"), TARGETS, ids=[name for name, _ in TARGETS])
def test_event_that_cannot_be_delivered_is_kept(name: str, target: dict[str, Any]) -> None:
    """EventBridge retries for minutes, not for a day: a schedule's next run repeats the work."""
    assert reference(target["DeadLetterConfig"]["Arn"]) == "DeadLetters"
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600, name
    assert target["RetryPolicy"]["MaximumRetryAttempts"] <= 10, name


def test_rules_may_fill_the_queue() -> None:
    """Without the queue's policy EventBridge drops undelivered events."""
    (policy,) = properties_of("AWS::SQS::QueuePolicy").values()
    assert {reference(queue) for queue in policy["Queues"]} == set(properties_of("AWS::SQS::Queue"))
    allow, deny = policy["PolicyDocument"]["Statement"]
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    source = json.dumps(allow["Condition"]["ArnLike"]["aws:SourceArn"])
    # CloudFormation truncates the stack's name in generated rule names.
    assert "${AWS::AccountId}:rule/*" in source
    assert deny["Effect"] == "Deny"


def test_rules_may_invoke_their_functions_and_no_others() -> None:
    """Each permission names the rule that it is for."""
    permitted = {
        (reference(each["SourceArn"]), reference(each["FunctionName"]))
        for each in properties_of("AWS::Lambda::Permission").values()
    }
    assert permitted == {(name, reference(target["Arn"])) for name, target in TARGETS}


@pytest.mark.parametrize("name", properties_of("AWS::SQS::Queue"))
def test_queue_is_encrypted_lasts_and_is_watched(name: str) -> None:
    """A message expires after 14 days, so an alarm watches the queue."""
    queue = properties_of("AWS::SQS::Queue")[name]
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    watched = [
        dimensions[0]["Value"]
        for alarm in ALARMS.values()
        for _, metric, dimensions in _watched(alarm)
        if metric == "ApproximateNumberOfMessagesVisible"
    ]
    assert name in [reference(value) for value in watched]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_state_machine_is_logged_and_traced(name: str) -> None:
    """Failures only, without data: inputs name instances, and the history is kept anyway."""
    logging = WORKFLOWS[name]["LoggingConfiguration"]
    assert logging["Level"] == "ERROR"
    assert logging["IncludeExecutionData"] is False
    (to,) = logging["Destinations"]
    assert reference(to["CloudWatchLogsLogGroup"]["LogGroupArn"]) == "WorkflowLogs"
    assert WORKFLOWS[name]["TracingConfiguration"] == {"Enabled": True}


@pytest.mark.parametrize("name", properties_of("AWS::DynamoDB::Table"))
def test_table_is_encrypted_and_recoverable(name: str) -> None:
    """Point-in-time recovery, and time to live for items that expire."""
    table = properties_of("AWS::DynamoDB::Table")[name]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["TimeToLiveSpecification"]["Enabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("name", properties_of("AWS::S3::Bucket"))
def test_bucket_is_private_and_encrypted_at_rest_and_in_transit(name: str) -> None:
    """No public access, no HTTP."""
    bucket = properties_of("AWS::S3::Bucket")[name]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (policy,) = properties_of("AWS::S3::BucketPolicy").values()
    assert reference(policy["Bucket"]) == name
    (deny,) = policy["PolicyDocument"]["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": False}}


def test_data_outlive_the_stack() -> None:
    """Deleting or replacing the stack retains table and bucket; a failed first deployment leaves none."""
    for kind in KEPT:
        for name, resource in resources_of(kind).items():
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name


def test_every_type_that_stores_data_is_checked() -> None:
    """Every type of the template is checked above or stores no data."""
    looked_at = {"AWS::SQS::Queue", *KEPT, *NOT_ENCRYPTED_BY_KEY}
    stores_nothing = (
        "AWS::AppConfig::",  # the parameters, no secrets
        "AWS::CloudWatch::",
        "AWS::CodeDeploy::",
        "AWS::Events::",
        "AWS::IAM::",
        "AWS::Lambda::",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SQS::QueuePolicy",
        "AWS::SSM::Parameter",  # the stack's own id
        "AWS::StepFunctions::",
    )
    for row in translated()["Resources"].values():
        assert row["Type"] in looked_at or row["Type"].startswith(stores_nothing), row["Type"]


# --- what is watched -------------------------------------------------------------------------------


def _literals() -> set[str]:
    """Metric names, with ``*`` for a part that is known only at run time."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"add_metric\(\s*f?\"([^\"]+)\"", text):
            names.add(re.sub(r"\{[^{}]*\}", "*", name))
    return names


PARTS = {
    "Decisions*": ("Stay", "Switch", "Fallback", "Drain", "Evacuate"),
    "Signals*": ("Evacuate", "Drain", "Recorded", "None"),
    "*Duration": ("Switch", "FailOver"),
    "*Downtime": ("Switch", "FailOver"),
    "*Succeeded": ("Switches", "FailOvers"),
    "**": tuple(f"{of}{how}" for of in ("Switches", "FailOvers") for how in ("Failed", "Refused")),
}
"""Possible values of the part; the embedded account's scenarios emit them."""


def _emitted() -> set[str]:
    found = set()
    for name in _literals():
        parts = PARTS.get(name, ())
        assert parts or "*" not in name, f"the metric {name} has a part that PARTS does not know"
        found |= {name.replace("**", part).replace("*", part) for part in parts} or {name}
    return found


def _own(namespace: Any) -> bool:
    return bool(namespace == {"Fn::Sub": "SpotOptimizer/${AWS::StackName}"})


RENAMED = {
    "LeftOversFound": "LeftoversFound",
    "MachinesNotLookedAt": "InstancesNotRead",
    "TrafficNotRead": "LoadBalancingNotRead",
}
"""Name in version 0.1.0, whose functions may still run during an update -> name today."""


def _read_in_both_spellings(metrics: set[str]) -> None:
    assert not set(RENAMED) & _emitted()
    for old, new in RENAMED.items():
        assert (old in metrics) == (new in metrics), new


WATCHED = {
    "BreakersOpened",
    "ForecastDegraded",
    "ForecastWorse",
    "AsyncEventsDropped",
    "PriceSlicesFailed",
    "PriceGapBuckets",
    "Errors",
    "CallsThrottled",
    "ApproximateNumberOfMessagesVisible",
    "LeftoversFound",
}
"""Breaker open; model missing, stale or worse than the last price; consecutive failed decisions; table or
price feed unreachable, permanent gaps; throttling; dead letters; leftovers found."""


def test_every_condition_that_needs_a_person_has_an_alarm() -> None:
    """Nobody has to watch the dashboard for it."""
    assert {name for alarm in ALARMS.values() for _, name, _ in _watched(alarm)} >= WATCHED


def _watched(alarm: dict[str, Any]) -> list[tuple[Any, str, Any]]:
    """Namespace, name and dimensions of every metric that an alarm reads."""
    rows = [
        each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each
    ]
    return [(row["Namespace"], row["MetricName"], row["Dimensions"]) for row in rows or [alarm]]


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_notifies_the_topic_and_reads_emitted_metrics(name: str) -> None:
    """It notifies the topic, has a description, and its metric is emitted under that name."""
    alarm = ALARMS[name]
    assert [reference(action) for action in alarm["AlarmActions"]] == ["AlertTopic"]
    assert len(alarm["AlarmDescription"]) > 40
    assert "TreatMissingData" in alarm
    metrics = _watched(alarm)
    for namespace, metric, dimensions in metrics:
        if namespace not in ("AWS/SQS", "AWS/Lambda"):
            assert _own(namespace), namespace
            assert dimensions == [{"Name": "service", "Value": "spot-optimizer"}]
            assert metric in _emitted() | set(RENAMED)
    _read_in_both_spellings({metric for _, metric, _ in metrics})


def test_period_of_the_cycle_fits_every_cycle() -> None:
    """The map of periods contains every value of CycleMinutes."""
    periods = translated()["Mappings"]["CyclePeriod"]
    assert {minutes: row["S"] for minutes, row in periods.items()} == {
        str(minutes): 60 * minutes for minutes in range(1, 61)
    }


def _body() -> tuple[str, dict[str, Any]]:
    (dashboard,) = DASHBOARDS.values()
    text, values = dashboard["DashboardBody"]["Fn::Sub"]
    return text, {"values": values, **json.loads(text)}


def test_dashboard_draws_what_is_emitted() -> None:
    """Every metric on it is the product's, the queue's or a function's of the stack."""
    _, body = _body()
    assert _own(body["values"]["Ours"])
    emitted, drawn = _emitted(), set()
    for widget in body["widgets"]:
        row: list[Any] = []
        ids: set[str] = set()
        for metric in widget["properties"].get("metrics", []):
            plain = [each for each in metric if isinstance(each, str)]
            if not plain:
                assert set(re.findall(r"[no]\d", metric[0]["expression"])) <= ids
                continue
            ids |= {each["id"] for each in metric if isinstance(each, dict) and "id" in each}
            before = row or plain
            row = [before[i] if each == "." else each for i, each in enumerate(plain)]
            namespace, name, dimension, value = row
            if namespace == "${Ours}":
                assert (dimension, value) == ("service", "spot-optimizer")
                assert name in emitted | set(RENAMED), name
                drawn.add(name)
            elif namespace == "AWS/Lambda":
                assert dimension == "FunctionName"
                assert value[2:-1] in FUNCTIONS
            else:
                assert row == [
                    "AWS/SQS",
                    "ApproximateNumberOfMessagesVisible",
                    "QueueName",
                    "${DeadLetters.QueueName}",
                ]
    _read_in_both_spellings(drawn)
    assert set(RENAMED.values()) <= drawn
    assert {"DecisionsStay", "SwitchesSucceeded", "FailOversSucceeded", "BreakersOpened"} <= drawn


def test_dashboard_shows_every_alarm_and_every_function() -> None:
    """A new alarm or function is on the dashboard too."""
    text, body = _body()
    (alarms,) = [w["properties"]["alarms"] for w in body["widgets"] if w["type"] == "alarm"]
    assert {each[2:-1].removesuffix(".Arn") for each in alarms} == set(ALARMS)
    for name in (*FUNCTIONS, *WORKFLOWS):
        assert f"${{{name}}}" in text, name


def test_dashboard_widgets_do_not_overlap() -> None:
    """On the grid of 24 columns every widget has its own cells."""
    cells: list[tuple[int, int]] = []
    for widget in _body()[1]["widgets"]:
        assert widget["x"] + widget["width"] <= 24
        cells += [
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        ]
    assert len(cells) == len(set(cells))
