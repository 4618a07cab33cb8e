"""The virtual clock is deterministic, quick, and leaves nothing behind."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import moto.stepfunctions.parser.models  # noqa: F401  (loads the interpreter)
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.stepfunctions.parser.asl.component.state.exec import execute_state as interpreter

from simulator.clock import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spawn(function: Callable[[], object]) -> threading.Thread:
    """Start a thread as the interpreter starts one."""
    thread: threading.Thread = interpreter.Thread(target=function, daemon=True)
    thread.start()
    return thread


naps = st.lists(st.lists(st.integers(0, 5), max_size=5), min_size=1, max_size=5)


@settings(max_examples=30)
@given(naps)
def test_two_runs_interleave_alike_and_every_wait_ends_on_time(plan: list[list[int]]) -> None:
    """The order of all steps is a function of the program, and each step happens at its time."""

    def run() -> list[tuple[int, datetime]]:
        steps = []

        def worker(number: int) -> None:
            for seconds in plan[number]:
                before = datetime.now(UTC)
                time.sleep(seconds)
                assert datetime.now(UTC) - before == timedelta(seconds=seconds)
                steps.append((number, datetime.now(UTC)))

        with VirtualClock(START) as clock:
            for number in range(len(plan)):
                spawn(partial(worker, number))
            clock.run_until(at(100))
            assert clock.is_idle()
        return steps

    first = run()
    assert first == run()
    assert len(first) == sum(map(len, plan))
    assert [when for _, when in first] == sorted(when for _, when in first)


@settings(max_examples=30)
@given(naps)
def test_only_the_holder_of_the_baton_runs(plan: list[list[int]]) -> None:
    """Between two waits of one thread no other thread takes a step."""
    inside: list[int] = []
    overlaps: list[int] = []

    def worker(seconds: list[int]) -> None:
        for nap in seconds:
            inside.append(1)
            overlaps.append(len(inside))
            inside.pop()
            time.sleep(nap)

    with VirtualClock(START) as clock:
        for seconds in plan:
            spawn(partial(worker, seconds))
        assert overlaps == [], "nobody runs before the driver yields"
        clock.run_until(at(100))
    assert set(overlaps) <= {1}


def test_run_until_lets_everything_due_at_that_moment_happen_first() -> None:
    """What falls due exactly then, and what that starts, is done when run_until returns."""
    seen = []

    def nested() -> None:
        time.sleep(0)
        seen.append("nested")

    def worker() -> None:
        time.sleep(10)
        seen.append("worker")
        spawn(nested)

    with VirtualClock(START) as clock:
        spawn(worker)
        clock.call_at(at(10), lambda: seen.append("callback"))
        clock.run_until(at(9.999999))
        assert seen == []
        assert clock.next_deadline() == at(10)
        clock.run_until(at(10))
        assert seen == ["callback", "worker", "nested"]
        assert clock.now() == datetime.now(UTC) == at(10)
        assert time.time() == at(10).timestamp()


def test_waiter_is_released_by_set_even_when_clear_follows_at_once() -> None:
    """The interpreter sets and clears an event in one breath; no waiter may miss it."""
    results = []
    with VirtualClock(START) as clock:
        event = interpreter.threading.Event()
        spawn(lambda: results.append((event.wait(60), clock.now())))
        spawn(lambda: results.append((event.wait(1), clock.now())))
        clock.call_later(timedelta(seconds=5), lambda: (event.set(), event.clear()))
        clock.run_until(at(100))
    assert results == [(False, at(1)), (True, at(5))]


def test_join_ends_with_the_thread_or_at_its_timeout() -> None:
    """A joined thread that ended is not alive; one that outlasts the timeout is."""
    seen = []
    with VirtualClock(START) as clock:
        slow = spawn(lambda: time.sleep(30))

        def joiner() -> None:
            slow.join(10)
            seen.append((slow.is_alive(), clock.now()))
            slow.join()
            seen.append((slow.is_alive(), clock.now()))

        spawn(joiner)
        clock.run_until(at(100))
    assert seen == [(True, at(10)), (False, at(30))]


def test_condition_wakes_all_its_waiters() -> None:
    """notify_all releases every thread that waits, in the order in which they came."""
    woken = []
    with VirtualClock(START) as clock:
        condition = interpreter.threading.Condition()

        def waiter(name: str) -> None:
            condition.wait()
            woken.append((name, clock.now()))

        for name in "abc":
            spawn(partial(waiter, name))
        clock.call_at(at(3), condition.notify_all)
        clock.run_until(at(5))
    assert woken == [("a", at(3)), ("b", at(3)), ("c", at(3))]


def test_thread_that_raises_passes_the_baton_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception ends its own thread and nobody else's."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    seen = []

    def fail() -> None:
        time.sleep(1)
        raise ZeroDivisionError

    with VirtualClock(START) as clock:
        failing = spawn(fail)

        def joiner() -> None:
            failing.join()
            seen.append(clock.now())

        spawn(joiner)
        clock.run_until(at(10))
    assert seen == [at(1)]


def test_sleeping_driver_lets_the_others_run_and_wakes_on_time() -> None:
    """The driver may sleep too: threads and callbacks go on, also those added meanwhile."""
    seen = []
    with VirtualClock(START) as clock:

        def sleeper() -> None:
            time.sleep(2)
            clock.call_later(timedelta(0), lambda: seen.append("late"))

        spawn(sleeper)
        time.sleep(3)
        assert clock.now() == at(3)
        assert seen == ["late"]


def test_wait_that_nothing_can_end_is_an_error_not_a_hang() -> None:
    """When all wait for each other and nothing is due, the driver gets an error."""
    with VirtualClock(START) as clock:
        event = interpreter.threading.Event()
        spawn(event.wait)
        with pytest.raises(RuntimeError, match="nothing is due"):
            event.wait()
        clock.run_until(at(1))


def test_stopping_unwinds_waiting_threads_and_restores_the_process() -> None:
    """After stop no thread is left, time is real, and a second clock works."""
    real_sleep, real_thread = time.sleep, interpreter.Thread
    threads = threading.active_count()
    for _ in range(2):
        cleaned: list[str] = []

        def worker(cleaned: list[str] = cleaned) -> None:
            try:
                time.sleep(1000)
            finally:
                cleaned.append("yes")

        with VirtualClock(START) as clock:
            spawn(worker)
            clock.run_until(at(1))
            spawn(worker)  # this one never gets a turn
        assert cleaned == ["yes"]
        assert threading.active_count() == threads
        assert time.sleep is real_sleep
        assert interpreter.Thread is real_thread
        assert interpreter.threading is threading
        assert datetime.now(UTC) > at(1000)


def test_times_without_a_zone_and_past_times_are_refused() -> None:
    """The message names the field and the value."""
    with pytest.raises(ValueError, match=r"start: 2025-01-01T00:00:00 has no time zone"):
        VirtualClock(datetime(2025, 1, 1))
    with VirtualClock(START) as clock:
        clock.run_until(at(5))
        with pytest.raises(ValueError, match="is past"):
            clock.run_until(at(4))
