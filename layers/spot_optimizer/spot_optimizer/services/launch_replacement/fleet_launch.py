"""A failover's launch: one CreateFleet tries all spot candidates of the order."""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import TryAgain, client, is_transient
from spot_optimizer.aws.ledger.items import SwitchItem
from spot_optimizer.contracts.steps import RefusedLaunch, Replacement
from spot_optimizer.services.launch_replacement.launch_errors import CapacityUnavailable
from spot_optimizer.switching.fleet_request import chosen_candidate, create_fleet_request
from spot_optimizer.switching.instance_record import Record
from spot_optimizer.switching.launch_refusals import refusal_of
from spot_optimizer.switching.next_candidate import open_candidates
from spot_optimizer.vocabulary import Lifecycle, Scope
from spot_optimizer.workflow.lasting_refusals import lasting_refusals


def launch_fleet(switch: SwitchItem, now: datetime, **arguments: Any) -> Replacement:
    """Launch one instance in one of the spot pools; ``arguments`` are create_fleet_request's others.

    A pool in which an earlier replacement ended before it ran is left out.
    Raises CapacityUnavailable if no pool could launch.
    """
    candidates = switch.order.candidates
    left = [candidates[index] for index in open_candidates(candidates, lasting_refusals(switch))]
    spot = [candidate for candidate in left if candidate.lifecycle is Lifecycle.SPOT]
    reply = client("ec2", once=True).create_fleet(**create_fleet_request(spot, **arguments))
    fleet = reply if reply.get("Instances") else _described_fleet(reply)
    rows = fleet.get("Instances") or []
    if not rows:
        raise _all_refused(reply.get("Errors") or fleet.get("Errors") or [], switch)
    chosen = chosen_candidate(spot, rows[0])
    return Replacement(
        instance_id=rows[0]["InstanceIds"][0],
        launched_at=now,
        candidate=candidates.index(chosen),
    )


def _described_fleet(reply: Record) -> Record:
    """The fleet as DescribeFleets shows it, if CreateFleet's answer names no instance.

    A repeated call "succeeds without performing any further actions" ("Ensuring idempotency in Amazon
    EC2 API requests"); whether it repeats ``Instances`` is not documented. DescribeFleets has them for
    fleets of type instant (EC2 API reference, FleetData).
    """
    try:
        found = client("ec2").describe_fleets(FleetIds=[reply["FleetId"]])["Fleets"]
    except ClientError as error:
        if is_transient(error) or not reply.get("Errors"):
            raise TryAgain(str(error)) from error
        # The fleet is too new to be found, or may not be described: its answer has the errors.
        return reply
    return found[0] if found else reply


def _all_refused(errors: list[Any], switch: SwitchItem) -> CapacityUnavailable:
    """No pool could launch: only the other lifecycle is left, whatever the codes say, because the same
    client token would only repeat the fleet's answer.

    If EC2 was only throttling (Karpenter's issue 8923 shows ``RequestLimitExceeded`` in ``Errors``), a
    second fleet, in an attempt of its own, comes first.
    """
    codes = [str(error.get("ErrorCode", "Unknown")) for error in errors]
    details = "; ".join(
        f"{_override(error).get('InstanceType', '?')} in {_override(error).get('SubnetId', '?')}:"
        f" {error.get('ErrorCode', 'Unknown')}"
        for error in errors
    )
    throttled = bool(codes) and all(refusal_of(code).scope is Scope.TIME for code in codes)
    again = throttled and not any(refusal.again for refusal in switch.refusals)
    next_step = "they are tried once more" if again else "on-demand is tried"
    refusal = RefusedLaunch(
        code=codes[0] if codes else "NoInstances",
        scope=Scope.TIME if again else Scope.LIFECYCLE,
        cure=f"None of the plan's {len(codes)} spot pools could launch; {next_step}.",
        message=details[:500],
        again=again,
    )
    return CapacityUnavailable(refusal.model_dump_json())


def _override(error: dict[str, Any]) -> dict[str, Any]:
    override: dict[str, Any] = error.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    return override
