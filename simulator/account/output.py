"""What a handler prints goes to its entry of the trace, not to the driver's terminal.

Loggers keep the stream they found when they were made, so ``sys.stdout`` cannot simply be swapped
for each call: one lasting stream sends each thread's text to where that thread is captured. Those that
were made before, by whoever imported the product's modules outside of a handler, are given that stream.
"""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["captured"]

_targets = threading.local()


class _Router:
    """A text stream that writes to the calling thread's target, or where text went before."""

    encoding = "utf-8"

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        return self._target().write(text)

    def flush(self) -> None:
        self._target().flush()

    def isatty(self) -> bool:
        return False

    def _target(self) -> TextIO:
        stack: list[TextIO] = getattr(_targets, "stack", [])
        if stack:
            return stack[-1]
        current = getattr(sys, self._name)
        fallback: TextIO = getattr(sys, f"__{self._name}__")
        return fallback if isinstance(current, _Router) else current


_stdout, _stderr = _Router("stdout"), _Router("stderr")


def _route_loggers() -> None:
    routers = ((sys.stdout, _stdout), (sys.__stdout__, _stdout), (sys.stderr, _stderr))
    for logger in (logging.root, *logging.Logger.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler):
                for stream, router in routers:
                    if handler.stream is stream:
                        handler.setStream(router)


@contextmanager
def captured(target: TextIO) -> Iterator[None]:
    """Send what this thread writes to stdout and stderr to ``target``."""
    if not hasattr(_targets, "stack"):
        _targets.stack = []
    _route_loggers()
    before = sys.stdout, sys.stderr
    _targets.stack.append(target)
    sys.stdout, sys.stderr = _stdout, _stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        _targets.stack.pop()
