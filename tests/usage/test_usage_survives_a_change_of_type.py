"""What a workload uses is kept in vCPU and GiB, read when due, and unknown where unknown."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState, pack_json
from spot_optimizer.usage.usage import Usage
from spot_optimizer.usage.usage_book import MeasuredInstance, Series, UsageBook, UsagePoint

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LARGE = MeasuredInstance("i-1", vcpu=2, memory_gib=8, launched_at=NOW - timedelta(days=30))
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def points(
    percent: float | list[float], *, hours: float = 1.0, until: datetime = NOW
) -> list[UsagePoint]:
    """Five-minute means of the hours before a time, all of one value, or one value each."""
    count = round(hours * 12)
    series = percent if isinstance(percent, list) else [percent] * count
    first = int(until.timestamp()) - 300 * len(series)
    return [UsagePoint(first + 300 * k, value) for k, value in enumerate(series)]


def book_of(
    cpu: Sequence[UsagePoint] = (),
    memory: Sequence[UsagePoint] = (),
    instance: MeasuredInstance = LARGE,
    now: datetime = NOW,
) -> UsageBook:
    """A book with one reading of workload w."""
    book = UsageBook()
    book.record(now, "w", instance, cpu=cpu, memory=memory)
    return book


def known_usage(book: UsageBook, now: datetime = NOW) -> Usage:
    """The usage of workload w, which must be known."""
    usage = book.usage_of("w", now)
    assert usage is not None
    return usage


def test_percent_becomes_vcpu_and_gib_of_the_machine_that_was_measured() -> None:
    """50 % of two vCPU is one vCPU, on whatever instance it is asked later."""
    usage = known_usage(book_of(points(50), points(25)))
    assert usage.cpu_p95_vcpu == pytest.approx(1.0, rel=0.02)
    assert usage.memory_p95_gib == pytest.approx(2.0, rel=0.02)
    assert usage.recent_cpu_vcpu == (1.0,) * 12
    assert usage.recent_memory_gib == (2.0,) * 12
    assert usage.hours == 1.0
    assert usage.as_of == NOW


def test_a_new_type_adds_to_what_the_old_one_measured() -> None:
    """An hour at 80 % of 2 vCPU and an hour at 20 % of 8 vCPU are two hours at 1.6 vCPU."""
    book = book_of(points(80, until=NOW - HOUR))
    larger = MeasuredInstance("i-2", vcpu=8, memory_gib=32, launched_at=NOW - HOUR - 15 * MINUTE)
    book.record(NOW, "w", larger, cpu=points(20), memory=())
    usage = known_usage(book)
    assert usage.cpu_p95_vcpu == pytest.approx(1.6, rel=0.02)
    assert usage.hours == 2.0
    assert usage.recent_cpu_vcpu == pytest.approx((1.6,) * 12)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=24), st.booleans())
def test_memory_that_nobody_reports_stays_unknown(percents: list[float], is_stored: bool) -> None:
    """However much CPU is recorded, and through storage: None and never 0."""
    book = book_of(points(percents))
    if is_stored:
        book = UsageBook.from_bytes(book.to_bytes())
    usage = known_usage(book)
    assert usage.memory_p95_gib is None
    assert usage.recent_memory_gib == ()


def test_memory_that_fell_silent_for_a_week_is_unknown_again() -> None:
    """An agent that died must not let the memory of last month decide."""
    book = book_of(points(50), points(25))
    later = NOW + timedelta(days=8)
    book.record(later, "w", LARGE, cpu=points(50, until=later), memory=())
    assert known_usage(book, later).memory_p95_gib is None


def test_recent_means_are_those_of_the_last_hour() -> None:
    """What memory did before its agent fell silent is not recent."""
    book = book_of(points(50), points(95))
    later = NOW + 2 * HOUR
    book.record(later, "w", LARGE, cpu=points(10, hours=2, until=later), memory=())
    usage = known_usage(book, later)
    assert usage.recent_cpu_vcpu == (0.2,) * 12
    assert usage.recent_memory_gib == ()
    assert usage.memory_p95_gib is not None


def test_the_first_fifteen_minutes_after_a_launch_do_not_count() -> None:
    """Booting is no use."""
    young = MeasuredInstance("i-1", 2, 8, launched_at=NOW - 30 * MINUTE)
    usage = known_usage(book_of(points([100, 100, 100, 10, 10, 10]), instance=young))
    assert usage.recent_cpu_vcpu == (0.2, 0.2, 0.2)


def test_a_period_that_is_not_over_waits_for_the_next_reading() -> None:
    """Half a mean must not stand for the whole one, nor keep it out."""
    half = UsagePoint(int(NOW.timestamp()) - 120, 100.0)
    whole = half._replace(percent=10.0)
    book = book_of([*points(50, until=NOW - 2 * MINUTE), half])
    assert known_usage(book, NOW).recent_cpu_vcpu == (1.0,) * 12
    later = NOW + HOUR
    book.record(later, "w", LARGE, cpu=[whole], memory=())
    assert known_usage(book, later).recent_cpu_vcpu[-1] == 0.2


@given(st.lists(st.floats(0, 100), min_size=1, max_size=36), st.integers(0, 36))
def test_reading_twice_counts_once(percents: list[float], overlap: int) -> None:
    """Readings may overlap as they like."""
    all_points = points(percents)
    book = book_of(all_points[:overlap])
    book.record(NOW, "w", LARGE, cpu=all_points, memory=())
    assert book.to_bytes() == book_of(all_points).to_bytes()


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -1.0])
def test_a_value_that_is_no_percentage_is_left_out(nonsense: float) -> None:
    """It neither counts nor stops the others."""
    usage = known_usage(book_of(points([nonsense, 50])))
    assert usage.recent_cpu_vcpu == (1.0,)


def test_an_unknown_workload_has_no_usage() -> None:
    """Neither has one of which nothing could be read."""
    assert UsageBook().usage_of("w", NOW) is None
    assert book_of().usage_of("w", NOW) is None


def test_usage_of_a_week_ago_is_no_usage() -> None:
    """What is too old to count is not handed out as if it did."""
    assert book_of(points(50)).usage_of("w", NOW + timedelta(days=8)) is None


def test_a_new_workload_is_due_at_once_seven_days_back() -> None:
    """CloudWatch keeps 5-minute points, so adoption need not wait for a week."""
    assert UsageBook().due(NOW, "w", LARGE) == NOW - timedelta(days=7)


def test_a_new_workload_that_still_boots_is_due_when_there_is_something_to_read() -> None:
    """A reading that can only be empty costs the same as any other."""
    launched = MeasuredInstance("i-1", 2, 8, launched_at=NOW)
    assert UsageBook().due(NOW + 19 * MINUTE, "w", launched) is None
    assert UsageBook().due(NOW + 20 * MINUTE, "w", launched) == NOW + 15 * MINUTE


@pytest.mark.parametrize(("percent", "hours"), [(61, 1), (59, 2)])
def test_a_reading_holds_an_hour_or_two_when_calm(percent: float, hours: int) -> None:
    """Below 60 % of the instance nothing is about to run full."""
    book = book_of(points(percent * 1.02 if percent > 60 else percent * 0.98))
    assert book.due(NOW + hours * HOUR - 2 * MINUTE, "w", LARGE) is None
    assert book.due(NOW + hours * HOUR, "w", LARGE) == NOW


def test_a_schedule_that_comes_seconds_early_still_reads() -> None:
    """Otherwise every reading would slip by a whole cycle."""
    book = book_of(points(90))
    assert book.due(NOW + HOUR - timedelta(seconds=20), "w", LARGE) == NOW


def test_calm_is_judged_on_the_machine_of_today() -> None:
    """What was little for the large instance is much for the small one."""
    book = book_of(points(50))
    small = MeasuredInstance("i-1", 1, 4, LARGE.launched_at)
    assert book.due(NOW + HOUR, "w", LARGE) is None
    assert book.due(NOW + HOUR, "w", small) == NOW


def test_a_changed_instance_is_due_as_soon_as_it_has_booted() -> None:
    """After a switch nobody waits for the hour to learn whether the new type fits."""
    book = book_of(points(10))
    changed = MeasuredInstance("i-2", 2, 8, launched_at=NOW)
    assert book.due(NOW + 19 * MINUTE, "w", changed) is None
    assert book.due(NOW + 20 * MINUTE, "w", changed) == NOW + 15 * MINUTE
    book.record(NOW + 20 * MINUTE, "w", changed, cpu=[], memory=[])
    assert book.due(NOW + 25 * MINUTE, "w", changed) is None


def test_a_reading_begins_where_cpu_is_known_although_memory_is_known_longer() -> None:
    """The agent publishes sooner than EC2; CPU in between must not be lost."""
    book = book_of(points(90, until=NOW - 10 * MINUTE), points(50))
    assert book.due(NOW + HOUR, "w", LARGE) == NOW - 10 * MINUTE


def test_a_book_does_not_grow_with_time() -> None:
    """Of single means only the last hour is kept; the rest is in the histograms."""
    series = Series().with_points([(300 * k, 1.0) for k in range(2_000)])
    assert [time_s for time_s, _ in series.recent] == [300 * k for k in range(1_988, 2_000)]


def test_workloads_that_left_are_forgotten() -> None:
    """The book is as long as the list of managed workloads."""
    book = book_of(points(50))
    book.record(NOW, "gone", LARGE, cpu=points(50), memory=())
    book.keep_only({"w"})
    assert book.usage_of("gone", NOW) is None
    assert book.to_bytes() == book_of(points(50)).to_bytes()


def test_a_stored_book_comes_back() -> None:
    """What was written is what is read."""
    book = book_of(points([10, 50, 90]), points([5, 6, 7]))
    read = UsageBook.from_bytes(book.to_bytes())
    assert read.usage_of("w", NOW) == book.usage_of("w", NOW)
    assert read.to_bytes() == book.to_bytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"nothing", "not gzipped JSON"),
        (pack_json("usage-book", 2, {}), "allowed is 'usage-book/1'"),
        (pack_json("usage-book", 1, {}), "missing or wrong"),
        (pack_json("usage-book", 1, {"workloads": {"w": {}}}), "missing or wrong"),
        (
            pack_json(
                "usage-book",
                1,
                {
                    "workloads": {
                        "w": {
                            "instance_id": "i-1",
                            "read_at_s": 0,
                            "cpu": {"days": [[]], "recent": []},
                            "memory": {"days": [], "recent": []},
                        }
                    }
                },
            ),
            "missing or wrong",
        ),
    ],
)
def test_a_book_that_cannot_be_read_is_refused_in_words(data: bytes, words: str) -> None:
    """Damaged, of another version or incomplete: said so."""
    with pytest.raises(DamagedState, match=words):
        UsageBook.from_bytes(data)
