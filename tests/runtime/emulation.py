"""Functions run as Lambda runs them: as they were built, each in a process of its own under the
runtime interface emulator, with Python 3.13 and the runtime's own client.

What a function asks of the world outside (``inside/sitecustomize.py``) is answered by the thread that
invoked it, so that one thing happens after the other as it does in one process. The emulator is
reached past Python's ``socket.connect``, which an embedded account refuses.
"""

import _socket
import contextlib
import os
import pickle
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from simulator.account.lambdas import Function, Outcome
from tests.runtime.built import INSIDE, RUNTIME, emulator, python313

_INVOKE = "/2015-03-31/functions/function/invocations"
_TRACE = "Root=1-69a4c2c0-000000000000000000000001;Parent=0000000000000001;Sampled=1"
"""The trace header of an invocation, which Lambda sets and the emulator does not."""
_START_TRIES = 500
_START_WAIT_S = 0.02
_ANSWER_WAIT_S = 120
_ENDED = ("Runtime.ExitError", "Runtime.ImportModuleError", "Sandbox.Timedout")
"""Types of errors after which an environment is not used again."""

_ONCE = Config(retries={"total_max_attempts": 1})
"""The caller decides about retries."""


class Broken(Exception):
    """A function's process or its emulator failed; the log says why."""


@dataclass
class Emulated:
    """One function's environment.

    Attributes:
        pid: of the function's process, once it is ready.
        init_s: from the start of that process until it asked for its first event.
        own_s: of each invocation, the first one's with ``init_s``: from the request to the answer, less
            what this process took for the function's questions.
    """

    function: Function
    port: int
    process: subprocess.Popen[bytes]
    endpoint: socket.socket
    log: Path
    pid: int = 0
    init_s: float = 0.0
    own_s: list[float] = field(default_factory=list)
    failed: bool = False
    log_read: int = 0
    connections: list[socket.socket] = field(default_factory=list)

    def peak_mb(self) -> float:
        """Peak memory of the function's process, in units of 2^20 bytes (proc(5))."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(row.split()[1]) / 1024 for row in lines if row.startswith("VmHWM:"))

    def loaded(self) -> set[str]:
        """Names of the shared libraries that the function's process has loaded."""
        rows = Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8").splitlines()
        return {row.split()[-1] for row in rows if ".so" in row}

    def new_log(self) -> str:
        """What the function has logged since the last call."""
        with self.log.open("rb") as file:
            file.seek(self.log_read)
            written = file.read()
        self.log_read += len(written)
        return written.decode(errors="replace")


