"""Lambda functions run in process, from the checkout, as the managed Python runtime runs them.

Sources: AWS Lambda Developer Guide, "Using Lambda environment variables" (defined runtime
environment variables), "Using the Lambda context object to retrieve Python function information",
"Lambda quotas"; the envelope of an error is that of awslambdaric's ``bootstrap.py``.
"""

import importlib.util
import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from moto.moto_api._internal import mock_random

from simulator.account.callers import Caller, Callers
from simulator.account.output import captured
from simulator.clock import VirtualClock
from simulator.limits import LIMITS

__all__ = [
    "TIMED_OUT",
    "Function",
    "FunctionKilled",
    "Invocation",
    "LambdaContext",
    "Lambdas",
    "Outcome",
    "PayloadTooLarge",
    "Runner",
]

TIMED_OUT = "Sandbox.Timedout"
RESPONSE_BYTES_MAX = LIMITS.lambda_sync_bytes + 100
Handler = Callable[[Any, "LambdaContext"], Any]


class FunctionKilled(BaseException):
    """The environment of a running function is taken away in the middle of it.

    Not an ``Exception``: no handler can catch it.

    Attributes:
        error_type: ``Sandbox.Timedout`` lets the function's timeout pass first;
            ``Runtime.ExitError`` is at once, as when it runs out of memory.
    """

    def __init__(self, error_type: str) -> None:
        super().__init__(error_type)
        self.error_type = error_type


class PayloadTooLarge(Exception):
    """The request exceeds what this kind of invocation takes."""


@dataclass(frozen=True)
class Function:
    """A deployed function; everything in it comes from the stack.

    Attributes:
        logical_id: its name in the template.
        code: the directory that holds the handler's module.
        layers: directories that the runtime puts on the module search path.
        environment: what the template sets.
        retries_max: further attempts of a failed asynchronous invocation.
        event_age_s: age at which it is given up, whatever attempts are left.
        on_failure_arn: destination of an asynchronous invocation that ran out of attempts.
        dead_letter_arn: the older form of the same.
    """

    logical_id: str
    name: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    timeout_s: int
    memory_mb: int
    runtime: str
    role_arn: str
    retries_max: int = LIMITS.lambda_async_retries
    event_age_s: int = LIMITS.lambda_async_age_s
    on_failure_arn: str | None = None
    dead_letter_arn: str | None = None

    @property
    def region(self) -> str:
        """Where it runs."""
        return self.arn.split(":")[3]


@dataclass(frozen=True)
class Outcome:
    """What an invocation returns: the payload, and whether it is an error's envelope."""

    payload: bytes
    failed: bool

    def value(self) -> Any:
        """The payload, parsed."""
        return json.loads(self.payload)


@dataclass(frozen=True)
class Invocation:
    """One entry of the trace.

    Attributes:
        time: when it began.
        result: what the handler returned; None after an error.
        error: the error's type, or None.
        logs: all that the handler wrote to stdout and stderr.
        caller: as whom it called AWS.
    """

    time: datetime
    function: str
    request_id: str
    event: Any
    result: Any
    error: str | None
    error_message: str | None
    logs: str
    caller: Caller


