"""Starting work: an execution for each switch, named after its decision, and more where the sweep
resumes it; a cycle for a flagged workload."""

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.contracts.decide import SignalledDecision
from spot_optimizer.contracts.switch import ResumeOrder, SwitchOrder
from spot_optimizer.switching.reconcile import Run

_NAME_LENGTH_MAX = 80


def start_switch(state_machine_arn: str, order: SwitchOrder) -> str | None:
    """Start the execution; None where the name has been used: the switch was started before.

    A name stays taken for 90 days, so the same decision can never run twice (StartExecution API
    reference); what became of it stands in the ledger.
    """
    return _start(state_machine_arn, order.switch_id, order.model_dump_json())


def resume_switch(state_machine_arn: str, order: ResumeOrder) -> str | None:
    """Start the execution that brings a switch to its end; None where that was done before."""
    name = execution_name(order.switch_id, order.resume)
    return _start(state_machine_arn, name, order.model_dump_json())


def execution_name(switch_id: str, resume: int) -> str:
    """The switch's own name, or with ``resume`` that of its nth resumption. Switch ids end in time
    and hash: what is too long loses its beginning."""
    return f"{switch_id}-resume-{resume}"[-_NAME_LENGTH_MAX:] if resume else switch_id


def read_run(state_machine_arn: str, switch_id: str, resume: int) -> Run:
    """How an execution of a switch stands; executions bear the machine's name alone, whichever version
    or alias has started them."""
    unqualified = ":".join(state_machine_arn.split(":")[:7])
    machine = unqualified.replace(":stateMachine:", ":execution:")
    try:
        reply = client("stepfunctions").describe_execution(
            executionArn=f"{machine}:{execution_name(switch_id, resume)}"
        )
    except ClientError as error:
        if error_code(error) == "ExecutionDoesNotExist":
            return Run(running=False, status="MISSING", ended_at=None)
        raise
    status = str(reply["status"])
    # PENDING_REDRIVE is an execution that a person runs again from where it failed.
    return Run(status in ("RUNNING", "PENDING_REDRIVE"), status, reply.get("stopDate"))


def _start(state_machine_arn: str, name: str, text: str) -> str | None:
    try:
        reply = client("stepfunctions").start_execution(
            stateMachineArn=state_machine_arn, name=name, input=text
        )
    except ClientError as error:
        if error_code(error) == "ExecutionAlreadyExists":
            return None
        raise
    return str(reply["executionArn"])


def ask_for_decision(decide_function: str, request: SignalledDecision) -> None:
    """Have ``decide`` look at one workload, without waiting for its answer."""
    client("lambda").invoke(
        FunctionName=decide_function,
        InvocationType="Event",
        Payload=request.model_dump_json().encode(),
    )
