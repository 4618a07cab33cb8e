"""Virtual time: a discrete-event scheduler that runs one thread at a time.

moto's Step Functions interpreter runs every execution, state and branch in a thread of its own,
and waits in real time. Here all these threads share one baton with the thread that drives the
simulation. A thread passes the baton only when it waits (sleep, ``Event.wait``, ``Condition.wait``,
``Thread.join``) or ends. The next one to run is the one that has been ready longest; when none is
ready, time jumps to the earliest deadline. So a run is deterministic, and a day of waiting is free.
"""

import functools
import heapq
import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import time_machine

__all__ = ["ClockStopped", "VirtualClock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PATCHED_PACKAGE = "moto.stepfunctions.parser"
_PUNCTUAL, _AFTER_ALL_ELSE = 0, 1
_real_sleep = time.sleep


class ClockStopped(BaseException):
    """Unwinds the threads that still wait when their clock stops.

    Not an ``Exception``: the interpreter turns those into failed executions.
    """


class _Participant:
    """A thread that may hold the baton. ``gate`` is locked while it must not run."""

    __slots__ = ("gate", "thread")

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread
        self.gate = threading.Lock()
        self.gate.acquire()


class _Ticket:
    """One wait of one participant; done once it may go on, signalled unless it timed out."""

    __slots__ = ("done", "participant", "signalled")

    def __init__(self, participant: _Participant) -> None:
        self.participant = participant
        self.done = False
        self.signalled = False


class _Callback:
    """A function that the driver runs at its time."""

    __slots__ = ("done", "function")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.done = False


class VirtualClock:
    """Time that moves only when every thread waits.

    The thread that calls :meth:`start` is the driver. While the clock runs, ``time.time()``,
    ``datetime.now()`` and ``time.sleep()`` of the process follow it. Resolution: one microsecond.

    Args:
        start: the first moment, with a time zone.
        around_wait: entered before a thread passes the baton in a wait and left when it has it
            back: the place to swap process-wide state of the running thread.

    Raises:
        ValueError: ``start`` has no time zone.
    """

    def __init__(
        self,
        start: datetime,
        *,
        around_wait: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._now_us = _microseconds("start", start)
        self._around_wait = around_wait
        self._ready: deque[_Participant] = deque()
        self._agenda: list[tuple[int, int, int, _Ticket | _Callback]] = []
        self._sequence = itertools.count()
        self._participants: dict[int, _Participant] = {}
        self._leavers: list[threading.Thread] = []
        self._due: deque[_Callback] = deque()
        self._driver: _Participant | None = None
        self._running: _Participant | None = None
        self._stopping = False
        self._stalled = False
        self._restore: list[tuple[object, str, object]] = []
        self._travel = time_machine.travel(start, tick=False)
        self._traveller: Any = None

    def start(self) -> Self:
        """Take over the process's time; the calling thread becomes the driver."""
        if self._driver is not None:
            raise RuntimeError("a clock can be started once; make a new one")
        self._driver = self._running = _Participant(threading.current_thread())
        self._participants[threading.get_ident()] = self._driver
        self._traveller = self._travel.start()
        self._patch(time, "sleep", self.sleep)
        self._patch_interpreter()
        return self

    def stop(self) -> None:
        """Unwind every thread that still waits and give the process its own time back."""
        if self._driver is None or self._stopping:
            return
        self._stopping = True
        for participant in list(self._participants.values()):
            if participant is not self._driver:
                participant.gate.release()
                threading.Thread.join(participant.thread)
        for thread in self._leavers:
            threading.Thread.join(thread)
        for target, name, original in reversed(self._restore):
            setattr(target, name, original)
        self._travel.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def now(self) -> datetime:
        """The virtual time, UTC."""
        return _EPOCH + timedelta(microseconds=self._now_us)

    def running_thread(self) -> threading.Thread:
        """The thread that holds the baton."""
        if self._running is None:
            raise RuntimeError("the clock has not started")
        return self._running.thread

    def run_until(self, when: datetime) -> None:
        """Let everything happen that is due at or before ``when``; then it is ``when``.

        Only a driver-side callback that itself sleeps past ``when`` makes it later than that.

        Raises:
            ValueError: ``when`` has no time zone or lies in the past.
        """
        when_us = _microseconds("when", when)
        if when_us < self._now_us:
            raise ValueError(f"when: {when.isoformat()} is past; it is {self.now().isoformat()}")
        self._wait(deadline_us=when_us, order=_AFTER_ALL_ELSE)

    def sleep(self, seconds: float) -> None:
        """Wait in virtual time; threads that the clock does not know sleep in real time."""
        if threading.get_ident() not in self._participants:
            _real_sleep(seconds)
            return
        self._wait(deadline_us=self._in(seconds))

    def call_at(self, when: datetime, function: Callable[[], object]) -> None:
        """Have the driver call ``function`` at ``when`` (now, if that is past)."""
        self._enqueue(max(_microseconds("when", when), self._now_us), _Callback(function))

    def call_later(self, delay: timedelta, function: Callable[[], object]) -> None:
        """Have the driver call ``function`` after ``delay``."""
        self.call_at(self.now() + delay, function)

    def next_deadline(self) -> datetime | None:
        """When the next thing is due: now if a thread is ready, None if nothing ever is."""
        if self._ready or self._due:
            return self.now()
        self._drop_finished()
        if not self._agenda:
            return None
        return _EPOCH + timedelta(microseconds=self._agenda[0][0])

    def is_idle(self) -> bool:
        """Whether nothing is due, now or later."""
        return self.next_deadline() is None

    # The baton. Only its holder changes the scheduler's state, so that state needs no lock.

    def _wait(
        self,
        *,
        deadline_us: int | None = None,
        waiters: list[_Ticket] | None = None,
        order: int = _PUNCTUAL,
    ) -> bool:
        """Pass the baton until woken (True) or until the deadline (False)."""
        me = self._participants.get(threading.get_ident())
        if self._stopping or me is None:
            raise ClockStopped("this thread has no running clock to wait on")
        ticket = _Ticket(me)
        if deadline_us is not None:
            self._enqueue(deadline_us, ticket, order)
        if waiters is not None:
            waiters.append(ticket)
        with self._around_wait():
            while not ticket.done:
                self._pass_baton(me)
                if me is self._driver:
                    self._serve_driver()
        return ticket.signalled

    def _pass_baton(self, me: _Participant) -> None:
        successor = self._next()
        if successor is me:
            return
        self._running = successor
        successor.gate.release()
        me.gate.acquire()
        if self._stopping:
            raise ClockStopped

    def _next(self) -> _Participant:
        """Who runs next; moves time to the earliest deadline when nobody is ready."""
        driver = self._driver
        assert driver is not None
        while not self._ready:
            self._drop_finished()
            if not self._agenda:
                self._stalled = True
                return driver
            when_us, _, _, entry = heapq.heappop(self._agenda)
            self._move_to(when_us)
            if isinstance(entry, _Callback):
                self._due.append(entry)
                return driver
            self._wake(entry, signalled=False)
        return self._ready.popleft()

    def _serve_driver(self) -> None:
        if self._stalled:
            self._stalled = False
            raise RuntimeError("every thread waits for another one, and nothing is due")
        while self._due:
            self._due.popleft().function()

    def _wake(self, ticket: _Ticket, *, signalled: bool) -> None:
        if not ticket.done:
            ticket.done = True
            ticket.signalled = signalled
            self._ready.append(ticket.participant)

    def _wake_all(self, waiters: list[_Ticket]) -> None:
        for ticket in waiters:
            self._wake(ticket, signalled=True)
        waiters.clear()

    def _enqueue(self, when_us: int, entry: _Ticket | _Callback, order: int = _PUNCTUAL) -> None:
        heapq.heappush(self._agenda, (when_us, order, next(self._sequence), entry))

    def _drop_finished(self) -> None:
        while self._agenda and self._agenda[0][3].done:
            heapq.heappop(self._agenda)

    def _move_to(self, when_us: int) -> None:
        if when_us > self._now_us:
            self._now_us = when_us
            self._traveller.move_to(self.now())

    def _in(self, seconds: float | None) -> int | None:
        return None if seconds is None else self._now_us + max(0, round(seconds * 1_000_000))

    # Threads.

    def _admit(self, participant: _Participant) -> None:
        if self._stopping:
            raise ClockStopped
        self._ready.append(participant)

    def _enter(self, participant: _Participant) -> None:
        self._participants[threading.get_ident()] = participant
        participant.gate.acquire()
        if self._stopping:
            raise ClockStopped

    def _leave(self) -> None:
        leaver = self._participants.pop(threading.get_ident())
        self._leavers = [thread for thread in self._leavers if threading.Thread.is_alive(thread)]
        self._leavers.append(leaver.thread)
        if not self._stopping:
            self._running = self._next()
            self._running.gate.release()

    def _patch(self, target: object, name: str, value: object) -> None:
        self._restore.append((target, name, getattr(target, name)))
        setattr(target, name, value)

    def _patch_interpreter(self) -> None:
        import moto.stepfunctions.parser.models  # noqa: F401  (loads the whole interpreter)

        virtual = SimpleNamespace(**{name: getattr(threading, name) for name in threading.__all__})
        virtual.Thread = functools.partial(_VirtualThread, self)
        virtual.Event = functools.partial(_VirtualEvent, self)
        virtual.Condition = functools.partial(_VirtualCondition, self)
        replacements: dict[object, object] = {
            threading: virtual,
            threading.Thread: virtual.Thread,
            threading.Event: virtual.Event,
        }
        for module in _interpreter_modules():
            for name, value in list(vars(module).items()):
                if value is threading or value in (threading.Thread, threading.Event):
                    self._patch(module, name, replacements[value])


class _VirtualEvent:
    """``threading.Event``; a waiter is released by ``set`` even if ``clear`` follows at once."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._flag = False
        self._waiters: list[_Ticket] = []

    def is_set(self) -> bool:
        return self._flag

    def set(self) -> None:
        self._flag = True
        self._clock._wake_all(self._waiters)

    def clear(self) -> None:
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._flag:
            return True
        return self._clock._wait(deadline_us=self._clock._in(timeout), waiters=self._waiters)


class _VirtualCondition:
    """``threading.Condition``, as far as the interpreter's CountDownLatch uses it.

    ``acquire`` and ``release`` do nothing: nobody else runs before its holder waits.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._waiters: list[_Ticket] = []

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return

    def wait(self, timeout: float | None = None) -> bool:
        return self._clock._wait(deadline_us=self._clock._in(timeout), waiters=self._waiters)

    def notify_all(self) -> None:
        self._clock._wake_all(self._waiters)


class _VirtualThread(threading.Thread):
    """A thread that runs only while it holds the clock's baton."""

    def __init__(self, clock: VirtualClock, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock
        self._participant = _Participant(self)
        self._joiners: list[_Ticket] = []
        self._finished = False

    def start(self) -> None:
        self._clock._admit(self._participant)
        super().start()

    def run(self) -> None:
        try:
            self._clock._enter(self._participant)
            super().run()
        except ClockStopped:
            return
        finally:
            self._finished = True
            self._clock._wake_all(self._joiners)
            self._clock._leave()

    def is_alive(self) -> bool:
        # The operating system's thread outlives run() by a moment that nobody may notice.
        return not self._finished and super().is_alive()

    def join(self, timeout: float | None = None) -> None:
        if not self._finished:
            self._clock._wait(deadline_us=self._clock._in(timeout), waiters=self._joiners)


def _interpreter_modules() -> Iterator[object]:
    for name, module in sorted(sys.modules.items()):
        if module is not None and name.startswith(_PATCHED_PACKAGE):
            yield module


def _microseconds(field: str, when: datetime) -> int:
    if when.tzinfo is None:
        raise ValueError(f"{field}: {when.isoformat()} has no time zone; give one, such as UTC")
    return (when - _EPOCH) // _MICROSECOND
