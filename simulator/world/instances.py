"""The life of an instance: launch, start, stop, terminate; and what ends with it.

Durations are drawn per instance within the spans of simulator/limits.py.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from simulator.world import addresses, keys, network, visibility, volumes
from simulator.world.capacity import check_capacity, check_quota
from simulator.world.errors import AwsError
from simulator.world.events import (
    InstanceLaunched,
    InstanceRunning,
    InstanceStopped,
    InstanceStopping,
    InstanceTerminated,
    InstanceTerminating,
    TargetDeregistered,
)
from simulator.world.model import Instance, LaunchSpec, SpotRequest
from simulator.world.operations import Params, Reply, attributed_operation
from simulator.world.state import WorldState

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
USER_INITIATED = (
    "Client.UserInitiatedShutdown",
    "Client.UserInitiatedShutdown: User initiated shutdown",
)
_SPOT_USER_CODES = {"terminate": "instance-terminated-by-user", "stop": "instance-stopped-by-user"}


def launch(
    state: WorldState,
    spec: LaunchSpec,
    caller: object,
    *,
    reservation_id: str,
    launch_index: int = 0,
    spot_request: SpotRequest | None = None,
) -> Instance:
    """Launch an instance from a checked launch: it is pending from now on, and said so.

    One whose keys EC2 spot may not use ends when it would have run.
    """
    instance = create(
        state,
        spec,
        caller,
        reservation_id=reservation_id,
        launch_index=launch_index,
        spot_request=spot_request,
    )
    state.publish(
        InstanceLaunched(
            instance.launch_time,
            caller,
            instance.instance_id,
            spec.instance_type,
            spec.availability_zone,
            spec.lifecycle,
        )
    )
    started, _ = instance.transitions[-1]
    if keys.lacks_key(state, spec):
        instance.transitions.pop()
        state.at(started, lambda: terminate(state, instance, None, reason=keys.LAUNCH_FAILED))
    else:
        _announce_running(state, instance, started, caller)
    visibility.hide_instance(state, instance)
    return instance


def create(
    state: WorldState,
    spec: LaunchSpec,
    caller: object,
    *,
    reservation_id: str,
    launch_index: int = 0,
    spot_request: SpotRequest | None = None,
) -> Instance:
    """Make an instance with all that belongs to it, without an event."""
    now = state.now().replace(microsecond=0)
    instance_id = state.new_id("i")
    running = now + state.drawn(state.limits.boot_s, "boot", instance_id)
    instance = Instance(
        instance_id=instance_id,
        spec=spec,
        reservation_id=reservation_id,
        launch_time=now,
        transitions=[(now, "pending"), (running, "running")],
        checks_pass_at=running + state.drawn(state.limits.status_checks_s, "checks", instance_id),
        impaired=_never_passes(state, spec, now),
        launch_index=launch_index,
        # Spot Instances have no termination protection.
        disable_api_termination=spec.disable_api_termination and spec.spot is None,
        launched_by=caller,
    )
    state.instances[instance_id] = instance
    _equip(state, instance, spot_request)
    return instance


def _never_passes(state: WorldState, spec: LaunchSpec, now: datetime) -> bool:
    return any(
        failure.start <= now < failure.end
        and fnmatchcase(spec.instance_type, failure.instance_type)
        and fnmatchcase(spec.availability_zone, failure.availability_zone)
        for failure in state.check_failures
    )


def _equip(state: WorldState, instance: Instance, spot_request: SpotRequest | None) -> None:
    spec, tags = instance.spec, instance.spec.tags
    state.tags[instance.instance_id] = dict(tags.get("instance", {}))
    for interface_spec in spec.interfaces:
        interface = network.attach_interface(state, instance, interface_spec)
        if interface_spec.interface_id is None:
            state.tags[interface.interface_id] = dict(tags.get("network-interface", {}))
    for device in spec.block_devices:
        volume = volumes.attach_new_volume(state, instance, device)
        state.tags[volume.volume_id] = dict(tags.get("volume", {}))
    if spot_request is not None:
        spot_request.instance_id = instance.instance_id
        instance.spot_request_id = spot_request.request_id
    elif spec.spot is not None:
        request = SpotRequest(state.new_id("sir"), spec, instance.launch_time, instance.instance_id)
        state.spot_requests[request.request_id] = request
        state.tags[request.request_id] = dict(tags.get("spot-instances-request", {}))
        instance.spot_request_id = request.request_id


def _announce_running(
    state: WorldState, instance: Instance, when: datetime, caller: object
) -> None:
    def announce() -> None:
        if (when, "running") in instance.transitions:
            state.publish(InstanceRunning(when, caller, instance.instance_id))

    state.at(when, announce)


def terminate(
    state: WorldState, instance: Instance, caller: object, *, reason: tuple[str, str]
) -> None:
    """Begin the end of an instance; nothing happens when it already ends.

    reason: StateReason code and message, such as Client.UserInitiatedShutdown for a call or
    Server.SpotInstanceTermination for an interruption.
    """
    now = state.now()
    if instance.state_at(now) in ("shutting-down", "terminated"):
        return
    gone = now + state.drawn(state.limits.shut_down_s, "shut-down", instance.instance_id)
    instance.change((now, "shutting-down"), (gone, "terminated"))
    instance.terminated_by, instance.state_reason = caller, reason
    by_user = reason[0].startswith("Client.User")
    if by_user:
        instance.transition_reason = f"User initiated ({now:%Y-%m-%d %H:%M:%S} GMT)"
    if reason == keys.LAUNCH_FAILED and instance.spot_request_id:
        # EC2 documents no status code for it.
        state.spot_requests[instance.spot_request_id].state = "closed"
    elif instance.spot_request_id:
        _end_of_spot_request(state, instance, by_user)
    state.publish(InstanceTerminating(now, caller, instance.instance_id))
    state.at(gone, lambda: _bury(state, instance, gone))


def _bury(state: WorldState, instance: Instance, when: datetime) -> None:
    for address in list(state.addresses.values()):
        if state.instance_of_interface(address.interface_id) == instance.instance_id:
            addresses.release(state, address, instance.terminated_by)
    for interface_id in instance.interface_ids:
        network.release_interface(state, state.interfaces[interface_id])
    for volume_id in instance.volume_ids:
        volumes.release_volume(state, state.volumes[volume_id])
    # An address stays registered until somebody takes it out: it may be anybody's.
    for group in state.target_groups.values():
        for target in group.targets.values():
            if target.target_id == instance.instance_id and target.deregistered_at is None:
                target.deregistered_at = when
                state.publish(TargetDeregistered(when, None, group.arn, instance.instance_id))
    state.publish(InstanceTerminated(when, instance.terminated_by, instance.instance_id))
    state.at(when + _remembered(state), lambda: _forget_tags(state, instance))


def _forget_tags(state: WorldState, instance: Instance) -> None:
    # The instance itself is kept for its bill; it is no longer described.
    state.tags.pop(instance.instance_id, None)


def _end_of_spot_request(state: WorldState, instance: Instance, by_user: bool) -> None:
    request = state.spot_requests[instance.spot_request_id or ""]
    request.update_time = state.now().replace(microsecond=0)
    code = _SPOT_USER_CODES["terminate"] if by_user else "instance-terminated-no-capacity"
    request.status_code = code
    if request.state == "cancelled":
        return
    if request.spec.spot is not None and request.spec.spot.request_type == "persistent":
        # A persistent request opens again and is served by a new instance (EC2 user guide,
        # "Spot request states"), unless it is cancelled first.
        request.state = "open"
        delay = state.drawn(state.limits.reopen_s, "reopen", instance.instance_id)
        state.at(state.now() + delay, lambda: _serve_again(state, request))
    else:
        request.state = "closed"


def _serve_again(state: WorldState, request: SpotRequest) -> None:
    if request.state != "open":
        return
    spec = request.spec
    try:
        check_capacity(state, spec.instance_type, spec.availability_zone, "spot")
    except AwsError:
        request.status_code = "capacity-not-available"
        state.at(state.now() + timedelta(minutes=5), lambda: _serve_again(state, request))
        return
    request.state, request.status_code = "active", "fulfilled"
    fresh = replace(
        spec,
        tags={},
        interfaces=tuple(replace(i, private_ip_addresses=()) for i in spec.interfaces),
    )
    launch(state, fresh, None, reservation_id=state.new_id("r"), spot_request=request)


def _remembered(state: WorldState) -> timedelta:
    return timedelta(seconds=state.limits.terminated_visible_s)


def visible(state: WorldState, instance: Instance) -> bool:
    """Terminated instances can be described for about an hour."""
    gone = instance.terminated_at()
    return gone is None or state.now() < gone + _remembered(state)


def find(state: WorldState, ids: list[str]) -> list[Instance]:
    """The instances with these ids; all that can be described when none are given.

    A new one is not found yet for a while (visibility.py).
    """
    for instance_id in ids:
        if not instance_id.startswith("i-"):
            raise AwsError("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
    missing = [
        item
        for item in ids
        if item not in state.instances
        or not visible(state, state.instances[item])
        or visibility.is_hidden(state, item)
    ]
    if missing:
        plural = len(missing) > 1
        raise AwsError(
            "InvalidInstanceID.NotFound",
            f"The instance ID{'s' if plural else ''} '{', '.join(missing)}' "
            f"{'do' if plural else 'does'} not exist",
        )
    if ids:
        return [state.instances[item] for item in dict.fromkeys(ids)]
    return [
        item
        for item in state.instances.values()
        if visible(state, item) and not visibility.is_hidden(state, item.instance_id, "list")
    ]


def state_row(name: str) -> dict[str, object]:
    """A state as replies carry it."""
    return {"Code": STATE_CODES[name], "Name": name}


def _changes(before: dict[str, str], state: WorldState) -> list[dict[str, object]]:
    now = state.now()
    return [
        {
            "InstanceId": instance_id,
            "PreviousState": state_row(previous),
            "CurrentState": state_row(state.instances[instance_id].state_at(now)),
        }
        for instance_id, previous in before.items()
    ]


INTERRUPTED = (
    "Server.SpotInstanceTermination",
    "Server.SpotInstanceTermination: Spot Instance termination",
)
STOPPED_BY_EC2 = (
    "Server.SpotInstanceShutdown",
    "Server.SpotInstanceShutdown: Instance stopped because of a Spot Instance interruption",
)
STOPPED_FOR_RETIREMENT = (
    "Server.ScheduledStop",
    "Server.ScheduledStop: Stopped due to scheduled retirement",
)
FAILED = ("Server.InternalError", "Server.InternalError: Internal error")
"""API_StateReason."""


def end_by_ec2(state: WorldState, instance: Instance, action: str, reason: tuple[str, str]) -> None:
    """Terminate or stop an instance for a reason of EC2's own."""
    if action == "terminate":
        terminate(state, instance, None, reason=reason)
    elif instance.state_at(state.now()) == "running":
        _stop(state, instance, None, reason=reason)


