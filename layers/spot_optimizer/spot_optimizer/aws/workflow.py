"""Starting work: a Step Functions execution for each switch, a cycle for a flagged workload."""

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.contracts import SignalledDecision, SwitchOrder


def start_switch(state_machine_arn: str, order: SwitchOrder) -> str | None:
    """Start the execution; None where the name has been used: the switch was started before.

    A name stays taken for 90 days, so the same decision can never run twice (StartExecution API
    reference); what became of it stands in the ledger.
    """
    try:
        reply = client("stepfunctions").start_execution(
            stateMachineArn=state_machine_arn,
            name=order.switch_id,
            input=order.model_dump_json(),
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
