"""Load balancers that a hand-over does not support."""

from spot_optimizer.aws.load_balancing import read_classic_load_balancers
from spot_optimizer.services.hand_over.errors import LoadBalancerNotSupported


def refuse_classic_load_balancers(original_id: str) -> None:
    """Raises LoadBalancerNotSupported for an original that a Classic Load Balancer serves."""
    balancers = read_classic_load_balancers(original_id)
    if balancers:
        raise LoadBalancerNotSupported(
            f"register {original_id} with a target group instead of the Classic Load Balancer"
            f" {', '.join(repr(name) for name in balancers)}, which is not supported, or tag it"
            " spot-optimizer:mode = off"
        )