def reclaim(state: WorldState, instance: Instance, action: str) -> None:
    """Take a spot instance's capacity back, as EC2 does at the end of an interruption warning."""
    reason = INTERRUPTED if action == "terminate" else STOPPED_BY_EC2
    end_by_ec2(state, instance, action, reason)


@attributed_operation("ec2", "TerminateInstances")
def terminate_instances(state: WorldState, params: Params, caller: object) -> Reply:
    """API_TerminateInstances: idempotent; an unknown id fails all; one protected instance saves
    those of its own zone, the other zones' are terminated, and the call fails."""
    chosen = find(state, params["InstanceIds"])
    now = state.now()
    before = {item.instance_id: item.state_at(now) for item in chosen}
    refused = [
        item
        for item in chosen
        if item.disable_api_termination and before[item.instance_id] != "terminated"
    ]
    spared = {item.availability_zone for item in refused}
    for item in chosen:
        if item.availability_zone not in spared:
            terminate(state, item, caller, reason=USER_INITIATED)
    if refused:
        raise AwsError(
            "OperationNotPermitted",
            f"The instance '{refused[0].instance_id}' may not be terminated. Modify its "
            "'disableApiTermination' instance attribute and try again.",
        )
    return {"TerminatingInstances": _changes(before, state)}


@attributed_operation("ec2", "StopInstances")
def stop_instances(state: WorldState, params: Params, caller: object) -> Reply:
    """API_StopInstances: idempotent; an instance of a one-time spot request cannot be stopped."""
    chosen = find(state, params["InstanceIds"])
    now = state.now()
    before = {item.instance_id: item.state_at(now) for item in chosen}
    for item in chosen:
        _check_can_stop(item, before[item.instance_id])
    for item in chosen:
        if before[item.instance_id] == "running":
            _stop(state, item, caller)
    return {"StoppingInstances": _changes(before, state)}


