"""Target groups of Elastic Load Balancing, and the health of their targets.

Source: Application Load Balancer user guide "Target group health checks" (states and reason
codes) and ELBv2 API reference.
"""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address

from simulator.world.errors import AwsError
from simulator.world.events import TargetDeregistered, TargetRegistered
from simulator.world.model import Target, TargetGroup
from simulator.world.operations import Params, Reply, attributed_operation, operation
from simulator.world.queries import Row
from simulator.world.state import WorldState
from simulator.world.visibility import is_hidden

_PAGE = 400
_NAMED_BALANCERS = 20
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


@operation("elbv2", "DescribeLoadBalancers")
def describe_load_balancers(state: WorldState, params: Params) -> Reply:
    """API_DescribeLoadBalancers: all, or up to 20 by ARN or by name; pages by Marker."""
    rows = {
        row["LoadBalancerArn"]: row
        for row in (_balancer_row(state, group) for group in state.target_groups.values())
        if row is not None
    }
    asked = [("LoadBalancerArn", arn) for arn in params.get("LoadBalancerArns", [])]
    asked += [("LoadBalancerName", name) for name in params.get("Names", [])]
    if len(asked) > _NAMED_BALANCERS:
        raise AwsError(
            "ValidationError", f"Up to {_NAMED_BALANCERS} load balancers can be described"
        )
    shown = [row for row in rows.values() if not asked or any(row[k] == v for k, v in asked)]
    if asked and len(shown) < len(set(asked)):
        raise AwsError("LoadBalancerNotFound", "One or more load balancers not found")
    size = params.get("PageSize", _PAGE)
    marker = params.get("Marker", "")
    start = int(marker) if marker.isdigit() else 0
    more = start + size < len(shown)
    return {
        "LoadBalancers": shown[start : start + size],
        "NextMarker": str(start + size) if more else None,
    }


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
    """API_RegisterTargets: instances must be running (InvalidTarget); registering a target again
    is fine, and ends its draining if it is an instance."""
    group = _find(state, params["TargetGroupArn"])
    now = state.now()
    zones: dict[str, str] = {}
    if group.target_type == "ip":
        zones = {item["Id"]: _zone(state, item) for item in params["Targets"]}
    else:
        _check_instances(state, [item["Id"] for item in params["Targets"]])
    for item in params["Targets"]:
        key = (item["Id"], item.get("Port", group.port))
        known = group.targets.get(key)
        if known is not None and known.deregistered_at is None:
            continue
        if known is not None and group.target_type == "ip" and _drains(state, group, known):
            # "You must wait for the deregistration delay to complete before you can register the
            # same IP address again" (Application Load Balancer guide, "Register targets"), which
            # names no error code.
            raise AwsError("InvalidTarget", f"The target '{key[0]}' is still being deregistered")
        target = Target(*key, registered_at=now, availability_zone=zones.get(key[0]))
        group.targets[key] = target
        if instance_id := _instance_of(state, group, target):
            state.publish(TargetRegistered(now, caller, group.arn, instance_id))
    return {}


def _check_instances(state: WorldState, ids: list[str]) -> None:
    unknown = [i for i in ids if i not in state.instances or is_hidden(state, i)]
    if unknown:
        raise AwsError(
            "InvalidTarget", f"The following targets are not valid: '{', '.join(unknown)}'"
        )
    idle = [item for item in ids if state.instances[item].state_at(state.now()) != "running"]
    if idle:
        raise AwsError(
            "InvalidTarget",
            "The following targets are not in a running state and cannot be registered: "
            f"'{', '.join(idle)}'",
        )


def _zone(state: WorldState, item: Params) -> str:
    """The zone of an address. Both refusals are as AWS words them (TargetDescription says when)."""
    address, asked = item["Id"], item.get("AvailabilityZone")
    try:
        parsed = IPv4Address(address)
    except ValueError as error:
        raise AwsError("ValidationError", f"The IP address '{address}' is not valid") from error
    within = [s.availability_zone for s in state.subnets.values() if parsed in s.cidr]
    if not within and asked is None:
        raise AwsError(
            "ValidationError",
            f"The Availability Zone is required for IP address '{address}' because it is not in "
            "the VPC",
        )
    if within and asked not in (None, within[0]):
        raise AwsError(
            "ValidationError",
            f"The IP address '{address}' is within the VPC, and cannot have its Availability Zone "
            f"overridden to '{asked}' from '{within[0]}'",
        )
    return within[0] if within else str(asked)


