"""Starts executions of switches, named after their decisions, and decisions about single workloads."""

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.contracts.decide import SignalledDecision
from spot_optimizer.contracts.switch import DebtOrder, ResumeOrder, SwitchOrder
from spot_optimizer.switching.reconcile import Run

_NAME_LENGTH_MAX = 80


def start_switch(state_machine_arn: str, order: SwitchOrder) -> str | None:
    """Start the execution of a switch; None if it was started before.

    Step Functions refuses a name for 90 days after its execution has ended (StartExecution API
    reference), so a decision never runs twice. Its outcome is on the ledger.
    """
    return _start(state_machine_arn, order.switch_id, order.model_dump_json())


def resume_switch(state_machine_arn: str, order: ResumeOrder) -> str | None:
    """Start the execution that finishes or rolls back a switch; None if it was started before."""
    name = execution_name(order.switch_id, order.resume)
    return _start(state_machine_arn, name, order.model_dump_json())


def pay_debt(state_machine_arn: str, order: DebtOrder) -> str | None:
    """Start the execution that pays a debt; None if it was started before."""
    name = payment_name(order.switch_id, order.payment)
    return _start(state_machine_arn, name, order.model_dump_json())


def payment_name(switch_id: str, payment: int) -> str:
    """Name of the nth execution that pays the debt of a switch; shortened as a resumption's."""
    return f"{switch_id}-owed-{payment}"[-_NAME_LENGTH_MAX:]


def execution_name(switch_id: str, resume: int) -> str:
    """The switch's own name or, with ``resume``, the name of its nth resumption.

    Too long a name loses its beginning, because switch ids end in time and hash.
    """
    return f"{switch_id}-resume-{resume}"[-_NAME_LENGTH_MAX:] if resume else switch_id


def read_run(state_machine_arn: str, name: str) -> Run:
    """State of an execution. Its ARN does not name the version or alias that started it."""
    unqualified = ":".join(state_machine_arn.split(":")[:7])
    executions_arn = unqualified.replace(":stateMachine:", ":execution:")
    try:
        reply = client("stepfunctions").describe_execution(executionArn=f"{executions_arn}:{name}")
    except ClientError as error:
        if error_code(error) == "ExecutionDoesNotExist":
            return Run(running=False, status="MISSING", ended_at=None)
        raise
    status = str(reply["status"])
    # PENDING_REDRIVE: a person has asked to run the execution again from where it failed.
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
    """Have ``decide`` judge one workload, without waiting for the answer."""
    client("lambda").invoke(
        FunctionName=decide_function,
        InvocationType="Event",
        Payload=request.model_dump_json().encode(),
    )
