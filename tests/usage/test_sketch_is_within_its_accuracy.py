"""The sketch answers within 2 % of the true quantile, whatever it was fed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.usage.sketch import DAYS_KEPT, RELATIVE_ACCURACY, SMALLEST, Sketch

DAY_S = 86_400
NOW_S = 20_000 * DAY_S + 3_600

values = st.floats(min_value=0, max_value=1_000, allow_subnormal=False)
ages_s = st.integers(0, 6 * DAY_S)
means = st.lists(st.tuples(ages_s.map(lambda age: NOW_S - age), values), min_size=1, max_size=60)


def true_p95(fed: list[tuple[int, float]]) -> float:
    """The lower 95 % quantile of the values themselves."""
    ordered = sorted(value for _, value in fed)
    return ordered[math.floor(0.95 * (len(ordered) - 1))]


@given(means)
def test_p95_is_within_two_percent_of_the_true_one(fed: list[tuple[int, float]]) -> None:
    """The guarantee of the paper, for everything above a thousandth."""
    truth, found = true_p95(fed), Sketch().with_means(fed).p95(NOW_S)
    assert found is not None
    assert abs(found - truth) <= max(RELATIVE_ACCURACY * truth * (1 + 1e-9), SMALLEST)


@given(means, st.integers(0, 60))
def test_feeding_in_portions_and_storing_in_between_changes_nothing(
    fed: list[tuple[int, float]], cut: int
) -> None:
    """A sketch read back from JSON goes on where it was."""
    half = Sketch.from_json(Sketch().with_means(fed[:cut]).to_json())
    assert half.with_means(fed[cut:]).to_json() == Sketch().with_means(fed).to_json()


@given(means)
def test_means_of_the_eighth_day_back_are_forgotten(fed: list[tuple[int, float]]) -> None:
    """Seven calendar days count, both when new means come and when time just passes."""
    old = [(NOW_S - DAYS_KEPT * DAY_S, 5_000.0)] * 1_000
    sketch = Sketch().with_means(old).with_means(fed)
    alone = Sketch().with_means(fed)
    assert sketch.p95(NOW_S) == alone.p95(NOW_S)
    assert sketch.count(NOW_S) == len(fed)
    assert alone.p95(NOW_S + DAYS_KEPT * DAY_S) is None
    newest = Sketch().with_means([*old, (NOW_S, 1.0)])
    assert newest.to_json() == Sketch().with_means([(NOW_S, 1.0)]).to_json()


def test_an_empty_sketch_has_no_quantile() -> None:
    """No data is None, not 0."""
    assert Sketch().p95(NOW_S) is None
    assert Sketch().count(NOW_S) == 0


def test_a_sketch_of_another_shape_is_refused() -> None:
    """A bucket without a number is damage."""
    with pytest.raises(ValueError, match="shorter"):
        Sketch.from_json([[20_000, 1, 1, 2]])