class Emulation:
    """Runs functions for an embedded account; an environment is started when none of the function is
    free.

    Attributes:
        environments: all that have been started.
        segments: what was sent to X-Ray's daemon.
    """

    def __init__(self) -> None:
        self.environments: list[Emulated] = []
        self._free: dict[str, list[Emulated]] = {}
        self.segments: list[bytes] = []
        self._clients: dict[tuple[str, str], Any] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        python = python313()
        if python is None:
            raise Broken("there is no Python 3.13 here")
        if not (RUNTIME / "awslambdaric").is_dir():
            raise Broken(f"There is no {RUNTIME}: run `make build`.")
        self._python = python
        folder = tempfile.mkdtemp(prefix="spot-optimizer-")
        self._folder = Path(folder)
        self._exit.callback(shutil.rmtree, folder, ignore_errors=True)
        self._daemon = self._exit.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._daemon.bind(("127.0.0.1", 0))
        self._daemon.setblocking(False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def run(self, function: Function, payload: bytes) -> Outcome:
        """Invoke a function, and serve it until it has answered.

        Raises:
            Broken: it ended, or does not answer; the message holds its log.
        """
        free = self._free.setdefault(function.logical_id, [])
        environment = free.pop() if free else self._start(function)
        environment.failed = False
        outcome = Outcome(self._invoke(environment, payload or b"{}"), environment.failed)
        print(environment.new_log(), end="")
        self._take_segments()
        answer = outcome.value()
        if isinstance(answer, dict) and answer.get("errorType") in _ENDED:
            return Outcome(outcome.payload, failed=True)
        free.append(environment)
        return outcome

    # --- one environment -------------------------------------------------------------------------

    def _start(self, function: Function) -> Emulated:
        own = self._folder / str(len(self.environments))
        own.mkdir()
        endpoint = self._exit.enter_context(socket.socket(socket.AF_UNIX))
        endpoint.bind(str(own / "endpoint"))
        endpoint.listen()
        log = self._exit.enter_context((own / "log").open("wb"))
        port, api_port = _free_port(), _free_port()
        process = subprocess.Popen(
            [
                *(emulator(), "--log-level", "error"),
                *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{api_port}"),
                *(self._python, "-m", "awslambdaric", function.handler),
            ],
            cwd=function.code,
            env=self._variables(function, own / "endpoint"),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._exit.callback(_stop, process)
        environment = Emulated(function, port, process, endpoint, own / "log")
        self.environments.append(environment)
        return environment

    def _variables(self, function: Function, endpoint: Path) -> dict[str, str]:
        """Those that the account set, and where things lie that Lambda has in /opt and /var."""
        opt = [layer.parent for layer in function.layers]
        search = [INSIDE, function.code, *(layer / "python" for layer in opt), RUNTIME]
        variables = {
            **os.environ,
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout_s),
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{self._daemon.getsockname()[1]}",
            "EMBEDDED_ACCOUNT_SOCKET": str(endpoint),
            "LD_LIBRARY_PATH": ":".join(str(layer / "lib") for layer in opt),
            "PYTHONPATH": ":".join(str(entry) for entry in search),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for untraced in ("POWERTOOLS_TRACE_DISABLED", "AWS_XRAY_SDK_ENABLED"):
            variables.pop(untraced, None)
        return variables

    def _invoke(self, environment: Emulated, payload: bytes) -> bytes:
        began, served_s = time.perf_counter(), 0.0
        head = f"POST {_INVOKE} HTTP/1.1\r\nHost: lambda\r\nContent-Length: {len(payload)}\r\n\r\n"
        with _connected(environment) as request, selectors.DefaultSelector() as selector:
            request.sendall(head.encode() + payload)
            selector.register(request, selectors.EVENT_READ)
            for heard in (environment.endpoint, *environment.connections):
                selector.register(heard, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(_ANSWER_WAIT_S)]
                if not ready:
                    raise Broken(f"{environment.function.logical_id}: {environment.new_log()}")
                for each in ready:
                    assert isinstance(each, socket.socket)
                    if each is environment.endpoint:
                        connection = self._exit.enter_context(each.accept()[0])
                        environment.connections.append(connection)
                        selector.register(connection, selectors.EVENT_READ)
                    elif each is not request:
                        asked = time.perf_counter()
                        if not self._serve(environment, each):
                            selector.unregister(each)
                            environment.connections.remove(each)
                        served_s += time.perf_counter() - asked
                if ready == [request]:
                    answer = _read_answer(request)
                    environment.own_s.append(time.perf_counter() - began - served_s)
                    return answer

    # --- what a function asks ----------------------------------------------------------------------

    def _serve(self, environment: Emulated, connection: socket.socket) -> bool:
        """Answer one question; False when the function's thread has hung up."""
        size = _read(connection, 4)
        if not size:
            return False
        question = pickle.loads(_read(connection, struct.unpack(">I", size)[0]))
        answer = getattr(self, f"_answer_{question[0]}")(environment, *question[1:])
        body = pickle.dumps((answer, _now_s()), protocol=4)
        connection.sendall(struct.pack(">I", len(body)) + body)
        return True

    def _answer_ready(self, environment: Emulated, pid: int, init_s: float) -> None:
        environment.pid, environment.init_s = pid, init_s

    def _answer_begin(self, _environment: Emulated) -> tuple[float, str]:
        return _now_s(), _TRACE

    def _answer_failed(self, environment: Emulated) -> None:
        environment.failed = True

    def _answer_sleep(self, _environment: Emulated, seconds: float) -> None:
        time.sleep(seconds)

    def _answer_call(
        self,
        _environment: Emulated,
        service: str,
        operation: str,
        region: str,
        params: dict[str, Any],
    ) -> tuple[int, Any]:
        client = self._clients.get((service, region))
        if client is None:
            client = boto3.client(service, region_name=region, config=_ONCE)  # type: ignore[call-overload]
            self._clients[service, region] = client
        try:
            reply = client._make_api_call(operation, params)
        except ClientError as error:
            reply = error.response
        return int(reply["ResponseMetadata"]["HTTPStatusCode"]), _plain(reply)

    def _answer_fetch(
        self, _environment: Emulated, url: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as reply:
                return int(reply.status), dict(reply.headers), reply.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def _take_segments(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.segments.append(self._daemon.recv(65_536))


def _plain(value: Any) -> Any:
    """A reply in Python's own types; a streamed body is a tuple of its bytes."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "read"):
        return (value.read(),)
    return str(value) if isinstance(value, str) else value


def _connected(environment: Emulated) -> socket.socket:
    """A connection to the emulator, as soon as it listens."""
    for _ in range(_START_TRIES):
        sock = socket.socket(socket.AF_INET)
        try:
            _socket.socket.connect(sock, ("127.0.0.1", environment.port))
        except ConnectionRefusedError:
            sock.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                environment.process.wait(_START_WAIT_S)
        else:
            return sock
        if environment.process.poll() is not None:
            break
    raise Broken(f"the emulator of {environment.function.logical_id}: {environment.new_log()}")


def _read_answer(request: socket.socket) -> bytes:
    response = HTTPResponse(request, method="POST")
    response.begin()
    return response.read()


def _read(connection: socket.socket, size: int) -> bytes:
    """The given number of bytes, or none if the connection was closed."""
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            return b""
        parts += part
    return parts


def _now_s() -> float:
    return datetime.now().timestamp()


def _free_port() -> int:
    with socket.socket(socket.AF_INET) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the emulator and the function under it, which is of the same process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
