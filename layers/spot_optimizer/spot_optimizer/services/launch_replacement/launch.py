"""``launch_replacement``: launches one attempt's replacement, exactly once.

A planned switch launches one candidate by RunInstances. A failover tries all its spot pools with one
CreateFleet (``fleet_launch``). ``launch_errors`` says what a refusal means.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.aws.environment import StepEnvironment
from spot_optimizer.aws.launch_templates import read_template_data
from spot_optimizer.aws.ledger.claims import ClaimLost, held_record
from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.steps import LaunchRequest, Replacement
from spot_optimizer.services.launch_replacement.fleet_launch import launch_fleet
from spot_optimizer.services.launch_replacement.launch_errors import meaning_of
from spot_optimizer.switching.error_table import TEMPLATE_UNSEEN
from spot_optimizer.switching.launch_request import run_instances_request, switch_hash
from spot_optimizer.switching.launch_traits import traits_of
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import DecisionKind, Lifecycle, Phase

_TEMPLATE_WAITS_S = (1, 2, 4, 8)
"""Before further attempts; together with the calls well within the function's minute."""


def launch_replacement(request: LaunchRequest, env: StepEnvironment, now: datetime) -> Replacement:
    """Launch the attempt's candidate; however often this is called, one instance is launched.

    A failover's attempt on spot includes all its spot candidates. The client token consists of switch
    and attempt, so a repeated call finds the instance of the first. Raises CapacityUnavailable or
    LaunchRejected if nothing was launched, TryAgain after a transient error, and ClaimLost if another
    run has the claim or the switch was abandoned. EC2's own error is raised if something may have been
    launched: the state machine then looks for it and terminates it.
    """
    switch = held_record(
        Ledger(env.ledger_table), request.workload_id, request.switch_id, request.token
    )
    if switch.abandoned_at is not None or switch.phase is Phase.FAILED:
        raise ClaimLost(f"switch '{request.switch_id}' was abandoned")
    failover = switch.order.kind is DecisionKind.EVACUATE
    by_fleet = failover and request.attempt.target.lifecycle is Lifecycle.SPOT

    def launch() -> Replacement:
        if by_fleet:
            return launch_fleet(switch, now, **_shared_arguments(request))
        return _run_instance(request, switch)

    try:
        launched = _once_visible(launch)
    except ClientError as error:
        meaning = meaning_of(error, failover=failover)
        if meaning is None:
            raise
        raise meaning from error
    logger.info("replacement launched", instance_id=launched.instance_id)
    return launched


def _once_visible(launch: Callable[[], Replacement]) -> Replacement:
    """Launch; wait shortly for a template that the last cycle has just written.

    EC2 may show it only some seconds later (EC2 developer guide, "Eventual consistency").
    """
    for wait_s in _TEMPLATE_WAITS_S:
        try:
            return launch()
        except ClientError as error:
            if error_code(error) not in TEMPLATE_UNSEEN:
                raise
        time.sleep(wait_s)
    return launch()


def _run_instance(request: LaunchRequest, switch: SwitchItem) -> Replacement:
    target = request.attempt.target
    parameters = run_instances_request(
        target, traits=traits_of(request.launch_template), **_shared_arguments(request)
    )
    # Missing capacity is a server error, which the SDK would retry at once and in vain, until EC2
    # throttles the launch of the next candidate. The state machine retries transient errors.
    reply = client("ec2", once=True).run_instances(**parameters)
    instance = reply["Instances"][0]
    return Replacement(
        instance_id=instance["InstanceId"],
        launched_at=_aware(instance["LaunchTime"]),
        candidate=switch.order.candidates.index(target),
    )


def _shared_arguments(request: LaunchRequest) -> dict[str, Any]:
    """What RunInstances and CreateFleet requests are both made of."""
    template = request.launch_template
    return {
        "template_id": template.template_id,
        "template_version": template.version,
        "template_data": read_template_data(template.template_id, template.version),
        "switch_id": request.switch_id,
        "switch_hash": switch_hash(request.switch_id),
        "attempt": request.attempt.number,
    }


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
