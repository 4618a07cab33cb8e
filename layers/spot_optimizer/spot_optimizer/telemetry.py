"""The one place that makes logger, metrics and tracer.

Every log line of a switch carries its decision or switch id, so that one id follows it through every
function. No metric has a workload or a pool as dimension: a custom metric costs $0.30 a month.
"""

import os
import warnings

from aws_lambda_powertools import Logger, Metrics, Tracer

SERVICE = "spot-optimizer"

logger = Logger(service=SERVICE)
# A run without anything to count is no reason for a warning (Powertools documentation, Metrics,
# "Suppress warnings on empty metrics").
warnings.filterwarnings("ignore", "No application metrics to publish*")
# A namespace for each stack: the alarms of one must not see the metrics of another.
metrics = Metrics(
    service=SERVICE, namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "SpotOptimizer")
)
# Nothing to trace outside Lambda: the SDK would look for a daemon.
tracer = Tracer(service=SERVICE, disabled="AWS_XRAY_DAEMON_ADDRESS" not in os.environ)
