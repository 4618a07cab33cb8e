"""``launch_replacement``: one candidate by RunInstances, a rescue's spot pools by one CreateFleet;
refusals sorted by what cures them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import TryAgain, client, error_code, http_status, is_transient
from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.launch_templates import read_template_data
from spot_optimizer.aws.ledger.claims import ClaimLost, held_record
from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.steps import (
    LaunchRequest,
    RefusedLaunch,
    Replacement,
)
from spot_optimizer.switching.error_table import MAY_HAVE_LAUNCHED, TEMPLATE_UNSEEN
from spot_optimizer.switching.fleet_request import chosen_candidate, create_fleet_request
from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.launch_refusals import (
    Refusal,
    known_refusal,
    refusal_of,
)
from spot_optimizer.switching.launch_request import run_instances_request, switch_hash
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Phase,
    Scope,
)
from spot_optimizer.workflow.instance_reading import traits_of_ref

_TEMPLATE_WAITS_S = (1, 2, 4, 8)
"""Before further tries; with the calls well within the function's minute."""


class CapacityUnavailable(Exception):
    """Another pool, zone, family class or lifecycle may cure it. The text is a RefusedLaunch."""


class LaunchRejected(Exception):
    """No other candidate cures it: only time, or a person. The text is a RefusedLaunch."""


def launch_replacement(request: LaunchRequest, env: StepEnvironment, now: datetime) -> Replacement:
    """Launch the attempt's candidate, exactly once however often this is called.

    A rescue's attempt on spot stands for all its spot candidates. The client token is made of switch
    and attempt, so that a repeated call finds the instance of the first. Raises
    CapacityUnavailable or LaunchRejected when nothing has been launched, TryAgain, or ClaimLost when
    the claim is another run's or the switch has been abandoned. EC2's own error leaves this function
    where something may have been launched: the state machine looks for it and ends it.
    """
    switch = held_record(
        Ledger(env.ledger_table), request.workload_id, request.switch_id, request.token
    )
    if switch.abandoned_at is not None or switch.phase is Phase.FAILED:
        raise ClaimLost(f"switch '{request.switch_id}' has been abandoned")
    rescues = switch.order.kind is DecisionKind.EVACUATE
    by_fleet = rescues and request.attempt.target.lifecycle is Lifecycle.SPOT
    launch = _by_fleet if by_fleet else _by_run
    try:
        launched = _once_visible(lambda: launch(request, switch, now))
    except ClientError as error:
        meant = _meaning(error, rescues=rescues)
        if meant is None:
            raise
        raise meant from error
    logger.info("replacement launched", instance_id=launched.instance_id)
    return launched


def _once_visible(launch: Callable[[], Replacement]) -> Replacement:
    """Launch; wait a little for a template that the cycle before has just written.

    EC2 may find it later than its maker goes on (EC2 developer guide, "Eventual consistency").
    """
    for wait_s in _TEMPLATE_WAITS_S:
        try:
            return launch()
        except ClientError as error:
            if error_code(error) not in TEMPLATE_UNSEEN:
                raise
        time.sleep(wait_s)
    return launch()


def _by_run(request: LaunchRequest, switch: SwitchItem, _now: datetime) -> Replacement:
    template, attempt = request.launch_template, request.attempt
    # Missing capacity is a server error, which the SDK would ask for again at once: in vain, and
    # with five requests EC2 throttles the next candidate's launch. The state machine tries again
    # what passes by itself.
    reply = client("ec2", once=True).run_instances(
        **run_instances_request(attempt.target, traits=traits_of_ref(template), **_common(request))
    )
    instance = reply["Instances"][0]
    return Replacement(
        instance_id=instance["InstanceId"],
        launched_at=_aware(instance["LaunchTime"]),
        candidate=switch.order.candidates.index(attempt.target),
    )


def _by_fleet(request: LaunchRequest, switch: SwitchItem, now: datetime) -> Replacement:
    candidates = switch.order.candidates
    spot = [c for c in candidates if c.lifecycle is Lifecycle.SPOT]
    reply = client("ec2", once=True).create_fleet(**create_fleet_request(spot, **_common(request)))
    fleet = reply if reply.get("Instances") else _remembered(reply)
    rows = fleet.get("Instances") or []
    if not rows:
        raise _all_refused(reply.get("Errors") or fleet.get("Errors") or [], switch)
    chosen = chosen_candidate(spot, rows[0])
    return Replacement(
        instance_id=rows[0]["InstanceIds"][0],
        launched_at=now,
        candidate=candidates.index(chosen),
    )