def _check_can_stop(instance: Instance, current: str) -> None:
    spot = instance.spec.spot
    if spot is not None and spot.request_type == "one-time":
        raise AwsError(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{instance.instance_id}' because it is associated "
            "with a one-time Spot Instance request. You can only stop Spot Instances associated "
            "with persistent Spot Instance requests.",
        )
    if instance.spec.disable_api_stop:
        raise AwsError(
            "OperationNotPermitted",
            f"The instance '{instance.instance_id}' may not be stopped. Modify its "
            "'disableApiStop' instance attribute and try again.",
        )
    if current not in ("running", "stopping", "stopped"):
        raise AwsError(
            "IncorrectInstanceState",
            f"This instance '{instance.instance_id}' is not in a state from which it can be "
            "stopped.",
        )


def _stop(
    state: WorldState,
    instance: Instance,
    caller: object,
    *,
    reason: tuple[str, str] = USER_INITIATED,
) -> None:
    now = state.now()
    stopped = now + state.drawn(state.limits.stop_s, "stop", instance.instance_id, now)
    instance.change((now, "stopping"), (stopped, "stopped"))
    if reason == USER_INITIATED:
        instance.transition_reason = f"User initiated ({now:%Y-%m-%d %H:%M:%S} GMT)"
    instance.state_reason = reason
    if instance.spot_request_id:
        request = state.spot_requests[instance.spot_request_id]
        request.state, request.status_code = "disabled", _SPOT_USER_CODES["stop"]
    for interface_id in instance.interface_ids:
        state.interfaces[interface_id].auto_public_ip = None
    state.publish(InstanceStopping(now, caller, instance.instance_id))

    def announce() -> None:
        if (stopped, "stopped") in instance.transitions:
            state.publish(InstanceStopped(stopped, caller, instance.instance_id))

    state.at(stopped, announce)