class LambdaContext:
    """The context object of the Python runtime."""

    def __init__(self, function: Function, request_id: str, clock: VirtualClock) -> None:
        self.aws_request_id = request_id
        self.function_name = function.name
        self.function_version = "$LATEST"
        self.invoked_function_arn = function.arn
        self.memory_limit_in_mb = str(function.memory_mb)
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = f"{clock.now():%Y/%m/%d}/[$LATEST]embedded"
        self.identity = None
        self.client_context = None
        self._clock = clock
        self._deadline = clock.now() + timedelta(seconds=function.timeout_s)

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds of virtual time until the function's timeout."""
        return max(0, (self._deadline - self._clock.now()) // timedelta(milliseconds=1))

    def is_over(self) -> bool:
        """Whether the timeout has passed."""
        return self._clock.now() > self._deadline


class Runner(Protocol):
    """Runs functions somewhere else than in this process."""

    def run(self, function: Function, payload: bytes) -> Outcome:
        """What the function answers; it is called with the function's environment and caller set."""


class Lambdas:
    """The functions of all stacks and the trace of their invocations."""

    def __init__(self, region: str, clock: VirtualClock, callers: Callers) -> None:
        self._home = region
        self._clock = clock
        self._callers = callers
        self._functions: dict[str, Function] = {}
        self._handlers: dict[str, Handler] = {}
        self._outside: dict[int, dict[str, str]] = {}
        self._search_path: list[str] = []
        self._runner: Runner | None = None
        self.trace: list[Invocation] = []
        self.around: Callable[[Function], AbstractContextManager[None]] = lambda _: nullcontext()
        """Entered for each invocation, while the handler runs."""

    def run_by(self, runner: Runner) -> None:
        """Let ``runner`` run the functions that are deployed from now on."""
        self._runner = runner

    def deploy(self, function: Function) -> None:
        """Make a function known; its module is loaded by its first invocation."""
        self._functions[function.arn] = function
        if self._runner is not None:
            return
        for layer in function.layers:
            if str(layer) not in sys.path:
                sys.path.insert(0, str(layer))
                self._search_path.append(str(layer))

    def close(self) -> None:
        """Forget the modules and take the layers off the search path."""
        for entry in self._search_path:
            sys.path.remove(entry)
        for function in self._functions.values():
            sys.modules.pop(_module_name(function), None)
        self._functions.clear()

    def find(self, reference: str, region: str = "") -> Function:
        """A function by ARN, or in a region (if not given, the account's own) by logical id or name. A
        qualifier is ignored: one version lives.

        Raises:
            KeyError: no such function.
        """
        name = reference.split(":")[0]
        if reference.startswith("arn:"):
            _, _, _, region, _, _, name, *_ = reference.split(":")
        for function in self._functions.values():
            if function.region == (region or self._home) and name in (
                function.name, function.logical_id,
            ):  # fmt: skip
                return function
        known = ", ".join(sorted(function.logical_id for function in self._functions.values()))
        raise KeyError(f"function {reference!r} is unknown; the stack has {known}")

    def invoke(self, function: Function, payload: bytes) -> Outcome:
        """Run a function now and wait for it.

        Raises:
            PayloadTooLarge: more than 6 MB.
        """
        if len(payload) > LIMITS.lambda_sync_bytes:
            raise PayloadTooLarge(
                f"payload of {function.logical_id}: {len(payload)} bytes exceed "
                f"{LIMITS.lambda_sync_bytes}"
            )
        started = self._clock.now()
        event = json.loads(payload or b"{}")
        context = LambdaContext(function, str(mock_random.uuid4()), self._clock)
        caller = Caller("lambda", function.logical_id, function.region, function.role_arn)
        logs = io.StringIO()
        environment = self._environment(function)
        with (
            captured(logs),
            self._callers.calling(caller),
            self._inside(environment),
            self.around(function),
        ):
            if self._runner is not None:
                outcome = self._runner.run(function, payload)
            else:
                outcome = self._run(function, event, context)
        value = outcome.value()
        self.trace.append(
            Invocation(
                started,
                function.logical_id,
                context.aws_request_id,
                json.loads(payload or b"{}"),
                None if outcome.failed else value,
                value["errorType"] if outcome.failed else None,
                value["errorMessage"] if outcome.failed else None,
                logs.getvalue(),
                caller,
            )
        )
        return outcome

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """While a handler waits, other threads see the process's own environment."""
        outside = self._outside.get(threading.get_ident())
        if outside is None:
            yield
            return
        inside = _replace_environment(outside)
        try:
            yield
        finally:
            _replace_environment(inside)

    def _run(self, function: Function, event: Any, context: LambdaContext) -> Outcome:
        try:
            handler = self._handler(function)
        except Exception as error:
            message = f"Unable to import module '{function.handler.rsplit('.', 1)[0]}': {error}"
            return _failure("Runtime.ImportModuleError", message, context, error)
        try:
            result = handler(event, context)
        except Exception as error:
            return _failure(type(error).__name__, str(error), context, error)
        except FunctionKilled as death:
            if death.error_type != TIMED_OUT:
                message = f"RequestId: {context.aws_request_id} Error: Runtime exited with error:"
                return _failure(death.error_type, f"{message} signal: killed", context)
            self._clock.sleep(context.get_remaining_time_in_millis() / 1000)
            return _timed_out(function, context)
        if context.is_over():
            return _timed_out(function, context)
        try:
            payload = json.dumps(result).encode()
        except (TypeError, ValueError) as error:
            return _failure(
                "Runtime.MarshalError", f"Unable to marshal response: {error}", context, error
            )
        if len(payload) > RESPONSE_BYTES_MAX:
            limit = f"maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)"
            message = f"Response payload size exceeded {limit}."
            return _failure("Function.ResponseSizeTooLarge", message, context)
        return Outcome(payload, failed=False)

    def _handler(self, function: Function) -> Handler:
        if function.arn not in self._handlers:
            self._handlers[function.arn] = _load(function)
        return self._handlers[function.arn]

    @contextmanager
    def _inside(self, environment: dict[str, str]) -> Iterator[None]:
        thread = threading.get_ident()
        before = _replace_environment(environment)
        outermost = thread not in self._outside
        if outermost:
            self._outside[thread] = before
        try:
            yield
        finally:
            if outermost:
                del self._outside[thread]
            _replace_environment(before)

    def _environment(self, function: Function) -> dict[str, str]:
        """The variables that the managed runtime defines, and the template's own."""
        return {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ACCESS_KEY_ID": "embedded",
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "AWS_SESSION_TOKEN": "embedded",
            "AWS_REGION": function.region,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "embedded",
            "LAMBDA_TASK_ROOT": str(function.code),
            "_HANDLER": function.handler,
            # There is no X-Ray daemon to send segments to.
            "POWERTOOLS_TRACE_DISABLED": "true",
            "AWS_XRAY_SDK_ENABLED": "false",
            **function.environment,
        }


def _module_name(function: Function) -> str:
    return f"embedded_functions.{function.region}.{function.logical_id}"


def _load(function: Function) -> Handler:
    """Load the handler's module under its own name: every function calls its module ``app``.

    Modules that it imports from its own directory are taken out of ``sys.modules`` again, so that
    two functions may each have a module of the same name.
    """
    path, _, attribute = function.handler.rpartition(".")
    file = function.code / f"{path.replace('.', '/')}.py"
    known = set(sys.modules)
    spec = importlib.util.spec_from_file_location(_module_name(function), file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_module_name(function)] = module
    sys.path.insert(0, str(function.code))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(function.code))
    for name in set(sys.modules) - known - {_module_name(function)}:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin and Path(origin).is_relative_to(function.code):
            del sys.modules[name]
    handler: Handler = getattr(module, attribute)
    return handler


def _timed_out(function: Function, context: LambdaContext) -> Outcome:
    limit = f"{function.timeout_s}.00 seconds"
    message = f"{context.aws_request_id} Task timed out after {limit}"
    return _failure(TIMED_OUT, message, context)


def _failure(
    kind: str, message: str, context: LambdaContext, error: Exception | None = None
) -> Outcome:
    frames = traceback.extract_tb(error.__traceback__) if error else []
    own = [frame for frame in frames if frame.filename != __file__]
    envelope = {
        "errorMessage": message,
        "errorType": kind,
        "requestId": context.aws_request_id,
        "stackTrace": traceback.format_list(own),
    }
    return Outcome(json.dumps(envelope).encode(), failed=True)


def _replace_environment(variables: dict[str, str]) -> dict[str, str]:
    before = dict(os.environ)
    for name in before.keys() - variables.keys():
        del os.environ[name]
    for name, value in variables.items():
        if before.get(name) != value:
            os.environ[name] = value
    return before
