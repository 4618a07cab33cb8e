"""The probability of an interruption after a rebalance recommendation follows what is known."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.decision.hazard import DRAIN_PROBABILITY_MIN, interruption_probability

AGES = st.timedeltas(timedelta(), timedelta(days=400))
COUNTS = st.integers(0, 500)
BUCKETS = st.integers(-1, 4)


def _of(
    age: timedelta = timedelta(days=1),
    recommendations: int = 0,
    interruptions: int = 0,
    bucket: int = 0,
    quiet: bool = True,
) -> float:
    return interruption_probability(
        age=age,
        recommendations=recommendations,
        interruptions=interruptions,
        advisor_bucket=bucket,
        quiet_hour=quiet,
    )


@given(AGES, COUNTS, COUNTS, BUCKETS, st.booleans())
def test_it_is_a_probability(age: timedelta, r: int, i: int, bucket: int, quiet: bool) -> None:
    """Strictly between 0 and 1, whatever the history."""
    assert 0 < _of(age, r, i, bucket, quiet) < 1


@given(AGES, COUNTS, COUNTS, st.integers(0, 3), st.booleans())
def test_a_worse_advisor_bucket_is_never_safer(
    age: timedelta, r: int, i: int, bucket: int, quiet: bool
) -> None:
    """The order of the Spot Advisor is kept."""
    assert _of(age, r, i, bucket, quiet) <= _of(age, r, i, bucket + 1, quiet)


@given(AGES, COUNTS, COUNTS, BUCKETS, st.booleans())
def test_each_interruption_raises_it_and_each_false_alarm_lowers_it(
    age: timedelta, r: int, i: int, bucket: int, quiet: bool
) -> None:
    """The pool's own history counts, in both directions."""
    r = max(r, i)
    now = _of(age, r, i, bucket, quiet)
    assert _of(age, r + 1, i + 1, bucket, quiet) > now > _of(age, r + 1, i, bucket, quiet)


def test_youth_and_working_hours_raise_it() -> None:
    """A young instance, and one in the region's day, are likelier to go."""
    assert _of(age=timedelta(minutes=30)) > _of() > _of(age=timedelta(days=9))
    assert _of(quiet=False) > _of(quiet=True)


def test_the_advisor_alone_decides_at_both_ends() -> None:
    """A seldom interrupted type stays, a very often interrupted one is left, without any history."""
    assert _of(bucket=0, quiet=False) < DRAIN_PROBABILITY_MIN
    assert _of(bucket=4, age=timedelta(days=9)) > DRAIN_PROBABILITY_MIN
