"""Spot instance requests."""

from simulator.world.events import SpotRequestCancelled
from simulator.world.instances import USER_INITIATED, terminate
from simulator.world.model import SpotRequest
from simulator.world.operations import Params, Reply, attributed_operation, operation
from simulator.world.queries import Row, filtered, no_paging_with_ids, page, select, tag_list
from simulator.world.state import WorldState
from simulator.world.visibility import Way, is_hidden

_NOT_FOUND = "InvalidSpotInstanceRequestID.NotFound"
_MESSAGES = {
    "fulfilled": "Your spot request is fulfilled.",
    "instance-terminated-by-user": "Spot Instance terminated due to user-initiated termination.",
    "instance-stopped-by-user": "Spot Instance stopped due to user-initiated stop.",
    "instance-terminated-no-capacity": "Spot Instance terminated due to lack of capacity.",
    "capacity-not-available": "There is no Spot capacity available that matches your request.",
    "request-canceled-and-instance-running": "Your spot request is canceled, but your instance "
    "is still running.",
    "canceled-before-fulfillment": "Your spot request is canceled before it was fulfilled.",
}


@operation("ec2", "DescribeSpotInstanceRequests")
def describe_spot_instance_requests(state: WorldState, params: Params) -> Reply:
    """API_DescribeSpotInstanceRequests."""
    no_paging_with_ids(params, "SpotInstanceRequestIds")
    wanted = params.get("SpotInstanceRequestIds", [])
    known = _visible(state, "id" if wanted else "list")
    chosen = select(known, wanted, _NOT_FOUND, "spot instance request")
    paths = {
        "spot-instance-request-id": "SpotInstanceRequestId",
        "instance-id": "InstanceId",
        "state": "State",
        "status-code": "Status.Code",
        "type": "Type",
        "launch.instance-type": "LaunchSpecification.InstanceType",
        "launch.image-id": "LaunchSpecification.ImageId",
        "launched-availability-zone": "LaunchedAvailabilityZone",
        "product-description": "ProductDescription",
    }
    rows = filtered([_row(state, request) for request in chosen], params, paths)
    shown, token = page(state, "DescribeSpotInstanceRequests", rows, params)
    return {"SpotInstanceRequests": shown, "NextToken": token}


@attributed_operation("ec2", "CancelSpotInstanceRequests")
def cancel_spot_instance_requests(state: WorldState, params: Params, caller: object) -> Reply:
    """API_CancelSpotInstanceRequests: repeating it is fine. It does not terminate a running instance, but
    a stopped one (EC2 user guide, "Behavior of Spot Instance interruptions")."""
    wanted = params["SpotInstanceRequestIds"]
    chosen = select(_visible(state, "id"), wanted, _NOT_FOUND, "spot instance request")
    now = state.now().replace(microsecond=0)
    for request in chosen:
        if request.state in ("cancelled", "closed"):
            continue
        fulfilled = request.state in ("active", "disabled")
        request.state, request.update_time = "cancelled", now
        request.status_code = (
            "request-canceled-and-instance-running" if fulfilled else "canceled-before-fulfillment"
        )
        state.publish(SpotRequestCancelled(state.now(), caller, request.request_id))
        instance = state.instances.get(request.instance_id or "")
        if instance is not None and instance.state_at(state.now()) in ("stopping", "stopped"):
            terminate(state, instance, caller, reason=USER_INITIATED)
    return {
        "CancelledSpotInstanceRequests": [
            {"SpotInstanceRequestId": request.request_id, "State": request.state}
            for request in chosen
        ]
    }


def _visible(state: WorldState, way: Way) -> dict[str, SpotRequest]:
    return {k: v for k, v in state.spot_requests.items() if not is_hidden(state, k, way)}


def _row(state: WorldState, request: SpotRequest) -> Row:
    spec = request.spec
    market = spec.spot
    assert market is not None
    hourly = state.on_demand_usd_per_hour.get(spec.instance_type)
    return {
        "SpotInstanceRequestId": request.request_id,
        "InstanceId": request.instance_id,
        "State": request.state,
        "Status": {
            "Code": request.status_code,
            "Message": _MESSAGES[request.status_code],
            "UpdateTime": request.update_time or request.create_time,
        },
        "Type": market.request_type,
        "InstanceInterruptionBehavior": market.interruption_behavior,
        "CreateTime": request.create_time,
        "LaunchedAvailabilityZone": spec.availability_zone,
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": market.max_price or (f"{hourly:.6f}" if hourly else None),
        "LaunchSpecification": {
            "ImageId": spec.image_id,
            "InstanceType": spec.instance_type,
            "KeyName": spec.key_name,
            "Placement": {"AvailabilityZone": spec.availability_zone},
            "SubnetId": spec.interfaces[0].subnet_id,
            "Monitoring": {"Enabled": spec.detailed_monitoring},
        },
        "Tags": tag_list(state, request.request_id),
    }
