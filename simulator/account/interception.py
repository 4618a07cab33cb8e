"""AWS calls and HTTP requests answered by a world of our own, ahead of moto.

botocore emits ``before-call`` once it has built a request; a handler that returns ``(response,
parsed)`` there answers the call, and nothing is sent. The hook works for every client of the
process, those of the state machines' SDK tasks too. The SDK's own retries lie behind the hook, so
after an error they are asked here as botocore's endpoint would ask them: the client's retry handler
says whether and when the call is made again (``endpoint.py``, ``_send_request``).

The hooks are added to botocore once and stay; they do nothing while no interceptor is active.
Sources: botocore ``client.py`` (``_make_api_call``) and ``handlers.py`` (``BUILTIN_HANDLERS``).
"""

import io
import os
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, Protocol
from urllib.response import addinfourl

import botocore.handlers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.hooks import first_non_none_response
from moto.core.models import botocore_stubber
from moto.moto_api._internal import mock_random

from simulator.account import dynamodb_calls, s3_calls
from simulator.account.callers import Call, Caller, Callers
from simulator.account.rates import Rates
from simulator.permissions.demand import Demand
from simulator.permissions.guard import Guard

__all__ = ["ADVISOR_URL", "Interceptor", "NetworkRefused", "Rewriter", "Wire", "WireCall", "World"]

ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
_PARAMETERS = "embedded_account_parameters"
_CALL = "embedded_account_call"
_ALL: frozenset[str] = frozenset()
_WORLD_OPERATIONS: Mapping[str, frozenset[str]] = {
    "ec2": _ALL,
    "elb": _ALL,
    "elbv2": _ALL,
    "pricing": _ALL,
    "cloudwatch": frozenset({"GetMetricData", "ListMetrics"}),
    "iam": frozenset({"GetInstanceProfile"}),
    "kms": frozenset({"DescribeKey"}),
}


class NetworkRefused(OSError):
    """Something inside the embedded account reached for the real network."""


