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
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any, Protocol
from urllib.response import addinfourl

import botocore.handlers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.moto_api._internal import mock_random

from simulator.account.callers import Call, Caller, Callers

__all__ = ["ADVISOR_URL", "Interceptor", "NetworkRefused", "World"]

ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
_PARAMETERS = "embedded_account_parameters"
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

    def http(
        self, url: str, asked: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to a GET with headers ``asked``."""


class Interceptor:
    """Sends AWS calls to the world where they are its business, and counts all of them."""

    def __init__(self, world: World | None, callers: Callers) -> None:
        self._world = world
        self._callers = callers
        self.calls: Counter[Call] = Counter()
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
        self, service: str, operation: str, region: str, params: dict[str, Any]
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """The world's answer, or None where moto shall answer."""
        caller = self._callers.current(region)
        self.calls[Call(service, operation, caller.kind, caller.name)] += 1
        operations = _WORLD_OPERATIONS.get(service)
        if self._world is None or operations is None:
            return None
        if operations is not _ALL and operation not in operations:
            return None
        status, reply = self._world.handle(service, operation, params, caller)
        metadata = {
            "RequestId": str(mock_random.uuid4()),
            "HTTPStatusCode": status,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
            **reply.get("ResponseMetadata", {}),
        }
        response = AWSResponse("https://world.invalid", status, HTTPHeaders(), None)
        return response, {**reply, "ResponseMetadata": metadata}

    def fetch(self, url: str, asked: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """The world's answer to a GET of ``url`` with headers ``asked``."""
        if self._world is None or url != ADVISOR_URL:
            raise NetworkRefused(f"url: {url} is refused; an embedded account has no network")
        return self._world.http(url, asked)

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
        dict(context.get(_PARAMETERS, {})),
    )


def _register_hooks() -> None:
    for hook in (("before-parameter-build", _remember), ("before-call", _answer)):
        if hook not in botocore.handlers.BUILTIN_HANDLERS:
            botocore.handlers.BUILTIN_HANDLERS.append(hook)
