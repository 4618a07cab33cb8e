"""Who is calling AWS at this moment: the driver, a Lambda function or a state machine."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

__all__ = ["Call", "Caller", "Callers"]


@dataclass(frozen=True)
class Caller:
    """The identity behind one AWS call.

    Attributes:
        kind: what makes the call.
        name: logical id of the function or state machine; ``driver`` for the simulation itself;
            of a service of AWS that acts by itself, its first name, such as ``events``.
        region: of the client that makes the call.
        role_arn: role of the function or state machine.
        execution: name of the Step Functions execution that runs, as far as it is known.
    """

    kind: Literal["driver", "lambda", "states", "service"]
    name: str
    region: str
    role_arn: str | None = None
    execution: str | None = None


class Call(NamedTuple):
    """What is counted of an AWS call."""

    service: str
    operation: str
    caller_kind: str
    caller: str


class Callers:
    """A stack of callers for each thread.

    A handler's own worker threads have no stack; they count as the thread that holds the baton,
    since nothing else runs at the same time.
    """

    def __init__(self, region: str, running_thread: Callable[[], threading.Thread]) -> None:
        self._driver = Caller("driver", "driver", region)
        self._running_thread = running_thread
        self._stacks: dict[int, list[Caller]] = {}

    def current(self, region: str | None = None) -> Caller:
        """The innermost caller of this thread, seen in ``region``."""
        stack = self._stacks.get(threading.get_ident())
        if stack is None:
            stack = self._stacks.get(self._running_thread().ident or 0)
        caller = stack[-1] if stack else self._driver
        return caller if region is None else replace(caller, region=region)

    def apart(self) -> AbstractContextManager[None]:
        """Calls made inside are the driver's, whatever the caller: a look from outside."""
        return self.calling(self._driver)

    def chain(self) -> tuple[Caller, ...]:
        """All callers of this thread, the outermost first: a state machine, then its function."""
        return tuple(self._stacks.get(threading.get_ident(), ()))

    @contextmanager
    def calling(self, caller: Caller) -> Iterator[None]:
        """Calls made inside are the caller's."""
        thread = threading.get_ident()
        stack = self._stacks.setdefault(thread, [])
        stack.append(caller)
        try:
            yield
        finally:
            stack.pop()
            if not stack:
                del self._stacks[thread]
