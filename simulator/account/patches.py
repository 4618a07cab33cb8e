"""Where moto 5.2.5 differs from AWS, or is slow, and the product would notice.

Each patch is one function that names the fact; each has a test. All are undone together.
"""

import functools
import itertools
import json
import os
import random
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import boto3
import botocore.session
import moto.awslambda.models as lambda_models
import moto.cloudformation.models as cloudformation_models
import moto.cloudformation.parsing as cloudformation_parsing
import moto.events.models as events_models
import moto.s3.models as s3_models
import moto.s3.notifications as s3_notifications
import moto.stepfunctions.models as stepfunctions_models
import moto.stepfunctions.parser.models as parser_models
import moto.stepfunctions.parser.utils as parser_utils
from botocore.config import Config
from botocore.loaders import Loader
from moto.awslambda.exceptions import LambdaClientError
from moto.core.responses import BaseResponse
from moto.iam.access_control import PermissionResult
from moto.moto_api._internal import mock_random
from moto.stepfunctions.parser.asl.component import eval_component
from moto.stepfunctions.parser.asl.component.state.exec.state_task import (
    state_task_lambda as lambda_task,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service as task_service,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk as sdk_task,
)
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.backend import execution as execution_models
from moto.stepfunctions.parser.backend import execution_worker as worker_models

from simulator.account import asl_paths, sdk_tasks
from simulator.account.call_patches import apply_calls
from simulator.account.callers import Caller, Callers
from simulator.account.copies import apply_copies
from simulator.account.dynamodb_patches import apply_dynamodb
from simulator.account.events import EventBridge
from simulator.account.lambdas import Lambdas, PayloadTooLarge
from simulator.account.limit_patches import apply_limits
from simulator.account.modules import Replacements
from simulator.clock import VirtualClock
from simulator.permissions.demand import demand
from simulator.permissions.policies import Role, read_statements

__all__ = ["apply"]

_PARSER = "moto.stepfunctions.parser"


class Patched(Protocol):
    """What the patches use of the account that moto serves."""

    account_id: str
    clock: VirtualClock
    callers: Callers
    lambdas: Lambdas
    events: EventBridge

    def logical_id(self, physical_id: str) -> str:
        """The template's name of a resource."""


def apply(account: Patched, seed: int) -> Replacements:
    """Apply every patch; ``undo`` on the result takes them back."""
    replacements = Replacements()
    _seed_identifiers(replacements, seed)
    _serve_one_account(replacements, account)
    _keep_service_models(replacements)
    _interpret_deployed_state_machines(replacements)
    _name_every_execution(replacements)
    _read_templates_as_json(replacements)
    _look_numbers_up_in_maps(replacements)
    _parse_each_definition_once(replacements)
    _follow_definite_paths(replacements)
    _keep_task_clients(replacements)
    _speak_as_aws_sdk_tasks(replacements)
    _tell_who_runs_a_task(replacements, account)
    _announce_executions(replacements, account)
    _stop_before_the_first_turn(replacements, account)
    _run_functions_in_process(replacements, account)
    _deliver_events(replacements, account)
    _report_only_tags_that_are_put(replacements)
    _read_the_conditions_of_bucket_policies(replacements)
    apply_limits(replacements)
    apply_dynamodb(replacements)
    apply_copies(replacements)
    apply_calls(replacements)
    return replacements


def _seed_identifiers(replacements: Replacements, seed: int) -> None:
    """moto draws most identifiers from ``mock_random``, its interpreter from ``uuid.uuid4``."""
    mock_random.seed(seed)
    state = random.getstate()
    random.seed(seed)
    replacements.undo_with(functools.partial(random.setstate, state))
    replacements.set(uuid, "uuid4", mock_random.uuid4)
    replacements.set(parser_utils, "uuid4", mock_random.uuid4)


def _serve_one_account(replacements: Replacements, account: Patched) -> None:
    """moto reads the account id from a variable of the environment, which a function does not have."""
    replacements.set(BaseResponse, "get_current_account", lambda _: account.account_id)


@functools.lru_cache(maxsize=1)
def _loader(search_path: str | None = None) -> Loader:
    return Loader(search_path.split(os.pathsep) if search_path else None)


def _keep_service_models(replacements: Replacements) -> None:
    """Every session reads botocore's service descriptions again."""
    replacements.set(botocore.session, "create_loader", _loader)


def _interpret_deployed_state_machines(replacements: Replacements) -> None:
    """CloudFormation puts state machines into the backend that does not interpret them."""
    replacements.set(
        stepfunctions_models, "stepfunctions_backends", parser_models.stepfunctions_parser_backends
    )


