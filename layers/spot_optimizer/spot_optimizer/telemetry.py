"""The only place that creates logger, metrics and tracer.

Every log line of a switch has its decision or switch id, which follows it through all functions. No
metric has a workload or a pool as a dimension: a custom metric costs $0.30 a month. It is billed by the
hours in which it is sent, so a metric that counts failures is sent only if there were any.
"""

import os
import warnings

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric

SERVICE = "spot-optimizer"
NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "SpotOptimizer")
"""One for each stack, so that the alarms of one do not see the metrics of another."""

logger = Logger(service=SERVICE)
# An invocation without metrics needs no warning (Powertools documentation, Metrics,
# "Suppress warnings on empty metrics").
warnings.filterwarnings("ignore", "No application metrics to publish*")
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)
# Disabled outside Lambda, which has the X-Ray daemon.
tracer = Tracer(service=SERVICE, disabled="AWS_XRAY_DAEMON_ADDRESS" not in os.environ)


def publish(name: str, value: float, **dimensions: str) -> None:
    """Send a figure without a unit and with its own dimensions at once. Each combination of dimensions is
    billed as a metric."""
    with single_metric(
        name=name,
        unit=MetricUnit.NoUnit,
        value=value,
        namespace=NAMESPACE,
        default_dimensions={"service": SERVICE},
    ) as metric:
        for dimension, text in dimensions.items():
            metric.add_dimension(name=dimension, value=text)
