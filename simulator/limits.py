# ruff: noqa: RUF009 - a figure is a field with its row of the table; its value is immutable.
"""Rates, times, sizes and quotas of AWS as the simulator keeps them, in one table.

World and account read every such figure from here; docs/world.md shows the table. A scenario may
change those that AWS raises on request or that vary from day to day; AWS's hard limits are fixed.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

__all__ = ["LIMITS", "Bucket", "Limits", "Span"]

_EC2_RATES = "EC2 developer guide, Request throttling for the Amazon EC2 API"
_ELB_RATES = "ELB user guide, Request throttling for the ELB API"
_CLOUDWATCH = "CloudWatch user guide, CloudWatch service quotas"
_STEP_FUNCTIONS = "Step Functions developer guide, Service quotas"
_EVENTUAL = "EC2 developer guide, Eventual consistency: seconds, no figure published"
_EVERYDAY = "order of magnitude of everyday EC2; no figure published"
_LAMBDA = "Lambda developer guide, Lambda quotas"
_ASYNC = (
    "Lambda developer guide, How Lambda handles errors and retries with asynchronous invocation"
)
_RETRIES = "EventBridge user guide, How EventBridge retries delivering events"
_ONE_MB = (
    "AWS Compute Blog, More room to build: serverless services now support payloads up to 1 MB"
)


class Bucket(NamedTuple):
    """A token bucket: how many tokens it holds, and how many come back in a second."""

    capacity: float
    refill_per_s: float


class Span(NamedTuple):
    """Bounds in seconds between which a duration is drawn."""

    low_s: float
    high_s: float


_Value = TypeVar("_Value")


def _figure(
    value: _Value, meaning: str, source: str, lowest: float | None = None, highest: float = 1e6
) -> _Value:
    return field(
        default=value,
        metadata={
            "meaning": meaning,
            "source": source,
            "lowest": lowest,
            "highest": None if lowest is None else highest,
        },
    )


def _rate(capacity: float, refill_per_s: float, meaning: str, source: str = _EC2_RATES) -> Bucket:
    return _figure(Bucket(capacity, refill_per_s), meaning, source, lowest=0.001)


@dataclass(frozen=True, slots=True)
class Limits:
    """A value for each figure; the default is AWS's, or says in its row what it is instead."""

    # API rates: tokens of an account in a region. An action without a row of its own shares none
    # with others; it has a bucket of the size of its category.
    api_ec2_describe: Bucket = _rate(100, 20, "each Describe, Get, List action")
    api_ec2_describe_unfiltered: Bucket = _rate(
        50, 10, "each of seven Describe actions, asked with neither filter, ids nor pages"
    )
    api_ec2_mutating: Bucket = _rate(50, 5, "each other action")
    api_ec2_run_instances: Bucket = _rate(5, 2, "RunInstances")
    api_ec2_run_instances_resources: Bucket = _rate(1000, 2, "instances that RunInstances asks for")
    api_ec2_start_instances: Bucket = _rate(5, 2, "StartInstances")
    api_ec2_start_instances_resources: Bucket = _rate(1000, 2, "instances that it names")
    api_ec2_stop_instances_resources: Bucket = _rate(1000, 20, "instances that StopInstances names")
    api_ec2_terminate_instances: Bucket = _rate(100, 5, "TerminateInstances")
    api_ec2_terminate_instances_resources: Bucket = _rate(1000, 20, "instances that it names")
    api_ec2_create_launch_template_version: Bucket = _rate(100, 5, "CreateLaunchTemplateVersion")
    api_ec2_modify_launch_template: Bucket = _rate(100, 5, "ModifyLaunchTemplate")
    api_ec2_modify_instance_metadata_options: Bucket = _rate(
        100, 5, "ModifyInstanceMetadataOptions"
    )
    api_ec2_create_tags: Bucket = _rate(100, 10, "CreateTags")
    api_ec2_delete_tags: Bucket = _rate(100, 10, "DeleteTags")
    api_elb_describe: Bucket = _rate(
        40, 10, "all Describe actions of a version of the ELB API together", _ELB_RATES
    )
    api_elb_register: Bucket = _rate(
        20, 4, "RegisterTargets and DeregisterTargets together; assumed", _ELB_RATES
    )
    api_cloudwatch_get_metric_data: Bucket = _rate(50, 50, "GetMetricData", _CLOUDWATCH)
    api_cloudwatch_list_metrics: Bucket = _rate(25, 25, "ListMetrics", _CLOUDWATCH)
    api_pricing: Bucket = _rate(10, 10, "GetProducts; assumed, AWS publishes none", "assumed")
    api_states_start_execution: Bucket = _rate(
        1300, 300, "StartExecution; in smaller regions 800 and 150", _STEP_FUNCTIONS
    )
    api_states_describe_execution: Bucket = _rate(
        300, 15, "DescribeExecution; in smaller regions 250 and 10", _STEP_FUNCTIONS
    )

    # Times of instances and targets.
    boot_s: Span = _figure(Span(15, 45), "from pending to running", _EVERYDAY, 0, 3600)
    status_checks_s: Span = _figure(
        Span(90, 180), "from running to passed status checks", _EVERYDAY, 0, 3600
    )
    stop_s: Span = _figure(Span(10, 40), "from stopping to stopped", _EVERYDAY, 0, 3600)
    shut_down_s: Span = _figure(
        Span(20, 60), "from shutting-down to terminated", _EVERYDAY, 0, 3600
    )
    reopen_s: Span = _figure(
        Span(60, 180),
        "until a persistent spot request is served again",
        "EC2 user guide, Spot request status; no figure published",
        0,
        86_400,
    )
    terminated_visible_s: float = _figure(
        3600.0,
        "how long a terminated instance is described",
        "EC2 user guide, Terminate Amazon EC2 instances: usually less than an hour",
        0,
        86_400,
    )
    terminated_tagged_s: float = _figure(
        120.0,
        "how long a terminated instance still shows its tags",
        "EC2 user guide, Terminate Amazon EC2 instances: tags are gradually disassociated and may no"
        " longer be visible after a short while; assumed",
        0,
        86_400,
    )
    target_registration_s: float = _figure(
        5.0, "before a target's checks begin", "ELB user guide, target health; assumed", 0, 3600
    )
    target_health_s: Span = _figure(
        Span(20, 70),
        "until a target of an Application Load Balancer is healthy",
        "ALB user guide, Health checks: 5 checks, 30 s apart, by default; 2 to 3 assumed",
        0,
        3600,
    )
    target_health_network_s: Span = _figure(
        Span(120, 240),
        "until a target of a Network Load Balancer is healthy",
        "NLB user guide, Register targets: minutes",
        0,
        3600,
    )

    # Eventual consistency.
    visible_by_id_s: Span = _figure(
        Span(0.2, 6), "until a new instance or spot request is found by its id", _EVENTUAL, 0, 300
    )
    visible_in_lists_s: Span = _figure(
        Span(0.5, 10), "until it stands in listings", _EVENTUAL, 0, 300
    )
    visible_tags_s: Span = _figure(
        Span(0.5, 10), "until the tags of its launch are described", _EVENTUAL, 0, 300
    )
    visible_template_s: Span = _figure(
        Span(0.2, 4), "until a launch template, or its new version, is found", _EVENTUAL, 0, 300
    )

    # Quotas.
    quota_vcpu: int = _figure(
        100_000,
        "vCPUs of each lifecycle and family class; an account that asked for more, a new one has 5",
        "EC2 user guide, Amazon EC2 instance type quotas",
        0,
        1_000_000,
    )
    quota_elastic_ips: int = _figure(
        5, "elastic IP addresses", "VPC user guide, Amazon VPC quotas", 0, 5000
    )
    quota_launch_templates: int = _figure(
        5000, "launch templates", "EC2 user guide, Restrictions of launch templates", 0, 100_000
    )
    quota_launch_template_versions: int = _figure(
        10_000, "versions of one template", "EC2 user guide, Restrictions of launch templates", 1
    )
    tags_per_resource: int = _figure(
        50, "tags of a resource, AWS's own not counted", "EC2 user guide, Tag restrictions"
    )
    user_data_bytes: int = _figure(
        16 * 1024, "user data, before base64", "EC2 user guide, Run commands at launch"
    )
    filter_values: int = _figure(
        200, "values of one filter", "EC2 API reference, FilterLimitExceeded"
    )
    metric_queries: int = _figure(
        500, "queries of a GetMetricData", "CloudWatch API reference, GetMetricData"
    )
    metric_datapoints: int = _figure(
        100_800, "data points of its answer", "CloudWatch API reference, GetMetricData"
    )
    spot_price_history_s: float = _figure(
        90 * 86_400.0,
        "how far back spot prices are reported",
        "EC2 API reference, DescribeSpotPriceHistory",
    )

    # Lambda, EventBridge, Step Functions, DynamoDB.
    lambda_sync_bytes: int = _figure(6 * 2**20, "payload of a synchronous invocation", _LAMBDA)
    lambda_async_bytes: int = _figure(2**20, "payload of an asynchronous invocation", _ONE_MB)
    lambda_timeout_s: int = _figure(3, "time-out of a function that sets none", _LAMBDA)
    lambda_memory_mb: int = _figure(128, "memory of a function that sets none; not kept", _LAMBDA)
    lambda_async_retries: int = _figure(2, "further tries after an error of the function", _ASYNC)
    lambda_async_age_s: int = _figure(
        6 * 3600, "age at which an asynchronous event is given up", _ASYNC
    )
    lambda_async_first_retry_s: float = _figure(60.0, "before the first further try", _ASYNC)
    lambda_async_second_retry_s: float = _figure(120.0, "before the second", _ASYNC)
    event_bytes: int = _figure(2**20, "an entry of PutEvents, and all of one call", _ONE_MB)
    event_retries: int = _figure(185, "further tries of a delivery to a target", _RETRIES)
    event_age_s: int = _figure(86_400, "age at which an event is given up", _RETRIES)
    event_backoff_s: Span = _figure(
        Span(1, 900),
        "first wait before a further try, doubled with jitter up to the second",
        "EventBridge user guide: exponential back-off and jitter, no figure published",
        0.001,
        86_400,
    )
    state_payload_bytes: int = _figure(
        262_144, "input or output of a state, task or execution; kept by moto", _STEP_FUNCTIONS
    )
    execution_events: int = _figure(25_000, "events of one execution's history", _STEP_FUNCTIONS)
    item_bytes: int = _figure(
        400 * 1024, "a DynamoDB item; kept by moto", "DynamoDB developer guide, Quotas"
    )
    transaction_items: int = _figure(
        100, "items of one transaction; kept by moto", "DynamoDB developer guide, Quotas"
    )


LIMITS = Limits()
"""AWS's own figures; fixed ones are always read from here."""
