"""Target groups of Elastic Load Balancing, and the health of their targets.

Source: Application Load Balancer user guide "Target group health checks" (states and reason
codes) and ELBv2 API reference.
"""

from dataclasses import dataclass
from datetime import timedelta

from simulator.world.errors import AwsError
from simulator.world.events import TargetDeregistered, TargetRegistered
from simulator.world.model import Target, TargetGroup
from simulator.world.operations import Params, Reply, attributed_operation, operation
from simulator.world.queries import Row
from simulator.world.state import WorldState

_PAGE = 400
_SLOW_PROTOCOLS = ("TCP", "UDP", "TLS", "TCP_UDP")


@dataclass(frozen=True)
class _Health:
    state: str
    reason: str | None = None
    description: str | None = None


@operation("elbv2", "DescribeTargetGroups")
def describe_target_groups(state: WorldState, params: Params) -> Reply:
    """API_DescribeTargetGroups: by ARNs, names or load balancer; pages by Marker."""
    groups = list(state.target_groups.values())
    if arns := params.get("TargetGroupArns"):
        groups = [_find(state, arn) for arn in arns]
    if names := params.get("Names"):
        groups = [group for group in groups if group.name in names]
        if len(groups) < len(set(names)):
            raise _not_found()
    if arn := params.get("LoadBalancerArn"):
        groups = [group for group in groups if _load_balancer(group) == arn]
    size = params.get("PageSize", _PAGE)
    marker = params.get("Marker", "")
    start = int(marker) if marker.isdigit() else 0
    rows = [_group_row(group) for group in groups[start : start + size]]
    more = start + size < len(groups)
    return {"TargetGroups": rows, "NextMarker": str(start + size) if more else None}


@operation("elbv2", "DescribeTargetGroupAttributes")
def describe_target_group_attributes(state: WorldState, params: Params) -> Reply:
    """API_DescribeTargetGroupAttributes."""
    group = _find(state, params["TargetGroupArn"])
    values = {
        "deregistration_delay.timeout_seconds": f"{group.deregistration_delay.total_seconds():.0f}",
        "stickiness.enabled": "false",
        "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
        "slow_start.duration_seconds": "0",
        "load_balancing.algorithm.type": "round_robin",
    }
    return {"Attributes": [{"Key": key, "Value": value} for key, value in values.items()]}


@attributed_operation("elbv2", "RegisterTargets")
def register_targets(state: WorldState, params: Params, caller: object) -> Reply:
    """API_RegisterTargets: targets must be running (InvalidTarget); registering one again is
    fine, and ends its draining."""
    group = _find(state, params["TargetGroupArn"])
    now = state.now()
    ids = [item["Id"] for item in params["Targets"]]
    unknown = [item for item in ids if item not in state.instances]
    if unknown:
        raise AwsError(
            "InvalidTarget", f"The following targets are not valid: '{', '.join(unknown)}'"
        )
    idle = [item for item in ids if state.instances[item].state_at(now) != "running"]
    if idle:
        raise AwsError(
            "InvalidTarget",
            "The following targets are not in a running state and cannot be registered: "
            f"'{', '.join(idle)}'",
        )
    for item in params["Targets"]:
        key = (item["Id"], item.get("Port", group.port))
        known = group.targets.get(key)
        if known is not None and known.deregistered_at is None:
            continue
        group.targets[key] = Target(key[0], key[1], registered_at=now)
        state.publish(TargetRegistered(now, caller, group.arn, key[0]))
    return {}


@attributed_operation("elbv2", "DeregisterTargets")
def deregister_targets(state: WorldState, params: Params, caller: object) -> Reply:
    """API_DeregisterTargets: without a port all registrations of the instance leave; one that is
    not registered is no error."""
    group = _find(state, params["TargetGroupArn"])
    now = state.now()
    for item in params["Targets"]:
        for (instance_id, port), target in group.targets.items():
            named = instance_id == item["Id"] and port == item.get("Port", port)
            if named and target.deregistered_at is None:
                target.deregistered_at = now
                state.publish(TargetDeregistered(now, caller, group.arn, instance_id))
    return {}


@operation("elbv2", "DescribeTargetHealth")
def describe_target_health(state: WorldState, params: Params) -> Reply:
    """API_DescribeTargetHealth: all targets that are registered or draining, or those named."""
    group = _find(state, params["TargetGroupArn"])
    now = state.now()
    present = {
        key: target
        for key, target in group.targets.items()
        if target.deregistered_at is None
        or now < target.deregistered_at + group.deregistration_delay
    }
    keys = list(present)
    if "Targets" in params:
        keys = [(item["Id"], item.get("Port", group.port)) for item in params["Targets"]]
    rows = []
    for key in keys:
        health = _Health(
            "unused",
            "Target.NotRegistered",
            "Target is not registered to the target group",
        )
        if key in present:
            health = _health(state, group, present[key])
        rows.append(
            {
                "Target": {"Id": key[0], "Port": key[1]},
                "HealthCheckPort": str(key[1]),
                "TargetHealth": {
                    "State": health.state,
                    "Reason": health.reason,
                    "Description": health.description,
                },
            }
        )
    return {"TargetHealthDescriptions": rows}


def _health(state: WorldState, group: TargetGroup, target: Target) -> _Health:
    now = state.now()
    if target.deregistered_at is not None:
        return _Health(
            "draining",
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        )
    if not group.has_load_balancer:
        return _Health(
            "unused",
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        )
    instance = state.instances[target.instance_id]
    current = instance.state_at(now)
    if current != "running":
        return _Health("unused", "Target.InvalidState", f"Target is in the {current} state")
    if now < target.registered_at + timedelta(seconds=5):
        return _Health(
            "initial", "Elb.RegistrationInProgress", "Target registration is in progress"
        )
    # Checks can pass only once the system is up, however early the target was registered.
    up_at = max(target.registered_at, instance.checks_pass_at - timedelta(seconds=60))
    low, high = (120, 240) if group.protocol in _SLOW_PROTOCOLS else (20, 70)
    delay = state.seconds(low, high, "healthy", group.arn, target.instance_id)
    if now < up_at + delay:
        return _Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
    if instance.impaired:
        return _Health("unhealthy", "Target.Timeout", "Request timed out")
    return _Health("healthy")


def _find(state: WorldState, arn: str) -> TargetGroup:
    if arn not in state.target_groups:
        raise _not_found()
    return state.target_groups[arn]


def _not_found() -> AwsError:
    return AwsError("TargetGroupNotFound", "One or more target groups not found")


def _load_balancer(group: TargetGroup) -> str | None:
    if not group.has_load_balancer:
        return None
    kind = "net" if group.protocol in _SLOW_PROTOCOLS else "app"
    head, _, tail = group.arn.partition(":targetgroup/")
    name, _, number = tail.partition("/")
    return f"{head}:loadbalancer/{kind}/{name}/{number}"


def _group_row(group: TargetGroup) -> Row:
    balancer = _load_balancer(group)
    http = group.protocol in ("HTTP", "HTTPS")
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": group.vpc_id,
        "TargetType": "instance",
        "IpAddressType": "ipv4",
        "ProtocolVersion": "HTTP1" if http else None,
        "HealthCheckProtocol": "HTTP" if http else "TCP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/" if http else None,
        "Matcher": {"HttpCode": "200"} if http else None,
        "LoadBalancerArns": [balancer] if balancer else [],
    }
