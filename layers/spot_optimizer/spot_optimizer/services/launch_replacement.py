"""``launch_replacement``: one candidate, one RunInstances; refusals sorted by what cures them."""

import time
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import TryAgain, client, error_code, is_passing
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.launch_templates import read_template_data
from spot_optimizer.aws.ledger.claims import ClaimLost, held_record
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts import LaunchRequest, RefusedLaunch, Replacement
from spot_optimizer.services.machines import traits_of_ref
from spot_optimizer.switching.launch_request import run_instances_request, switch_hash
from spot_optimizer.switching.refusals import Refusal, refusal_of
from spot_optimizer.telemetry import logger
from spot_optimizer.words import Phase, Scope

_TEMPLATE_UNSEEN = ("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound")
_TEMPLATE_WAITS_S = (1, 2, 4, 8)
"""Before further tries; with the calls well within the function's minute."""


class CapacityUnavailable(Exception):
    """Another pool, zone, family class or lifecycle may cure it. The text is a RefusedLaunch."""


class LaunchRejected(Exception):
    """No other candidate cures it: only time, or a person. The text is a RefusedLaunch."""


def launch_replacement(request: LaunchRequest, env: Environment) -> Replacement:
    """Launch the attempt's candidate, exactly once however often this is called.

    The client token is made of switch and attempt, so that a repeated call finds the instance of
    the first. Raises CapacityUnavailable, LaunchRejected, TryAgain, or ClaimLost when the claim is
    another run's or the switch has been abandoned.
    """
    switch = held_record(
        Ledger(env.ledger_table), request.workload_id, request.switch_id, request.token
    )
    if switch.abandoned_at is not None or switch.phase is Phase.FAILED:
        raise ClaimLost(f"switch '{request.switch_id}' has been abandoned")
    try:
        reply = _once_visible(request)
    except ClientError as error:
        if is_passing(error):
            raise TryAgain(str(error)) from error
        raise _refused(error) from error
    instance = reply["Instances"][0]
    logger.info("replacement launched", instance_id=instance["InstanceId"])
    return Replacement(
        instance_id=instance["InstanceId"],
        launched_at=_aware(instance["LaunchTime"]),
    )


def _once_visible(request: LaunchRequest) -> dict[str, Any]:
    """Launch; wait a little for a template that the cycle before has just written.

    EC2 may find it later than its maker goes on (EC2 developer guide, "Eventual consistency").
    """
    for wait_s in _TEMPLATE_WAITS_S:
        try:
            return _launch(request)
        except ClientError as error:
            if error_code(error) not in _TEMPLATE_UNSEEN:
                raise
        time.sleep(wait_s)
    return _launch(request)


def _launch(request: LaunchRequest) -> dict[str, Any]:
    template, attempt = request.launch_template, request.attempt
    # Missing capacity is a server error, which the SDK would ask for again at once: in vain, and
    # with five requests EC2 throttles the next candidate's launch. The state machine tries again
    # what passes by itself.
    reply: dict[str, Any] = client("ec2", once=True).run_instances(
        **run_instances_request(
            attempt.target,
            template_id=template.template_id,
            template_version=template.version,
            template_data=read_template_data(template.template_id, template.version),
            traits=traits_of_ref(template),
            switch_id=request.switch_id,
            switch_hash=switch_hash(request.switch_id),
            attempt=attempt.number,
        )
    )
    return reply


def _refused(error: ClientError) -> Exception:
    code, message = error_code(error), str(error.response["Error"].get("Message", ""))
    refusal: Refusal = refusal_of(code, message)
    text = RefusedLaunch(
        code=code, scope=refusal.scope, cure=refusal.cure, message=message[:500]
    ).model_dump_json()
    kind = LaunchRejected if refusal.scope in (Scope.TIME, Scope.NOTHING) else CapacityUnavailable
    return kind(text)


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)
