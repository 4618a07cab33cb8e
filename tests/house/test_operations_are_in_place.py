"""Nothing fails unseen, nothing is kept for ever, nothing lies in the clear: the translated template."""

import json
import re
from typing import Any

import pytest

from tests.house.repository import PACKAGE
from tests.house.translated import function_of, properties_of, reference, resources_of, translated

FUNCTIONS = properties_of("AWS::Lambda::Function")
MACHINES = properties_of("AWS::StepFunctions::StateMachine")
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
"""What bears no encryption of its own, and why."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_writes_json_into_a_group_that_forgets(name: str) -> None:
    """Not into a group that Lambda makes and keeps for ever."""
    config = FUNCTIONS[name]["LoggingConfig"]
    assert config["LogFormat"] == "JSON"
    group = properties_of("AWS::Logs::LogGroup")[str(reference(config["LogGroup"]))]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_traced_and_has_bounds(name: str) -> None:
    """X-Ray, a timeout of its own and memory."""
    function = FUNCTIONS[name]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert 0 < function["Timeout"] <= 900
    assert 128 <= function["MemorySize"] <= 1024


def test_reserved_concurrency_is_an_option_and_as_large_as_is_said() -> None:
    """Small accounts have none to reserve; who has learns from the parameter how much it takes."""
    reserved = [FUNCTIONS[name]["ReservedConcurrentExecutions"]["Fn::If"] for name in FUNCTIONS]
    assert all(
        (when, otherwise) == ("ConcurrencyIsReserved", {"Ref": "AWS::NoValue"})
        for when, _, otherwise in reserved
    )
    parameter = translated()["Parameters"]["ReserveConcurrency"]
    assert parameter["Default"] == "false"
    assert f"Keep {sum(number for _, number, _ in reserved)} of" in parameter["Description"]


def test_every_log_group_forgets() -> None:
    """Retention is a parameter."""
    groups = properties_of("AWS::Logs::LogGroup")
    assert groups
    for name, group in groups.items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_what_is_started_without_waiting_has_an_end_and_a_place_for_failures() -> None:
    """Every function that a rule or another function starts asynchronously: retries are bounded, and
    what fails for good goes to the queue."""
    started = {str(function_of(target["Arn"])) for _, target in TARGETS}
    assert started == set(INVOKE_CONFIGS)
    for name, config in INVOKE_CONFIGS.items():
        assert config["MaximumRetryAttempts"] <= 2, name
        assert config["MaximumEventAgeInSeconds"] <= 3600, name
        failed = config["DestinationConfig"]["OnFailure"]["Destination"]
        assert reference(failed) == "DeadLetters", name


def test_functions_start_only_such_functions_asynchronously() -> None:
    """``InvocationType="Event"`` is for Decide, which the rules start too."""
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    assert sum(text.count('InvocationType="Event"') for text in sources) == 1
    assert "Decide" in INVOKE_CONFIGS


@pytest.mark.parametrize(("name", "target"), TARGETS, ids=[name for name, _ in TARGETS])
def test_event_that_cannot_be_delivered_is_kept(name: str, target: dict[str, Any]) -> None:
    """EventBridge tries for minutes, not for a day: a schedule's next run does the same work."""
    assert reference(target["DeadLetterConfig"]["Arn"]) == "DeadLetters"
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600, name
    assert target["RetryPolicy"]["MaximumRetryAttempts"] <= 10, name


def test_rules_may_fill_the_queue() -> None:
    """Without its policy EventBridge drops what it cannot deliver, unseen."""
    (policy,) = properties_of("AWS::SQS::QueuePolicy").values()
    assert {reference(queue) for queue in policy["Queues"]} == set(properties_of("AWS::SQS::Queue"))
    allow, deny = policy["PolicyDocument"]["Statement"]
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    source = json.dumps(allow["Condition"]["ArnLike"]["aws:SourceArn"])
    # CloudFormation cuts the stack's name in the names that it gives to rules.
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
    """A message that nobody hears of is lost after 14 days."""
    queue = properties_of("AWS::SQS::Queue")[name]
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    watched = [
        alarm["Dimensions"][0]["Value"]
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    ]
    assert name in [reference(value) for value in watched]


@pytest.mark.parametrize("name", MACHINES)
def test_state_machine_is_logged_and_traced(name: str) -> None:
    """Failures only and without their data: inputs name machines, and the history is kept anyway."""
    logging = MACHINES[name]["LoggingConfiguration"]
    assert logging["Level"] == "ERROR"
    assert logging["IncludeExecutionData"] is False
    (to,) = logging["Destinations"]
    assert reference(to["CloudWatchLogsLogGroup"]["LogGroupArn"]) == "WorkflowLogs"
    assert MACHINES[name]["TracingConfiguration"] == {"Enabled": True}