def _name_every_execution(replacements: Replacements) -> None:
    """Without a name an execution is called None, so a second one "already exists".

    AWS makes a name up ("StartExecution" in the API reference). An alias or version is resolved to
    its state machine.
    """
    start = parser_models.StepFunctionsParserBackend.start_execution

    def start_execution(
        self: Any, arn: str, name: str | None = None, text: str | None = None, trace: Any = None
    ) -> Any:
        state_machine_arn = ":".join(arn.split(":")[:7])
        return start(self, state_machine_arn, name or str(mock_random.uuid4()), text or "{}", trace)

    replacements.set(parser_models.StepFunctionsParserBackend, "start_execution", start_execution)


def _read_templates_as_json(replacements: Replacements) -> None:
    """A template is read as YAML, which is slow on the long strings of the definitions."""
    replacements.set(cloudformation_models.Stack, "parse_template", staticmethod(json.loads))


def _look_numbers_up_in_maps(replacements: Replacements) -> None:
    """The value of a parameter of type Number is a number, which no key of a mapping is.

    To CloudFormation every parameter is its text ("Fn::FindInMap" in its user guide).
    """
    clean = cloudformation_parsing.clean_json

    def clean_json(resource_json: Any, resources_map: Any) -> Any:
        if isinstance(resource_json, dict) and "Fn::FindInMap" in resource_json:
            name, *path = resource_json["Fn::FindInMap"]
            texts = [str(clean_json(each, resources_map)) for each in path]
            return clean({"Fn::FindInMap": [name, *texts]}, resources_map)
        return clean(resource_json, resources_map)

    replacements.set(cloudformation_parsing, "clean_json", clean_json)


_heap_keys = itertools.count()


def _heap_key() -> str:
    return str(next(_heap_keys))


_parse = functools.lru_cache(maxsize=64)(asl_parser.AmazonStateLanguageParser.parse)


def _parse_each_definition_once(replacements: Replacements) -> None:
    """The grammar is run on every start; its result holds no state of an execution.

    It does hold keys, drawn on first use: from a source of their own, so that a definition parsed
    for an earlier account does not change what is drawn in this one.
    """
    replacements.set(eval_component, "long_uid", _heap_key)
    replacements.set(asl_parser.AmazonStateLanguageParser, "parse", staticmethod(_parse))


def _follow_definite_paths(replacements: Replacements) -> None:
    """``$.l[0].p`` yields ``["x"]`` where AWS yields ``"x"``; and every path is parsed again."""
    replacements.set_everywhere(_PARSER, "extract_json", asl_paths.extract_json)


