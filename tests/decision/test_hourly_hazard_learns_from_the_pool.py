"""The hazard of a pool: the advisor's prior, what the stack has met, instability and age."""

from datetime import timedelta
from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.decision.hazard import age_factor
from spot_optimizer.decision.hourly_hazard import BUCKET_SHARES, hourly_hazard
from spot_optimizer.decision.pool_history import PoolEvent, pool_history_of
from spot_optimizer.vocabulary import Pool
from tests.decision.worlds import NOW

POOL, ELSEWHERE = Pool("m5.large", "us-east-1a"), Pool("m5.large", "us-east-1b")


def _hazard(bucket: int = 0, met: float = 0, hours: float = 0, instability: float = 0.5) -> float:
    (hazard,) = hourly_hazard(
        np.array([bucket], dtype=np.int8),
        interruptions=np.array([met], dtype=float),
        instance_hours=np.array([hours], dtype=float),
        instability=np.array([instability]),
    )
    return float(hazard)


@pytest.mark.parametrize("bucket", range(5))
def test_without_experience_it_is_the_advisors_month(bucket: int) -> None:
    """The share that the bucket stands for is interrupted within 730 hours of it."""
    assert 1 - exp(-730 * _hazard(bucket)) == pytest.approx(BUCKET_SHARES[bucket])


@pytest.mark.parametrize("bucket", [-1, 5, 100])
def test_a_pool_without_an_entry_counts_as_the_middle(bucket: int) -> None:
    """And so does a bucket that is none."""
    assert _hazard(bucket) == _hazard(2)


def test_experience_is_worth_as_much_as_two_interruptions_are() -> None:
    """With as many hours behind it as the prior has, half of the rate is the pool's own."""
    prior = _hazard(2)
    assert _hazard(2, met=0, hours=2 / prior) == pytest.approx(prior / 2)
    assert _hazard(2, met=2, hours=2 / prior) == pytest.approx(prior)
    assert _hazard(2, met=6, hours=2 / prior) == pytest.approx(2 * prior)


@given(
    bucket=st.integers(0, 4),
    met=st.floats(0, 1000),
    hours=st.floats(0, 1e6),
    instability=st.floats(0, 1),
)
def test_more_trouble_is_never_a_lower_hazard(
    bucket: int, met: float, hours: float, instability: float
) -> None:
    """Worse bucket, one more interruption, fewer hours, more instability."""
    hazard = _hazard(bucket, met, hours, instability)
    assert 0 < hazard < np.inf
    assert _hazard(bucket, met + 1, hours, instability) > hazard
    assert _hazard(bucket, met, hours + 1, instability) <= hazard
    assert _hazard(bucket, met, hours, min(1.0, instability + 0.1)) >= hazard
    if bucket < 4:
        assert _hazard(bucket + 1, met, hours, instability) >= hazard


def test_the_age_of_an_instance_counts() -> None:
    """Young more, days old less; the borders belong to the middle."""
    factors = [
        age_factor(timedelta(**age))
        for age in ({"minutes": 59}, {"hours": 1}, {"days": 3}, {"days": 3, "seconds": 1})
    ]
    assert factors == [1.3, 1.0, 1.0, 0.8]


def test_the_last_quarter_of_a_year_counts() -> None:
    """Interruptions within 90 days, hours of the instances that run, 90 days each at most."""
    pool_history = pool_history_of(
        NOW,
        refusals=(),
        interruptions=[PoolEvent(POOL, NOW - timedelta(days=d)) for d in (0, 89, 90, 91)],
        running=[
            (POOL, NOW - timedelta(hours=5)),
            (POOL, NOW - timedelta(days=1000)),
            (ELSEWHERE, NOW + timedelta(hours=1)),
        ],
    )
    assert pool_history.interruptions == {POOL: 3.0}
    assert pool_history.instance_hours == {POOL: 5.0 + 90 * 24, ELSEWHERE: 0.0}


def test_an_instance_of_a_pool_without_trouble_is_experience_for_the_next() -> None:
    """Years of quiet make a bad bucket as good as the best."""
    assert _hazard(4, hours=60_000) < _hazard(0)


def test_a_calm_price_is_what_the_advisors_rate_is_of() -> None:
    """A model that says calm does not halve the rate; one that says rise raises it by half at most."""
    assert _hazard(instability=0.01) == _hazard(instability=0.5) == _hazard(instability=np.nan)
    assert _hazard(instability=1.0) == pytest.approx(1.5 * _hazard())
