"""AWS calls and HTTP requests answered by a world of our own, ahead of moto.

botocore emits ``before-call`` once it has built a request; a handler that returns ``(response,
parsed)`` there answers the call, and nothing is sent. The hook works for every client of the
process, those of the state machines' SDK tasks too. An error answered so becomes a ``ClientError``
at once: the SDK's own retries lie behind the hook and do not run.

The hooks are added to botocore once and stay; they do nothing while no interceptor is active.
Sources: botocore ``client.py`` (``_make_api_call``) and ``handlers.py`` (``BUILTIN_HANDLERS``).
"""

import io
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, Protocol
from urllib.response import addinfourl

import botocore.handlers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber
from moto.moto_api._internal import mock_random

from simulator.account.callers import Call, Caller, Callers

__all__ = ["ADVISOR_URL", "Interceptor", "NetworkRefused", "Wire", "WireCall", "World"]

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
}


class NetworkRefused(OSError):
    """Something inside the embedded account reached for the real network."""


class World(Protocol):
    """What lies outside the account's own services: machines, metrics, prices."""

    def handle(
        self, service: str, operation: str, params: dict[str, Any], caller: Caller
    ) -> tuple[int, dict[str, Any]]:
        """HTTP status and the reply as botocore would parse it.

        An error is a status of 300 or more and ``{"Error": {"Code": ..., "Message": ...}}``.
        """

    def http(self, url: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to a GET."""


@dataclass(frozen=True)
class WireCall:
    """One call of the SDK, whoever answers it."""

    service: str
    operation: str
    params: Mapping[str, Any]
    caller: Caller


class Wire(Protocol):
    """Stands between whoever calls AWS and whoever answers."""

    def before(self, call: WireCall) -> tuple[int, dict[str, Any]] | None:
        """Status and reply of a call that never arrives, or None."""

    def arrives_twice(self, call: WireCall) -> bool:
        """Whether the same request arrives twice; the caller sees the second reply."""

    def after(
        self, call: WireCall, status: int, reply: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        """What the caller sees in place of the reply, or None. May raise what the SDK raises."""


class Interceptor:
    """Sends AWS calls to the world where they are its business, and counts all of them."""

    def __init__(self, world: World | None, callers: Callers) -> None:
        self._world = world
        self._callers = callers
        self.wire: Wire | None = None
        self.calls: Counter[Call] = Counter()
        self._twice: set[int] = set()
        self._restore: list[Callable[[], None]] = []

    def attach(self, world: World) -> None:
        """Let ``world`` answer from now on."""
        self._world = world

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

    def answer(
        self, service: str, operation: str, region: str, context: dict[str, Any]
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """The world's answer, or None where moto shall answer."""
        caller = self._callers.current(region)
        self.calls[Call(service, operation, caller.kind, caller.name)] += 1
        params = dict(context.get(_PARAMETERS, {}))
        call = context[_CALL] = WireCall(service, operation, params, caller)
        refused = self.wire.before(call) if self.wire else None
        if refused is not None:
            return self._reply(*refused)
        twice = self.wire is not None and self.wire.arrives_twice(call)
        operations = _WORLD_OPERATIONS.get(service)
        moto_answers = (
            self._world is None
            or operations is None
            or (operations is not _ALL and operation not in operations)
        )
        if moto_answers:
            if twice:
                self._twice.add(threading.get_ident())
            return None
        assert self._world is not None
        if twice:
            self._world.handle(service, operation, dict(params), caller)
        return self._reply(*self._world.handle(service, operation, params, caller))

    def deliver_first(self, request: Any) -> None:
        """Have moto answer a request that arrives twice for the first time."""
        if threading.get_ident() in self._twice:
            self._twice.discard(threading.get_ident())
            botocore_stubber("before-send", request=request)

    def replace(self, context: dict[str, Any], response: Any, reply: dict[str, Any]) -> None:
        """Put what the caller shall see in the place of what was answered."""
        call = context.get(_CALL)
        seen = self.wire.after(call, response.status_code, reply) if self.wire and call else None
        if seen is not None:
            response.status_code, parsed = seen
            reply.clear()
            reply.update(self._reply(response.status_code, parsed)[1])

    def _reply(self, status: int, reply: dict[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
        metadata = {
            "RequestId": str(mock_random.uuid4()),
            "HTTPStatusCode": status,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
            **reply.get("ResponseMetadata", {}),
        }
        response = AWSResponse("https://world.invalid", status, HTTPHeaders(), None)
        return response, {**reply, "ResponseMetadata": metadata}

    def fetch(self, url: str) -> tuple[int, dict[str, str], bytes]:
        """The world's answer to a GET of ``url``."""
        if self._world is None or url != ADVISOR_URL:
            raise NetworkRefused(f"url: {url} is refused; an embedded account has no network")
        return self._world.http(url)

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


class _WorldHandler(urllib.request.BaseHandler):
    """urllib's way to the world."""

    def __init__(self, interceptor: Interceptor) -> None:
        self._interceptor = interceptor

    def https_open(self, request: urllib.request.Request) -> addinfourl:
        status, headers, body = self._interceptor.fetch(request.full_url)
        message = Message()
        for name, value in headers.items():
            message[name] = value
        answer = addinfourl(io.BytesIO(body), message, request.full_url, status)
        answer.msg = str(status)  # type: ignore[attr-defined]
        return answer

    http_open = https_open


_active: Interceptor | None = None


def _remember(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    # A reference, not a copy: handlers that run after this one complete the parameters.
    if _active is not None:
        context[_PARAMETERS] = params


def _answer(model: Any, context: dict[str, Any], **_: Any) -> Any:
    if _active is None:
        return None
    return _active.answer(
        model.service_model.service_name,
        model.name,
        context["client_region"],
        context,
    )


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