@pytest.mark.parametrize("name", properties_of("AWS::DynamoDB::Table"))
def test_table_is_encrypted_and_can_be_brought_back(name: str) -> None:
    """Point in time, and time to live for what may go."""
    table = properties_of("AWS::DynamoDB::Table")[name]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["TimeToLiveSpecification"]["Enabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("name", properties_of("AWS::S3::Bucket"))
def test_bucket_is_private_encrypted_and_refuses_the_clear(name: str) -> None:
    """No public access by any way, no HTTP."""
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
    """Deleting or replacing the stack deletes no table and no bucket; one that never was leaves none."""
    for kind in KEPT:
        for name, resource in resources_of(kind).items():
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name


def test_whatever_stores_something_is_looked_at() -> None:
    """Every type of the template is one of those above, or one that stores nothing."""
    looked_at = {"AWS::SQS::Queue", *KEPT, *NOT_ENCRYPTED_BY_KEY}
    stores_nothing = (
        "AWS::AppConfig::",  # the parameters, which hold no secret
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
    """Metric names, with ``*`` for a part that is known at run time only."""
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
"""What stands for the part; the embedded account's scenarios emit them."""


def _emitted() -> set[str]:
    found = set()
    for name in _literals():
        parts = PARTS.get(name, ())
        assert parts or "*" not in name, f"the metric {name} has a part that PARTS does not know"
        found |= {name.replace("**", part).replace("*", part) for part in parts} or {name}
    return found


def _own(namespace: Any) -> bool:
    return bool(namespace == {"Fn::Sub": "SpotOptimizer/${AWS::StackName}"})


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
    "LeftOversFound",
}
"""Breaker open; model missing, stale or worse than the last price; failed decisions in a row; table or
price feed unreachable, gaps that stay; throttling; dead letters; orphans found."""


def test_what_needs_a_person_has_an_alarm() -> None:
    """Nothing of it is to be found only by somebody who looks."""
    assert {alarm["MetricName"] for alarm in ALARMS.values()} >= WATCHED


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_reaches_people_and_watches_what_there_is(name: str) -> None:
    """It goes to the topic, says what to do, and its metric is emitted under that name."""
    alarm = ALARMS[name]
    assert [reference(action) for action in alarm["AlarmActions"]] == ["AlertTopic"]
    assert len(alarm["AlarmDescription"]) > 40
    assert "TreatMissingData" in alarm
    if alarm["Namespace"] in ("AWS/SQS", "AWS/Lambda"):
        return
    assert _own(alarm["Namespace"]), alarm["Namespace"]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "spot-optimizer"}]
    assert alarm["MetricName"] in _emitted()


def test_period_of_the_cycle_fits_every_cycle() -> None:
    """The map of periods knows every value of CycleMinutes."""
    periods = translated()["Mappings"]["CyclePeriod"]
    assert {minutes: row["S"] for minutes, row in periods.items()} == {
        str(minutes): 60 * minutes for minutes in range(1, 61)
    }


def _body() -> tuple[str, dict[str, Any]]:
    (dashboard,) = DASHBOARDS.values()
    text, values = dashboard["DashboardBody"]["Fn::Sub"]
    return text, {"values": values, **json.loads(text)}


def test_dashboard_draws_what_is_emitted() -> None:
    """Every metric of it is one of the product's, of the queue or of a function of the stack."""
    _, body = _body()
    assert _own(body["values"]["Ours"])
    emitted, drawn = _emitted(), set()
    for widget in body["widgets"]:
        row: list[Any] = []
        for metric in widget["properties"].get("metrics", []):
            plain = [each for each in metric if isinstance(each, str)]
            before = row or plain
            row = [before[i] if each == "." else each for i, each in enumerate(plain)]
            namespace, name, dimension, value = row
            if namespace == "${Ours}":
                assert (dimension, value) == ("service", "spot-optimizer")
                assert name in emitted, name
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
    assert {"DecisionsStay", "SwitchesSucceeded", "FailOversSucceeded", "BreakersOpened"} <= drawn


def test_dashboard_shows_every_alarm_and_every_function() -> None:
    """A new alarm or function is drawn too."""
    text, body = _body()
    (alarms,) = [w["properties"]["alarms"] for w in body["widgets"] if w["type"] == "alarm"]
    assert {each[2:-1].removesuffix(".Arn") for each in alarms} == set(ALARMS)
    for name in (*FUNCTIONS, *MACHINES):
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