def _drains(state: WorldState, group: TargetGroup, target: Target) -> bool:
    left = target.deregistered_at
    return left is not None and state.now() < left + group.deregistration_delay


def _instance_of(state: WorldState, group: TargetGroup, target: Target) -> str | None:
    if group.target_type == "ip":
        return state.instance_of_private_ip(target.target_id)
    return target.target_id


@attributed_operation("elbv2", "DeregisterTargets")
def deregister_targets(state: WorldState, params: Params, caller: object) -> Reply:
    """API_DeregisterTargets: without a port all registrations of the target leave; one that is
    not registered is no error."""
    group = _find(state, params["TargetGroupArn"])
    now = state.now()
    for item in params["Targets"]:
        for (target_id, port), target in group.targets.items():
            named = target_id == item["Id"] and port == item.get("Port", port)
            if not named or target.deregistered_at is not None:
                continue
            target.deregistered_at = now
            if instance_id := _instance_of(state, group, target):
                state.publish(TargetDeregistered(now, caller, group.arn, instance_id))
    return {}


@operation("elbv2", "DescribeTargetHealth")
def describe_target_health(state: WorldState, params: Params) -> Reply:
    """API_DescribeTargetHealth: all targets that are registered or draining, or those named."""
    group = _find(state, params["TargetGroupArn"])
    present = {
        key: target
        for key, target in group.targets.items()
        if target.deregistered_at is None or _drains(state, group, target)
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
        zone = None
        if key in present:
            health, zone = _health(state, group, present[key]), present[key].availability_zone
        rows.append(
            {
                "Target": {"Id": key[0], "Port": key[1], "AvailabilityZone": zone},
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
    instance = state.instances.get(_instance_of(state, group, target) or "")
    current = instance.state_at(now) if instance else "terminated"
    if instance is None or (current != "running" and group.target_type == "ip"):
        # Who is behind an address is not ELB's to know: it only gets no answer.
        return _Health("unhealthy", "Target.Timeout", "Request timed out")
    if current != "running":
        return _Health("unused", "Target.InvalidState", f"Target is in the {current} state")
    zone = target.availability_zone or instance.availability_zone
    if zone not in (*group.enabled_zones, "all"):
        return _Health(
            "unused",
            "Target.NotInUse",
            "Target is in an Availability Zone that is not enabled for the load balancer",
        )
    if now < target.registered_at + timedelta(seconds=state.limits.target_registration_s):
        return _Health(
            "initial", "Elb.RegistrationInProgress", "Target registration is in progress"
        )
    # Checks can pass only once the system is up, however early the target was registered.
    up_at = max(target.registered_at, instance.checks_pass_at - timedelta(seconds=60))
    slow = group.protocol in _SLOW_PROTOCOLS
    span = state.limits.target_health_network_s if slow else state.limits.target_health_s
    delay = state.drawn(span, "healthy", group.arn, target.target_id)
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
    kind = _kind(group)[:3]
    head, _, tail = group.arn.partition(":targetgroup/")
    name, _, number = tail.partition("/")
    return f"{head}:loadbalancer/{kind}/{name}/{number}"


def _kind(group: TargetGroup) -> str:
    return "network" if group.protocol in _SLOW_PROTOCOLS else "application"


def _balancer_row(state: WorldState, group: TargetGroup) -> Row | None:
    """The load balancer that uses a target group, one for each here."""
    arn = _load_balancer(group)
    if arn is None:
        return None
    subnets = {s.availability_zone: s.subnet_id for s in reversed(state.subnets.values())}
    return {
        "LoadBalancerArn": arn,
        "LoadBalancerName": group.name,
        "DNSName": f"{group.name}-1234567890.{state.region}.elb.amazonaws.com",
        "Scheme": "internet-facing",
        "VpcId": group.vpc_id,
        "State": {"Code": "active"},
        "Type": _kind(group),
        "AvailabilityZones": [
            {"ZoneName": zone, "SubnetId": subnets[zone]} for zone in group.enabled_zones
        ],
        "IpAddressType": "ipv4",
    }


def _group_row(group: TargetGroup) -> Row:
    balancer = _load_balancer(group)
    http = group.protocol in ("HTTP", "HTTPS")
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": group.protocol,
        "Port": group.port,
        "VpcId": group.vpc_id,
        "TargetType": group.target_type,
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
