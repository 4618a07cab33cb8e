"""Why a hand-over fails; the state machine sees the names of these exceptions."""

from spot_optimizer.aws.clients import TryAgain
from spot_optimizer.aws.instances import read_instances
from spot_optimizer.contracts.steps import HandOverRequest

_ENDED = ("shutting-down", "terminated", "stopping", "stopped")


class TargetsNotHealthy(Exception):
    """The replacement does not become healthy in a target group in time, or cannot take an address."""


class LoadBalancerNotSupported(Exception):
    """The original's kind of load balancer cannot be handed over; the text says what to do."""


def ended_or_not_yet(request: HandOverRequest, problem: str) -> Exception:
    """What to raise when AWS says that the replacement is not running.

    It was running before. For some seconds another part of AWS may still report it as pending, with
    the same error (EC2 developer guide, "Eventual consistency"); a failover that believed it would
    terminate the instance that it needs.
    """
    row = read_instances([request.replacement_id]).get(request.replacement_id)
    text = f"{request.replacement_id} {problem}"
    ended = row is not None and row["State"]["Name"] in _ENDED
    return TargetsNotHealthy(text) if ended else TryAgain(text)
