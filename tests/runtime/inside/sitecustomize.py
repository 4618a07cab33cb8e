"""Python loads this by itself at the start of an emulated function, before anything of the runtime.

The function's calls of AWS, its sleep, its clock and its look at the internet go to the test that
started it, over a local socket; all else is as it was built. A module is touched once it is imported
by whoever needs it, so that starting takes as long as without this file.

Sources: botocore ``client.py`` (``_make_api_call``: who answers ``before-call`` sends nothing) and
``endpoint.py`` (``_send_request``: the SDK's own retries); awslambdaric ``bootstrap.py``.
"""

import importlib.machinery
import io
import os
import pickle
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# Packages of the local Python do not exist in Lambda.
sys.path = [entry for entry in sys.path if "site-packages" not in entry]

_ENDPOINT = os.environ.pop("EMBEDDED_ACCOUNT_SOCKET")
_PARAMETERS = "parameters_as_given"
_connection = threading.local()
_traveller = None


def _ask(*question: Any) -> Any:
    """The test's answer to a question; afterwards the clock shows the test's time."""
    if not hasattr(_connection, "stream"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(_ENDPOINT)
        _connection.stream = sock.makefile("rwb")
    stream = _connection.stream
    body = pickle.dumps(question, protocol=4)
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()
    (size,) = struct.unpack(">I", stream.read(4))
    answer, now_s = pickle.loads(stream.read(size))
    if _traveller is not None:
        _traveller.move_to(now_s)
    return answer


def _started_s_ago() -> float:
    """Seconds since this process began (proc(5), ``starttime``)."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    started_s = ticks / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _sleep(seconds: Any) -> None:
    _ask("sleep", seconds)


def _begin() -> None:
    """From the first invocation on, this process's clock shows the test's time; and each is traced."""
    global _traveller
    now_s, os.environ["_X_AMZN_TRACE_ID"] = _ask("begin")
    if _traveller is None:
        import time_machine

        _traveller = time_machine.travel(now_s, tick=False).start()
        time.sleep = _sleep


def _with_the_tests_clock(bootstrap: Any) -> None:
    handle = bootstrap.handle_event_request

    def handled(*given: Any) -> Any:
        _begin()
        return handle(*given)

    bootstrap.handle_event_request = handled


def _telling_when_ready(module: Any) -> None:
    wait = module.LambdaRuntimeClient.wait_next_invocation

    def waited(self: Any) -> Any:
        module.LambdaRuntimeClient.wait_next_invocation = wait
        _ask("ready", os.getpid(), _started_s_ago())
        return wait(self)

    module.LambdaRuntimeClient.wait_next_invocation = waited


def _telling_of_failures(module: Any) -> None:
    def telling(post: Callable[..., Any]) -> Callable[..., Any]:
        def posted(self: Any, *given: Any) -> Any:
            _ask("failed")
            return post(self, *given)

        return posted

    client = module.LambdaRuntimeClient
    client.post_invocation_error = telling(client.post_invocation_error)
    client.post_init_error = telling(client.post_init_error)


def _calling_the_test(handlers: Any) -> None:
    handlers.BUILTIN_HANDLERS.append(("before-parameter-build", _remember))
    handlers.BUILTIN_HANDLERS.append(("before-call", _answer))


def _remember(params: Any, context: dict[str, Any], **_: Any) -> None:
    context[_PARAMETERS] = params


def _answer(
    model: Any, params: Any, request_signer: Any, context: dict[str, Any], **_: Any
) -> tuple[Any, Any]:
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders
    from botocore.response import StreamingBody

    call = (model.service_model.service_name, model.name, context["client_region"])
    attempts = 0
    while True:
        attempts += 1
        status, reply = _ask("call", *call, dict(context[_PARAMETERS]))
        answer = AWSResponse("https://world.invalid", status, HTTPHeaders(), None), reply
        delay_s = _retry_delay_s(request_signer, model, params, answer, attempts)
        if status < 300 or delay_s is None:
            break
        time.sleep(delay_s)
    for name, value in reply.items():
        if isinstance(value, tuple):  # a streamed body
            reply[name] = StreamingBody(io.BytesIO(value[0]), len(value[0]))
    reply["ResponseMetadata"]["RetryAttempts"] = attempts - 1
    return answer


def _retry_delay_s(
    request_signer: Any, model: Any, request: Any, answer: Any, attempts: int
) -> float | None:
    replies = request_signer._event_emitter.emit(
        f"needs-retry.{model.service_model.service_id.hyphenize()}.{model.name}",
        response=answer,
        endpoint=None,
        operation=model,
        attempts=attempts,
        caught_exception=None,
        request_dict=request,
    )
    delays = [reply for _, reply in replies if reply is not None and reply is not False]
    return float(delays[0]) if delays else None


def _fetching_by_the_test(request: Any) -> None:
    from email.message import Message
    from urllib.request import BaseHandler
    from urllib.response import addinfourl

    class ByTheTest(BaseHandler):
        def https_open(self, asked: Any) -> Any:
            status, headers, body = _ask("fetch", asked.full_url, dict(asked.header_items()))
            message = Message()
            for name, value in headers.items():
                message[name] = value
            answer: Any = addinfourl(io.BytesIO(body), message, asked.full_url, status)
            answer.msg = str(status)
            return answer

    opener = request.OpenerDirector()
    for handler in (ByTheTest(), request.HTTPDefaultErrorHandler(), request.HTTPErrorProcessor()):
        opener.add_handler(handler)
    request.install_opener(opener)


def _of_the_runtime_client(module: Any) -> None:
    _telling_when_ready(module)
    _telling_of_failures(module)


_ONCE_IMPORTED = {
    "awslambdaric.bootstrap": _with_the_tests_clock,
    "awslambdaric.lambda_runtime_client": _of_the_runtime_client,
    "botocore.handlers": _calling_the_test,
    "urllib.request": _fetching_by_the_test,
}


class _AfterImport:
    """Calls what belongs to a module once that has been imported."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        then = _ONCE_IMPORTED.pop(name, None)
        if then is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        loader: Any = spec.loader
        execute = loader.exec_module

        def executed(module: Any) -> None:
            execute(module)
            then(module)

        loader.exec_module = executed
        return spec


sys.meta_path.insert(0, _AfterImport)