class World(Protocol):
    """What lies outside the account's own services: instances, metrics, prices."""

    def handle(
        self, service: str, operation: str, params: dict[str, Any], caller: Caller
    ) -> tuple[int, dict[str, Any]]:
        """HTTP status and the reply as botocore would parse it.

        An error is a status of 300 or more and ``{"Error": {"Code": ..., "Message": ...}}``.
        """

    def demands(self, operation: str, params: dict[str, Any]) -> tuple[Demand, ...]:
        """What a call of EC2 demands of IAM, as things are now."""

    def override_demands(
        self, params: dict[str, Any]
    ) -> Sequence[tuple[dict[str, Any], tuple[Demand, ...]]]:
        """What each override of a CreateFleet demands besides, with its row of a reply."""

    def http(self, url: str, asked: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to a GET with headers ``asked``."""


@dataclass(frozen=True)
class WireCall:
    """One call of the SDK, whatever answers it."""

    service: str
    operation: str
    params: Mapping[str, Any]
    caller: Caller


class Wire(Protocol):
    """Stands between the callers of AWS and what answers them."""

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        """Status and reply of a call that never arrives, or None."""

    def arrives_twice(self, call: WireCall) -> bool:
        """Whether the same request arrives twice; the caller sees the second reply."""

    def after(
        self, call: WireCall, status: int, reply: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        """What the caller sees in place of the reply, or None. May raise what the SDK raises."""


class Rewriter(Protocol):
    """Changes requests of the stack and their replies, as a changed product would send and read them."""

    def request(self, call: WireCall) -> Mapping[str, Any]:
        """The parameters that are sent; those of the call are not to be changed."""

    def reply(self, call: WireCall, reply: dict[str, Any]) -> None:
        """Change a reply before its caller sees it."""


class Interceptor:
    """Sends AWS calls to the world where they are its business, and counts all of them.

    Those that their caller's role does not allow go nowhere.
    """

    def __init__(self, callers: Callers, rates: Rates, guard: Guard, account_id: str) -> None:
        self._account_id = account_id
        self._worlds: dict[str, World] = {}
        self._callers = callers
        self._guard = guard
        self.wire: Wire | None = None
        self.rewriter: Rewriter | None = None
        self._rates = rates
        self.calls: Counter[Call] = Counter()
        self._twice: set[int] = set()
        self._restore: list[Callable[[], None]] = []

    def attach(self, world: World, region: str) -> None:
        """Let ``world`` answer calls to a region from now on."""
        self._worlds[region] = world

    def open(self) -> None:
        """Become the one that botocore's hooks, urllib and the sockets ask."""
        global _active
        if _active is not None:
            raise RuntimeError("one embedded account at a time: close the other one first")
        _register_hooks()
        _active = self
        self._replace_opener()
        self._refuse_sockets()

    def close(self) -> None:
        """Undo :meth:`open`."""
        global _active
        if _active is self:
            _active = None
        while self._restore:
            self._restore.pop()()

    def rewrite(self, service: str, operation: str, region: str, params: dict[str, Any]) -> None:
        """Have the stack's call sent as the rewriter says; the driver's own calls stay."""
        caller = self._callers.current(region)
        if self.rewriter is not None and caller.kind != "driver":
            sent = self.rewriter.request(WireCall(service, operation, dict(params), caller))
            params.clear()
            params.update(sent)

    def refusal(
        self, service: str, operation: str, region: str, context: dict[str, Any]
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """The answer of a call of the SDK that the wire does not let through, or that its caller is
        not allowed; the SDK does not try either again."""
        caller = self._callers.current(region)
        params = dict(context.get(_PARAMETERS, {}))
        call = context[_CALL] = WireCall(service, operation, params, caller)
        refused = self.wire.before(call) if self.wire else None
        if refused is None and caller.role_arn is not None:
            refused = self._guard.refusal(
                caller.role_arn,
                caller.name,
                (service, operation, region),
                params,
                self._world_of(region),
            )
        if self.wire and refused is None and self.wire.arrives_twice(call):
            self._twice.add(threading.get_ident())
        return None if refused is None else _response(*refused)

    def answer(
        self, service: str, operation: str, region: str, params: dict[str, Any]
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """The world's answer, or None if moto answers; a refusal above the rate."""
        caller = self._callers.current(region)
        self.calls[Call(service, operation, caller.kind, caller.name)] += 1
        if caller.kind != "driver":
            refusal = self._rates.refusal(service, operation, region, params)
            if refusal is not None:
                error = {"Code": refusal.code, "Message": refusal.message}
                return _response(refusal.status, {"Error": error})
        world, operations = self._world_of(region), _WORLD_OPERATIONS.get(service)
        if world is None or operations is None:
            return None
        if operations is not _ALL and operation not in operations:
            return None
        if self._is_first_of_two():
            world.handle(service, operation, dict(params), caller)
        return _response(*world.handle(service, operation, params, caller))

    def answers_directly(
        self, service: str, operation: str, region: str, params: dict[str, Any]
    ) -> bool:
        """Whether moto answers this call without a message (:meth:`direct_answer`)."""
        return dynamodb_calls.answers(service, operation) or s3_calls.answers(
            service, operation, params, self._account_id, region
        )

    def direct_answer(
        self, model: Any, request: dict[str, Any], region: str, params: dict[str, Any]
    ) -> tuple[AWSResponse, dict[str, Any]]:
        """moto's answer to a call of items in DynamoDB or of an object in S3."""

        def answered() -> tuple[AWSResponse, dict[str, Any]]:
            if model.service_model.service_name == "s3":
                return s3_calls.call(model.name, params, self._account_id, region)
            return dynamodb_calls.call(model, request, self._account_id, region)

        if self._is_first_of_two():
            answered()
        return answered()

    def deliver_first(self, request: Any) -> None:
        """Have moto answer a request that arrives twice for the first time."""
        if self._is_first_of_two():
            botocore_stubber("before-send", request=request)

    def _is_first_of_two(self) -> bool:
        thread = threading.get_ident()
        twice = thread in self._twice
        self._twice.discard(thread)
        return twice

    def replace(self, context: dict[str, Any], response: Any, reply: dict[str, Any]) -> None:
        """Replace the reply by what the caller is to see."""
        call = context.get(_CALL)
        if self.rewriter is not None and call is not None and call.caller.kind != "driver":
            self.rewriter.reply(call, reply)
        seen = self.wire.after(call, response.status_code, reply) if self.wire and call else None
        if seen is not None:
            response.status_code, parsed = seen
            reply.clear()
            reply.update(_response(response.status_code, parsed)[1])

    def fetch(self, url: str, asked: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """The world's answer to a GET of ``url`` with headers ``asked``."""
        world = self._world_of("")
        if world is None or url != ADVISOR_URL:
            raise NetworkRefused(f"url: {url} is refused; an embedded account has no network")
        return world.http(url, asked)

    def _world_of(self, region: str) -> World | None:
        """That of a call's region. The price list and the Spot Advisor's file, one for all regions, come
        from the caller's own world."""
        return self._worlds.get(region) or self._worlds.get(os.environ["AWS_REGION"])

    def _replace_opener(self) -> None:
        previous = urllib.request._opener  # type: ignore[attr-defined]
        opener = urllib.request.OpenerDirector()
        for handler in (
            _WorldHandler(self),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            opener.add_handler(handler)
        urllib.request.install_opener(opener)
        self._restore.append(lambda: urllib.request.install_opener(previous))

    def _refuse_sockets(self) -> None:
        connect = socket.socket.connect

        def refuse(sock: socket.socket, address: Any) -> None:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                raise NetworkRefused(f"address: {address!r} is refused; no network in here")
            connect(sock, address)

        def restore() -> None:
            socket.socket.connect = connect  # type: ignore[method-assign]

        socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
        self._restore.append(restore)


def _response(status: int, reply: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
    metadata = {
        "RequestId": str(mock_random.uuid4()),
        "HTTPStatusCode": status,
        "HTTPHeaders": {},
        "RetryAttempts": 0,
        **reply.get("ResponseMetadata", {}),
    }
    response = AWSResponse("https://world.invalid", status, HTTPHeaders(), None)
    return response, {**reply, "ResponseMetadata": metadata}


class _WorldHandler(urllib.request.BaseHandler):
    """urllib's way to the world."""

    def __init__(self, interceptor: Interceptor) -> None:
        self._interceptor = interceptor

    def https_open(self, request: urllib.request.Request) -> addinfourl:
        # urllib spells every header like If-none-match.
        asked = {name.title(): value for name, value in request.header_items()}
        status, headers, body = self._interceptor.fetch(request.full_url, asked)
        message = Message()
        for name, value in headers.items():
            message[name] = value
        answer = addinfourl(io.BytesIO(body), message, request.full_url, status)
        answer.msg = str(status)  # type: ignore[attr-defined]
        return answer

    http_open = https_open


_active: Interceptor | None = None


def _remember(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    if _active is not None:
        service = model.service_model.service_name
        _active.rewrite(service, model.name, context["client_region"], params)
        # A reference, not a copy: handlers that run after this one complete the parameters.
        context[_PARAMETERS] = params


def _answer(
    model: Any, params: dict[str, Any], request_signer: Any, context: dict[str, Any], **_: Any
) -> Any:
    if _active is None:
        return None
    service, operation = model.service_model.service_name, model.name
    refused = _active.refusal(service, operation, context["client_region"], context)
    if refused is not None:
        return refused
    given = dict(context.get(_PARAMETERS, {}))
    attempts = 1
    directly = _active.answers_directly(service, operation, context["client_region"], given)
    if directly:
        mock_random.uuid4()  # the SDK's id of the invocation: a seed leads where it leads over HTTP
    while True:
        answer = _active.answer(service, operation, context["client_region"], given)
        if answer is None and directly:
            answer = _active.direct_answer(model, params, context["client_region"], given)
        if answer is None or answer[0].status_code < 300:
            break
        delay_s = _retry_delay_s(request_signer, model, params, answer, attempts)
        if delay_s is None:
            break
        time.sleep(delay_s)
        attempts += 1
    if answer is not None:
        answer[1]["ResponseMetadata"]["RetryAttempts"] = attempts - 1
    return answer


def _retry_delay_s(
    request_signer: Any, model: Any, request: dict[str, Any], answer: Any, attempts: int
) -> float | None:
    """What the client's retry handler says: seconds to wait, or None to give up."""
    replies = request_signer._event_emitter.emit(
        f"needs-retry.{model.service_model.service_id.hyphenize()}.{model.name}",
        response=answer,
        endpoint=None,
        operation=model,
        attempts=attempts,
        caught_exception=None,
        request_dict=request,
    )
    delay: float | bool | None = first_non_none_response(replies)
    return None if delay is None or delay is False else float(delay)


def _deliver_first(request: Any, **_: Any) -> None:
    if _active is not None:
        _active.deliver_first(request)


def _replace(http_response: Any, parsed: dict[str, Any], context: Any, **_: Any) -> None:
    if _active is not None:
        _active.replace(context, http_response, parsed)


def _register_hooks() -> None:
    for hook in (
        ("before-parameter-build", _remember),
        ("before-call", _answer),
        # Ahead of moto's own, which answers.
        ("before-send", _deliver_first, botocore.handlers.REGISTER_FIRST),
        ("after-call", _replace),
    ):
        if hook not in botocore.handlers.BUILTIN_HANDLERS:
            botocore.handlers.BUILTIN_HANDLERS.append(hook)
