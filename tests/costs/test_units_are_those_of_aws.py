"""Request units, compute time and storage follow AWS's rules."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.account.lambdas import Function
from simulator.costs.compute import IDLE_LIFE, START_S, Stopwatch, billed_seconds
from simulator.costs.item_sizes import item_bytes, read_units, write_units
from simulator.costs.storage import Stored, full_gb

KB = 1024


@pytest.mark.parametrize(
    ("sizes", "consistent", "units"),
    [
        ([], True, 1),
        ([4 * KB], True, 1),
        ([4 * KB + 1], True, 2),
        ([100] * 100, True, 3),
        ([100], False, 0.5),
    ],
)
def test_reads_are_charged_by_four_kilobytes_of_all_items(
    sizes: list[int], consistent: bool, units: float
) -> None:
    """A query adds its items up before it rounds; half where it need not be consistent."""
    assert read_units(sizes, consistent=consistent) == units


@pytest.mark.parametrize(
    ("before", "after", "transactional", "units"),
    [(0, 0, False, 1), (0, KB, False, 1), (KB + 1, 10, False, 2), (10, 3 * KB, True, 6)],
)
def test_writes_are_charged_by_the_larger_of_before_and_after(
    before: int, after: int, transactional: bool, units: float
) -> None:
    """A kilobyte a unit, at least one, twice in a transaction."""
    assert write_units(before, after, transactional=transactional) == units


def test_items_are_measured_by_names_and_values() -> None:
    """Text in UTF-8, numbers by two digits, three bytes for a list or map."""
    item: dict[str, dict[str, Any]] = {
        "pk": {"S": "é"},
        "n": {"N": "-1200"},
        "b": {"BOOL": True},
        "l": {"L": [{"S": "ab"}]},
    }
    assert item_bytes(item) == (2 + 2) + (1 + 3) + (1 + 1) + (1 + 3 + 1 + 2)


def function(memory_mb: int) -> Function:
    return Function(
        "Decide",
        "decide",
        "arn",
        "app.handler",
        Path(),
        (),
        {},
        60,
        memory_mb,
        "python3.13",
        "role",
    )


class Clock:
    """Virtual time and processor time, moved by hand."""

    def __init__(self) -> None:
        self.now, self.core_s = datetime(2026, 3, 2, tzinfo=UTC), 0.0

    def run(self, watch: Stopwatch, memory_mb: int) -> float:
        """Billed seconds of: 0.1 s of code, a call that takes AWS 5 s here, 0.1 s of code, 3 s of
        waiting."""
        with watch.timing(function(memory_mb)) as run:
            self.core_s += 0.1
            watch.stop()
            self.core_s += 5
            run.calls_s += 0.02
            watch.resume()
            self.core_s += 0.1
            self.now += timedelta(seconds=3)
        return billed_seconds(run)


def test_billed_time_is_code_calls_waits_and_start() -> None:
    """What answers in place of AWS costs nothing; a small function has a part of a processor."""
    clock = Clock()
    watch = Stopwatch(lambda: clock.now, lambda: clock.core_s)
    assert clock.run(watch, 1769) == pytest.approx(START_S + 0.2 + 0.02 + 3)
    assert clock.run(watch, 1769) == pytest.approx(0.2 + 0.02 + 3)
    assert clock.run(watch, 512) == pytest.approx(0.2 * 1769 / 512 + 0.02 + 3, abs=0.001)
    clock.now += IDLE_LIFE
    assert clock.run(watch, 4096) == pytest.approx(START_S + 0.2 + 0.02 + 3)


def test_storage_grows_until_as_much_expires_as_comes() -> None:
    """Two days that bring 10 MB, kept for 100 days: 500 MB; without an end it is what it is."""
    begin, end = Stored({"a/": 1_000_000, "b/": 7}), Stored({"a/": 11_000_000, "b/": 9})
    assert full_gb(begin, end, 2, {"a/": 100.0}) == {"a/": 0.5, "b/": 9e-9}
