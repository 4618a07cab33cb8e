"""The one place that makes logger, metrics and tracer.

Every log line of a switch carries its decision or switch id, so that one id follows it through every
function. No metric has a workload or a pool as dimension: a custom metric costs $0.30 a month. It is
paid by the hours in which it is sent: what counts troubles is sent only where there were some.
"""

import os
import warnings

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric

SERVICE = "spot-optimizer"
NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "SpotOptimizer")
"""One for each stack: the alarms of one must not see the metrics of another."""

logger = Logger(service=SERVICE)
# A run without anything to count is no reason for a warning (Powertools documentation, Metrics,
# "Suppress warnings on empty metrics").
warnings.filterwarnings("ignore", "No application metrics to publish*")
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)
# Nothing to trace outside Lambda: the SDK would look for a daemon.
tracer = Tracer(service=SERVICE, disabled="AWS_XRAY_DAEMON_ADDRESS" not in os.environ)


def publish(name: str, value: float, **dimensions: str) -> None:
    """A figure without a unit and with dimensions of its own, at once. Each combination costs as much
    as a metric."""
    with single_metric(
        name=name,
        unit=MetricUnit.NoUnit,
        value=value,
        namespace=NAMESPACE,
        default_dimensions={"service": SERVICE},
    ) as metric:
        for dimension, text in dimensions.items():
            metric.add_dimension(name=dimension, value=text)