def _remembered(reply: Record) -> Record:
    """The fleet as EC2 remembers it, where the answer of CreateFleet names no instance.

    A repeated call "succeeds without performing any further actions" ("Ensuring idempotency in Amazon
    EC2 API requests"); that it repeats ``Instances`` is said nowhere. DescribeFleets has them for
    fleets of type instant (EC2 API reference, FleetData).
    """
    try:
        found = client("ec2").describe_fleets(FleetIds=[reply["FleetId"]])["Fleets"]
    except ClientError as error:
        if is_transient(error) or not reply.get("Errors"):
            raise TryAgain(str(error)) from error
        # The fleet is so new that EC2 does not find it, or may not be asked for: it has told its errors.
        return reply
    return found[0] if found else reply


def _common(request: LaunchRequest) -> dict[str, Any]:
    template = request.launch_template
    return {
        "template_id": template.template_id,
        "template_version": template.version,
        "template_data": read_template_data(template.template_id, template.version),
        "switch_id": request.switch_id,
        "switch_hash": switch_hash(request.switch_id),
        "attempt": request.attempt.number,
    }


def _all_refused(errors: list[Any], switch: SwitchItem) -> CapacityUnavailable:
    """No pool of the fleet could launch: what is left to try is the other lifecycle, whatever the codes
    say, because a repeated fleet would only repeat its answer (one client token).

    Where EC2 was only too busy (Karpenter's issue 8923 shows ``RequestLimitExceeded`` in ``Errors``),
    a second fleet, of an attempt of its own, comes first.
    """
    codes = [str(error.get("ErrorCode", "Unknown")) for error in errors]
    told = "; ".join(
        f"{_override(error).get('InstanceType', '?')} in {_override(error).get('SubnetId', '?')}:"
        f" {error.get('ErrorCode', 'Unknown')}"
        for error in errors
    )
    busy = bool(codes) and all(refusal_of(code).scope is Scope.TIME for code in codes)
    again = busy and not any(refusal.again for refusal in switch.refusals)
    last_resort = "they are asked for once more" if again else "on-demand may"
    refusal = RefusedLaunch(
        code=codes[0] if codes else "NoInstances",
        scope=Scope.TIME if again else Scope.LIFECYCLE,
        cure=f"None of the plan's {len(codes)} spot pools could launch; {last_resort}.",
        message=told[:500],
        again=again,
    )
    return CapacityUnavailable(refusal.model_dump_json())


def _override(error: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = error.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    return found


def _meaning(error: ClientError, *, rescues: bool) -> Exception | None:
    """What an error of EC2 means to the state machine; None where something may have been launched all
    the same."""
    code, message = error_code(error), str(error.response["Error"].get("Message", ""))
    refusal = known_refusal(code, message)
    passes = is_transient(error) if refusal is None else refusal.scope is Scope.TIME
    if passes and code not in TEMPLATE_UNSEEN:
        return TryAgain(str(error))
    if refusal is None and _is_rejected(error):
        refusal = _of_unknown(code, rescues=rescues)
    if refusal is None or code in MAY_HAVE_LAUNCHED:
        return None
    scope = refusal.scope
    if error.operation_name == "CreateFleet" and scope is not Scope.TIME:
        # A fleet is refused as a whole; what follows is another call, with rights and quotas of its own.
        scope = Scope.LIFECYCLE
    text = RefusedLaunch(
        code=code, scope=scope, cure=refusal.cure, message=message[:500]
    ).model_dump_json()
    kind = LaunchRejected if scope in (Scope.TIME, Scope.NOTHING) else CapacityUnavailable
    return kind(text)


def _is_rejected(error: ClientError) -> bool:
    """Whether EC2 has rejected the request itself, so that it had no effect ("Error codes for the Amazon
    EC2 API": client errors come with a status of the 400 series)."""
    return 400 <= http_status(error) < 500


def _of_unknown(code: str, *, rescues: bool) -> Refusal:
    """A code that no table knows. A rescue's other candidates are tried: its original is about to go."""
    if not rescues:
        return refusal_of(code)
    return Refusal(
        Scope.POOL, f"'{code}' is not a known EC2 error code; another candidate is tried."
    )


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
