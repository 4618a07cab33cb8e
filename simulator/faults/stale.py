"""Eventually consistent reads: a reply lacks what was created a moment ago."""

from datetime import datetime
from typing import Any

from simulator.account import EmbeddedAccount
from simulator.account.interception import WireCall
from simulator.world import World


def not_found(
    account: EmbeddedAccount, world: World, call: WireCall, as_of: datetime
) -> tuple[int, dict[str, Any]] | None:
    """The error of a read that names what did not exist then; None if it names nothing of the kind."""
    if call.operation == "DescribeExecution":
        arn = str(call.params["executionArn"])
        young = any(e.arn == arn and e.start > as_of for e in account.executions())
        return _error("ExecutionDoesNotExist", arn) if young else None
    named = [*call.params.get("InstanceIds", ()), call.params.get("InstanceId")]
    for instance_id in named:
        if instance_id in world.instances and world.instances[instance_id].launch_time > as_of:
            return _error("InvalidInstanceID.NotFound", instance_id)
    return None


def can_lag(world: World, as_of: datetime) -> bool:
    """Whether the world can be shown as of then: ended instances have lost their interfaces."""
    return not any(
        at > as_of and state in ("shutting-down", "terminated")
        for instance in world.instances.values()
        for at, state in instance.transitions
    )


def forget(call: WireCall, reply: dict[str, Any], as_of: datetime) -> None:
    """Take out of a reply what had not been created at ``as_of``."""
    if call.operation == "DescribeExecution":
        if "stopDate" in reply and reply["stopDate"] > as_of:
            del reply["stopDate"]
            reply["status"] = "RUNNING"
        return
    for reservation in reply.get("Reservations", ()):
        rows = reservation["Instances"]
        reservation["Instances"] = [row for row in rows if row["LaunchTime"] <= as_of]
    if "Reservations" in reply:
        reply["Reservations"] = [r for r in reply["Reservations"] if r["Instances"]]
    if "Volumes" in reply:
        reply["Volumes"] = [row for row in reply["Volumes"] if row["CreateTime"] <= as_of]


def _error(code: str, what: str) -> tuple[int, dict[str, Any]]:
    return 400, {"Error": {"Code": code, "Message": f"{what} does not exist"}}
