"""The protections, each taken out of the product; carried out in the process of one run.

Each takes out the whole protection, in all the places where it stands, so that a run without it
shows what it is for.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from simulator.deployed import STACK
from simulator.trials.ground import Ground
from spot_optimizer.aws import executions as workflow
from spot_optimizer.aws.clients import client
from spot_optimizer.aws.ledger import claims
from spot_optimizer.contracts.steps import Inspection
from spot_optimizer.decision.guards import hold as guards
from spot_optimizer.services.decide import inventory as fleet
from spot_optimizer.services.handle_signal import answer as handle_signal
from spot_optimizer.services.inspect_replacement import inspection as inspect_replacement
from spot_optimizer.services.launch_replacement import launch as launch_replacement
from spot_optimizer.services.update_ledger import steps as update_ledger
from spot_optimizer.switching.instance_record import MANAGED_TAG

_numbers = count(1)
_ALIAS = re.compile(r"[:#]\w+")


def client_token(_ground: Ground) -> None:
    """Each try of a launch is a launch of its own."""
    request = launch_replacement.run_instances_request

    def without(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**request(*args, **kwargs), "ClientToken": f"try-{next(_numbers)}"}

    launch_replacement.run_instances_request = without


def health_gate(_ground: Ground) -> None:
    """Whatever has been launched is ready."""
    inspect_replacement._inspection = lambda _request: Inspection(verdict="READY")


def fence(ground: Ground) -> None:
    """No write asks whose claim it is, and whoever takes an expired claim leaves its switch alone."""
    claims._end_expired = lambda *_: []
    _without_conditions("_switch_update", "_held_workload_update")

    def unheld(ledger: Any, workload_id: str, switch_id: str, _token: str) -> Any:
        return claims._record(ledger, workload_id, switch_id)

    for module in (claims, update_ledger, launch_replacement):
        module.held_record = unheld

    def without(states: dict[str, Any]) -> None:
        for state in states.values():
            parameters = state.get("Parameters", {})
            if "ConditionExpression" in parameters:
                parameters["ConditionExpression"] = _unfenced(parameters["ConditionExpression"])
                del parameters["ExpressionAttributeValues"][":token"]

    _rewrite(ground, "SwitchInstance", without)


def _without_conditions(*parts: str) -> None:
    for name in parts:
        part = getattr(claims, name)

        def without(
            ledger: Any, *args: Any, _part: Callable[..., Any] = part, **kwargs: Any
        ) -> dict[str, Any]:
            update = dict(_part(ledger, *args, **kwargs)["Update"])
            condition = update["ConditionExpression"]
            update["ConditionExpression"] = _unfenced(condition)
            used = set(
                _ALIAS.findall(f"{update['ConditionExpression']} {update['UpdateExpression']}")
            )
            for kind in ("ExpressionAttributeValues", "ExpressionAttributeNames"):
                update[kind] = {k: v for k, v in update[kind].items() if k in used}
            return {"Update": update}

        setattr(claims, name, without)


def _unfenced(condition: str) -> str:
    return condition.replace(
        "fence = :token AND #holder = :switch", "attribute_exists(pk)"
    ).replace("fence = :token AND ", "")


def claim_expiry(_ground: Ground) -> None:
    """A claim lives for ever."""
    claims.CLAIM_LIFE = timedelta(days=3650)


def breaker_check(_ground: Ground) -> None:
    """An open breaker holds nothing up: neither the decision nor the claim."""
    guards._ALWAYS = tuple(g for g in guards._ALWAYS if "breaker" not in g.__name__)
    take = claims._take_claim

    def without(*args: Any) -> dict[str, Any]:
        update = take(*args)["Update"]
        condition = update["ConditionExpression"]
        condition = condition.replace(" AND attribute_not_exists(breaker_open_since)", "")
        return {"Update": {**update, "ConditionExpression": condition}}

    claims._take_claim = without
    refuse = claims._refuse_unclaimable

    def lenient(workload: Any, order: Any, now: Any) -> None:
        refuse(workload.model_copy(update={"breaker_open_since": None}), order, now)

    claims._refuse_unclaimable = lenient


def sweep(ground: Ground) -> None:
    """Nobody looks for what is left over."""
    ground.schedule("Sweep", enabled=False)


def deduplication(_ground: Ground) -> None:
    """A signal that comes again is new, and so is the name of its execution; nobody looks whether
    the rescue is under way."""
    handle_signal._Answer._is_being_rescued = lambda _self: False
    handle_signal.first_of_its_kind = lambda *_: True
    start = workflow._start

    def without(machine: str, name: str, text: str) -> str | None:
        return start(machine, f"{name}-{next(_numbers)}", text)

    workflow._start = without


def retry_bound(_ground: Ground) -> None:
    """What is not healthy yet is asked for ever."""
    inspect_replacement.HEALTH_DEADLINE = timedelta(days=365)


def tag_check(ground: Ground) -> None:
    """Every instance asks to be managed, and no role forbids to touch it."""
    ground.account.permissions.refusal = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
    read = fleet.read_managed_instances

    def everything(stack_name: str, **kwargs: Any) -> list[dict[str, Any]]:
        rows = read(stack_name, **kwargs)
        pages = client("ec2").get_paginator("describe_instances").paginate()
        known = {row["InstanceId"] for row in rows}
        tag = {"Key": MANAGED_TAG, "Value": STACK}
        return rows + [
            {**row, "Tags": [*row.get("Tags", ()), tag]}
            for page in pages
            for reservation in page["Reservations"]
            for row in reservation["Instances"]
            if row["InstanceId"] not in known and row["State"]["Name"] == "running"
        ]

    fleet.read_managed_instances = everything


def commit(ground: Ground) -> None:
    """Handed over is as good as committed."""

    def without(states: dict[str, Any]) -> None:
        states["CommitSwitch"] = {
            "Type": "Pass",
            "Parameters": {
                "original_id.$": "$.original.instance_id",
                "auto_terminate": True,
                "persistent_spot_request_id": None,
            },
            "ResultPath": "$.committed",
            "Next": states["CommitSwitch"]["Next"],
        }

    _rewrite(ground, "SwitchInstance", without)


def _rewrite(ground: Ground, machine: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the deployed definition of a state machine."""
    backend = stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID][ground.account.region]
    arn = ground.account.stack.physical_ids[machine]
    deployed = next(each for each in backend.state_machines if each.arn == arn)
    definition = json.loads(deployed.definition)
    change(definition["States"])
    deployed.definition = json.dumps(definition)


REMOVALS: Mapping[str, Callable[[Ground], None]] = {
    each.__name__: each
    for each in (
        client_token,
        health_gate,
        fence,
        claim_expiry,
        breaker_check,
        sweep,
        deduplication,
        retry_bound,
        tag_check,
        commit,
    )
}