@attributed_operation("ec2", "StartInstances")
def start_instances(state: WorldState, params: Params, caller: object) -> Reply:
    """API_StartInstances: needs quota and capacity again; the launch time becomes the
    time of the start."""
    chosen = find(state, params["InstanceIds"])
    now = state.now()
    before = {item.instance_id: item.state_at(now) for item in chosen}
    for item in chosen:
        if before[item.instance_id] not in ("stopped", "pending", "running"):
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{item.instance_id}' is not in a state from which it can be "
                "started.",
            )
        if before[item.instance_id] == "stopped":
            check_quota(state, item.instance_type, item.lifecycle, 1)
            check_capacity(state, item.instance_type, item.availability_zone, item.lifecycle)
    for item in chosen:
        if before[item.instance_id] == "stopped":
            _start(state, item, caller)
    return {"StartingInstances": _changes(before, state)}


def _start(state: WorldState, instance: Instance, caller: object) -> None:
    now = state.now()
    running = now + state.drawn(state.limits.boot_s, "boot", instance.instance_id, now)
    instance.change((now, "pending"), (running, "running"))
    instance.launch_time = now.replace(microsecond=0)
    instance.checks_pass_at = running + state.drawn(
        state.limits.status_checks_s, "checks", instance.instance_id, now
    )
    instance.state_reason, instance.transition_reason = None, ""
    if instance.spot_request_id:
        request = state.spot_requests[instance.spot_request_id]
        request.state, request.status_code = "active", "fulfilled"
    elastic = {address.interface_id for address in state.addresses.values()}
    if instance.interface_ids[0] not in elastic:
        primary = state.interfaces[instance.interface_ids[0]]
        primary.auto_public_ip = network.new_public_ip(state)
    _announce_running(state, instance, running, caller)