def _keep_task_clients(replacements: Replacements) -> None:
    """Every task makes its own client, and does not check parameters as AWS does."""

    @functools.lru_cache(maxsize=64)
    def client(region: str, service: Any) -> Any:
        return boto3.client(
            service,
            region_name=region,
            aws_access_key_id="embedded",
            aws_secret_access_key="embedded",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def boto_client_for(region: str, service: str, **_: Any) -> Any:
        return client(region, service)

    replacements.set_everywhere(_PARSER, "boto_client_for", boto_client_for)


def _speak_as_aws_sdk_tasks(replacements: Replacements) -> None:
    """AWS SDK integrations: names of services, errors, parameters and results."""
    services = {
        **task_service.StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES,
        **sdk_tasks.BOTO_NAMES,
    }
    replacements.set(task_service.StateTaskService, "_SERVICE_NAME_SFN_TO_BOTO_OVERRIDES", services)
    task = sdk_task.StateTaskServiceAwsSdk
    replacements.set(
        task, "_normalise_service_error_name", staticmethod(sdk_tasks.service_error_name)
    )
    evaluate = task._eval_service_task

    def evaluate_service_task(
        self: Any, env: Any, normalised_parameters: dict[str, Any], **rest: Any
    ) -> None:
        model = sdk_tasks.operation_model(
            self._get_boto_service_name(), self._get_boto_service_action()
        )
        parameters = sdk_tasks.to_boto(normalised_parameters, model.input_shape)
        evaluate(self, env=env, normalised_parameters=parameters, **rest)
        env.stack.append(sdk_tasks.from_boto(env.stack.pop(), model.output_shape))

    replacements.set(task, "_eval_service_task", evaluate_service_task)


def _tell_who_runs_a_task(replacements: Replacements, account: Patched) -> None:
    """moto makes a task's calls without a role; AWS makes them with the state machine's role."""
    for task in (task_service.StateTaskService, lambda_task.StateTaskLambda):
        replacements.set(task, "_eval_execution", _as_state_machine(task._eval_execution, account))


def _as_state_machine(
    evaluate: Callable[[Any, Any], None], account: Patched
) -> Callable[[Any, Any], None]:
    def evaluate_execution(self: Any, env: Any) -> None:
        context = env.states.context_object.context_object_data
        details = env.aws_execution_details
        caller = Caller(
            "states",
            account.logical_id(context["StateMachine"]["Id"]),
            details.region,
            details.role_arn,
            context["Execution"]["Name"],
        )
        with account.callers.calling(caller):
            evaluate(self, env)

    return evaluate_execution


def _announce_executions(replacements: Replacements, account: Patched) -> None:
    """moto sends no event when an execution ends ("Step Functions Execution Status
    Change" in the AWS Step Functions Developer Guide), and keeps every thread that it started.
    """
    worker = execution_models.BaseExecutionWorkerCommunication
    terminated = worker.terminated

    def announce(self: Any) -> None:
        terminated(self)
        execution = self.execution
        detail = {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "name": execution.name,
            "status": execution.status,
            "startDate": int(execution.start_date.timestamp() * 1000),
            "stopDate": int(execution.stop_date.timestamp() * 1000),
            "input": execution.execution_input,
            "output": json.dumps(execution.output) if execution.output is not None else None,
            "error": execution.error,
            "cause": execution.cause,
        }
        account.events.emit(
            "aws.states",
            "Step Functions Execution Status Change",
            detail,
            [execution.exec_arn],
        )

    replacements.set(worker, "terminated", announce)
    replacements.undo_with(parser_utils.TMP_THREADS.clear)


def _stop_before_the_first_turn(replacements: Replacements, account: Patched) -> None:
    """Stopping an execution whose thread has not begun raises AttributeError."""
    stop = worker_models.ExecutionWorker.stop

    def stop_execution(self: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
        if self.env is None:
            later = functools.partial(stop_execution, self, stop_date, error, cause)
            account.clock.call_at(account.clock.now(), later)
        else:
            stop(self, stop_date=stop_date, error=error, cause=cause)

    replacements.set(worker_models.ExecutionWorker, "stop", stop_execution)


def _run_functions_in_process(replacements: Replacements, account: Patched) -> None:
    """moto runs functions in Docker; here the handler is called."""

    def invoke(self: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
        function = account.lambdas.find(self.function_arn)
        payload = body.encode() if isinstance(body, str) else bytes(body or b"{}")
        headers = {key.lower(): value for key, value in dict(request_headers).items()}
        try:
            if headers.get("x-amz-invocation-type") == "Event":
                account.events.invoke_later(function, payload)
                return b""
            outcome = account.lambdas.invoke(function, payload)
        except PayloadTooLarge as error:
            raise LambdaClientError("RequestEntityTooLargeException", str(error)) from error
        except json.JSONDecodeError as error:
            raise LambdaClientError("InvalidRequestContentException", str(error)) from error
        response_headers["x-amz-executed-version"] = "$LATEST"
        if outcome.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return outcome.payload

    replacements.set(lambda_models.LambdaFunction, "invoke", invoke)


def _deliver_events(replacements: Replacements, account: Patched) -> None:
    """Targets other than queues and log groups raise NotImplementedError, and the event's time is
    a number; a rule with a schedule alone matches every event; and events of S3 reach every bus,
    all under one id.
    """

    def send_to_targets(self: Any, event: dict[str, Any], **_: Any) -> None:
        event = {key: value for key, value in event.items() if key != "ingestion-time"}
        if not isinstance(event["time"], str):
            moment = datetime.fromtimestamp(float(event["time"]), account.clock.now().tzinfo)
            event["time"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if event["source"] == "aws.s3":
            if self.event_bus_name != "default":
                return
            event["id"] = str(mock_random.uuid4())
        account.events.match(self, event)

    replacements.set(events_models.Rule, "send_to_targets", send_to_targets)


def _report_only_tags_that_are_put(replacements: Replacements) -> None:
    """Every PutObject is followed by "Object Tags Added", tags or not."""
    send = s3_notifications.send_event

    def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
        tagging = event_name == s3_notifications.S3NotificationEvent.OBJECT_TAGGING_PUT_EVENT
        tagger = s3_models.s3_backends[account_id]["aws"].tagger
        if not tagging or tagger.get_tag_dict_for_resource(key.arn):
            send(account_id, event_name, bucket, key)

    replacements.set(s3_notifications, "send_event", send_event)


def _read_the_conditions_of_bucket_policies(replacements: Replacements) -> None:
    """A deny of unencrypted requests denies everything: moto reads no conditions.

    Nothing comes in the clear here; principals are not looked at, by moto neither.
    """

    def get_permission(self: Any, action: str, resource: str) -> PermissionResult:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        asked = demand(action, resource, {"aws:SecureTransport": ("true",)})
        verdict = _as_role(self.policy).decides(asked)
        if verdict.allowed:
            return PermissionResult.PERMITTED
        return PermissionResult.DENIED if verdict.by else PermissionResult.NEUTRAL

    replacements.set(s3_models.FakeBucket, "get_permission", get_permission)


@functools.lru_cache(maxsize=16)
def _as_role(policy: bytes) -> Role:
    rows = json.loads(policy)["Statement"]
    without = [{k: v for k, v in row.items() if k != "Principal"} for row in rows]
    return Role("bucket", "", tuple(read_statements({"Statement": without}, "bucket")))
