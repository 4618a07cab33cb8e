"""The protections, each taken out of the product; carried out in the process of one run.

The product's code stays as it is. A removal changes requests and replies on the wire, the deployed
state machines or the schedules. Each removes the whole protection, in all its places, so that a run
shows what it is for.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import count
from typing import Any

from simulator.account.interception import WireCall
from simulator.account.roles import roles_of
from simulator.deployed import STACK
from simulator.permissions.policies import read_statements
from simulator.tags import MANAGED_TAG
from simulator.trials.ground import Ground

Params = dict[str, Any]
States = dict[str, dict[str, Any]]

_STATE_MACHINES = ("SwitchInstance", "FailOver")
_ALIAS = re.compile(r"[:#]\w+")
_EXPRESSIONS = ("ConditionExpression", "UpdateExpression")
_numbers = count(1)


class Rewritten:
    """Changes calls and replies by two functions, each of which may change what it is given."""

    def __init__(
        self,
        request: Callable[[WireCall, Params], None] = lambda _call, _params: None,
        reply: Callable[[WireCall, Params], None] = lambda _call, _reply: None,
    ) -> None:
        self._request, self._reply = request, reply

    def request(self, call: WireCall) -> Params:
        params = deepcopy(dict(call.params))
        self._request(call, params)
        return params

    def reply(self, call: WireCall, reply: Params) -> None:
        self._reply(call, reply)


def nothing(ground: Ground) -> None:
    """Every call is rewritten to itself, and every state machine by its own definition."""
    ground.account.rewrite_calls(Rewritten())
    _rewrite_states(ground, lambda _states: None)


def client_token(ground: Ground) -> None:
    """Each launch request has a token of its own."""

    def request(_call: WireCall, params: Params) -> None:
        if "ClientToken" in params:
            params["ClientToken"] = f"try-{next(_numbers)}"

    ground.account.rewrite_calls(Rewritten(request))


def health_gate(ground: Ground) -> None:
    """Whatever has been launched is ready."""
    ready: dict[str, Any] = {"verdict": "READY", "findings": [], "error": None}

    def without(states: States) -> None:
        for name, state in states.items():
            if "InspectReplacement" in str(state.get("Parameters", {}).get("FunctionName")):
                passed = {"Type": "Pass", "Result": ready, "ResultPath": state["ResultPath"]}
                states[name] = {**passed, "Next": state["Next"]}

    _rewrite_states(ground, without)


def fence(ground: Ground) -> None:
    """No write asks whose claim it is, and taking an expired claim does not end its switch."""

    def request(call: WireCall, params: Params) -> None:
        if call.operation == "TransactWriteItems":
            params["TransactItems"] = _without_ends_of_others(params["TransactItems"])
        for part in _writes(params):
            _change_condition(part, _unfenced)

    ground.account.rewrite_calls(Rewritten(request))


def claim_expiry(ground: Ground) -> None:
    """A claim never expires."""

    def request(_call: WireCall, params: Params) -> None:
        for part in _writes(params):
            for name in re.findall(r"claim_expires_at = (:\w+)", part.get("UpdateExpression", "")):
                part["ExpressionAttributeValues"][name] = {"S": "2999-01-01T00:00:00.000Z"}

    ground.account.rewrite_calls(Rewritten(request))


def breaker_check(ground: Ground) -> None:
    """No read and no write sees that a breaker is open."""

    def request(_call: WireCall, params: Params) -> None:
        for part in _writes(params):
            _change_condition(
                part, lambda text: text.replace("breaker_open_since", "never_written")
            )

    def reply(_call: WireCall, reply: Params) -> None:
        for row in _rows(reply):
            row.pop("breaker_open_since", None)

    ground.account.rewrite_calls(Rewritten(request, reply))


def sweep(ground: Ground) -> None:
    """Nobody finds leftovers."""
    ground.schedule("Sweep", enabled=False)


def deduplication(ground: Ground) -> None:
    """Every signal is the first of its kind, every execution has a name of its own, and no failover is
    seen under way."""

    def request(call: WireCall, params: Params) -> None:
        if call.operation == "StartExecution":
            params["name"] = f"{params['name']}-{next(_numbers)}"
        by_handler = call.caller.name == "HandleSignal" and call.operation == "UpdateItem"
        if by_handler and params["Key"]["sk"] == {"S": "POINTER"}:
            _change_condition(params, lambda _: "attribute_exists(pk)")

    def reply(call: WireCall, reply: Params) -> None:
        if call.caller.name == "HandleSignal":
            for row in _rows(reply):
                row.pop("claim_switch_id", None)

    ground.account.rewrite_calls(Rewritten(request, reply))


def retry_bound(ground: Ground) -> None:
    """A replacement that is not healthy is inspected again, without end."""

    def without(states: States) -> None:
        if "ReplacementReady?" in states:
            states["ReplacementReady?"]["Default"] = "WaitForHealth"

    _rewrite_states(ground, without)


def tag_check(ground: Ground) -> None:
    """Every running instance looks as if it had our tag, and every role may do everything."""
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    everything = tuple(read_statements({"Statement": allow}, "everything"))
    roles = roles_of(ground.account.stack, ground.account.account_id)
    ground.account.permissions.know(replace(role, statements=everything) for role in roles)
    tag_filter = f"tag:{MANAGED_TAG}"

    def asks_for_ours(call: WireCall) -> bool:
        return call.caller.name == "Decide" and call.operation == "DescribeInstances"

    def request(call: WireCall, params: Params) -> None:
        if asks_for_ours(call):
            filters = params.get("Filters", [])
            params["Filters"] = [each for each in filters if each["Name"] != tag_filter]

    def reply(call: WireCall, reply: Params) -> None:
        if asks_for_ours(call):
            for reservation in reply.get("Reservations", ()):
                reservation["Instances"] = list(_tagged(reservation["Instances"]))

    ground.account.rewrite_calls(Rewritten(request, reply))


def commit(ground: Ground) -> None:
    """Handed over is as good as committed."""

    def without(states: States) -> None:
        if "CommitSwitch" in states and "HandOver" in states:
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

    _rewrite_states(ground, without, ("SwitchInstance",))


def _rewrite_states(
    ground: Ground,
    change: Callable[[States], None],
    state_machines: tuple[str, ...] = _STATE_MACHINES,
) -> None:
    for state_machine in state_machines:
        definition = ground.account.state_machine(state_machine)
        change(definition["States"])
        ground.account.replace_state_machine(state_machine, definition)


def _writes(params: Params) -> Iterator[Params]:
    """What a call writes to a table or checks in it."""
    yield params
    for each in params.get("TransactItems", ()):
        yield from each.values()


def _rows(reply: Params) -> Iterator[Params]:
    """The items that a call reads from a table."""
    yield from reply.get("Items", ())
    if "Item" in reply:
        yield reply["Item"]


def _change_condition(part: Params, change: Callable[[str], str]) -> None:
    """A write with another condition, without the names and values that only the old one used."""
    if "ConditionExpression" not in part:
        return
    part["ConditionExpression"] = change(part["ConditionExpression"])
    used = set(_ALIAS.findall(" ".join(part.get(each, "") for each in _EXPRESSIONS)))
    for kind in ("ExpressionAttributeValues", "ExpressionAttributeNames"):
        kept = {name: value for name, value in part.get(kind, {}).items() if name in used}
        part.pop(kind, None)
        if kept:
            part[kind] = kept


def _unfenced(condition: str) -> str:
    return condition.replace(
        "fence = :token AND #holder = :switch", "attribute_exists(pk)"
    ).replace("fence = :token AND ", "")


def _without_ends_of_others(parts: list[Params]) -> list[Params]:
    """A claim that only writes its own record."""
    claims = any(_is_switch(part["Put"]["Item"]) for part in parts if "Put" in part)
    return [
        part
        for part in parts
        if not (claims and "Update" in part and _is_switch(part["Update"]["Key"]))
    ]


def _is_switch(key: Params) -> bool:
    return str(key["sk"]["S"]).startswith("SWITCH#")


def _tagged(instances: list[Params]) -> Iterator[Params]:
    """Those that have our tag, and the running ones as if they had it."""
    for instance in instances:
        tags = instance.get("Tags", [])
        if any(tag["Key"] == MANAGED_TAG for tag in tags):
            yield instance
        elif instance["State"]["Name"] == "running":
            yield {**instance, "Tags": [*tags, {"Key": MANAGED_TAG, "Value": STACK}]}


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
