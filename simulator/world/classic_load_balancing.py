"""Classic Load Balancers, as far as it takes to see who is registered with one.

Source: Elastic Load Balancing API reference, version 2012-06-01.
"""

from simulator.world.errors import AwsError
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row
from simulator.world.state import WorldState

_PAGE = 400


@operation("elb", "DescribeLoadBalancers")
def describe_load_balancers(state: WorldState, params: Params) -> Reply:
    """API_DescribeLoadBalancers: all or those named (LoadBalancerNotFound); pages by Marker."""
    names = params.get("LoadBalancerNames", list(state.classic_load_balancers))
    for name in names:
        if name not in state.classic_load_balancers:
            raise AwsError(
                "LoadBalancerNotFound", f"There is no ACTIVE Load Balancer named '{name}'"
            )
    size = params.get("PageSize", _PAGE)
    marker = params.get("Marker", "")
    start = int(marker) if marker.isdigit() else 0
    more = start + size < len(names)
    return {
        "LoadBalancerDescriptions": [_row(state, name) for name in names[start : start + size]],
        "NextMarker": str(start + size) if more else None,
    }


def _row(state: WorldState, name: str) -> Row:
    instance_ids = state.classic_load_balancers[name]
    return {
        "LoadBalancerName": name,
        "DNSName": f"{name}-1234567890.{state.region}.elb.amazonaws.com",
        "AvailabilityZones": [zone.name for zone in state.zones],
        "VPCId": state.vpc_id,
        "Scheme": "internet-facing",
        "Instances": [{"InstanceId": instance_id} for instance_id in instance_ids],
    }
