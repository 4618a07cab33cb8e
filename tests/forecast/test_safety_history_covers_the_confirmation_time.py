"""A pool is confirmed safe only if it was safe at every moment of the confirmation time."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.codec import DamagedState, pack_columns
from spot_optimizer.forecast.forecaster import unknown_instability
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.safety_history import KEPT_S, SafetyHistory
from spot_optimizer.forecast.snapshot_builder import build_snapshot
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes, snapshot_to_bytes
from tests.market.price_strategies import POOLS, START_S, merged

A, B, C = POOLS
MINUTE_S = 60
AT_S = START_S + 10 * 86_400


def history_of(observations: Iterable[tuple[int, float, int]]) -> SafetyHistory:
    """A history of pool A alone from (time, instability, bucket)."""
    history = SafetyHistory()
    for time_s, instability, bucket in observations:
        history = history.with_observation(
            (A,), time_s, np.array([instability]), np.array([bucket], np.int8)
        )
    return history


observations = st.lists(
    st.tuples(
        st.integers(-200, 0).map(lambda minutes: AT_S + MINUTE_S * minutes),
        st.sampled_from([0.1, 0.5, 0.9]),
        st.integers(-1, 4),
    ),
    min_size=1,
    max_size=15,
    unique_by=lambda row: row[0],
).map(sorted)


@given(observations, st.integers(0, 119))
def test_worst_is_the_worst_value_in_force_at_any_minute(
    made: list[tuple[int, float, int]], minutes: int
) -> None:
    """The highest of the values that were in force in each minute."""
    values = []
    for minute in range(minutes + 1):
        in_force = [row for row in made if row[0] <= AT_S - MINUTE_S * minute]
        is_kept = in_force and in_force[-1][0] > made[-1][0] - KEPT_S
        values.append(in_force[-1][1:] if is_kept else (np.nan, -1))
    instability, bucket = history_of(made).worst(AT_S, minutes)
    expected = np.fmax.reduce(np.array(values)[:, 0])
    np.testing.assert_array_equal(instability, [expected])
    assert bucket.tolist() == [max(value[1] for value in values)]


@given(observations)
def test_observations_older_than_two_hours_are_dropped(made: list[tuple[int, float, int]]) -> None:
    """The state stays small however long it runs."""
    history = history_of(made)
    assert history.time_s.min() > made[-1][0] - KEPT_S
    assert (np.diff(history.time_s) > 0).all()


def test_repeated_observation_counts_once() -> None:
    """A retried run replaces what it wrote."""
    history = history_of([(AT_S, 0.9, 4), (AT_S, 0.1, 0)])
    instability, bucket = history.worst(AT_S, 30)
    assert (instability.tolist(), bucket.tolist()) == ([0.1], [0])


def test_history_stays_with_its_pool_if_the_list_of_pools_changes() -> None:
    """A pool keeps its past in another row, and a new one has none."""
    history = history_of([(AT_S - 300, 0.9, 4)])
    history = history.with_observation(
        (B, A), AT_S, np.array([0.2, 0.1]), np.array([0, 1], np.int8)
    )
    instability, bucket = history.worst(AT_S, 30)
    assert instability.tolist() == [0.2, 0.9]
    assert bucket.tolist() == [0, 4]


@given(observations)
def test_stored_history_round_trips(made: list[tuple[int, float, int]]) -> None:
    """All observations survive."""
    stored = history_of(made).to_bytes()
    assert SafetyHistory.from_bytes(stored).to_bytes() == stored


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an npz archive"),
        (b"PK\x03\x04 and then nothing", "not an npz archive"),
        (pack_columns("safety-history", 9, {}), "allowed is 'safety-history/1'"),
        (pack_columns("market-snapshot", 1, {}), "stored form is 'market-snapshot/1'"),
        (pack_columns("safety-history", 1, {"types": np.array(["m5.large"])}), "are missing"),
    ],
)
def test_unreadable_history_is_refused_with_the_reason(data: bytes, words: str) -> None:
    """It is damaged, of an unknown version, of another kind, or incomplete."""
    with pytest.raises(DamagedState, match=words):
        SafetyHistory.from_bytes(data)


def test_history_with_a_wrong_shape_is_refused() -> None:
    """The columns must match the pools and times."""
    crooked = SafetyHistory((A,), np.array([1, 2]), np.zeros((1, 1)), np.zeros((2, 1), np.int8))
    with pytest.raises(DamagedState, match=r"instability has shape \(1, 1\), not \(2, 1\)"):
        SafetyHistory.from_bytes(crooked.to_bytes())


def snapshot_at(
    at_s: int,
    instability: float,
    previous: SafetyHistory,
    advisor: Mapping[str, int] | None = None,
    rows: Iterable[PriceRow] = ((A, START_S, 0.1),),
) -> tuple[MarketSnapshot, SafetyHistory]:
    """A snapshot of these rows with the given instability for every pool."""
    changes = merged(list(rows))
    now = datetime.fromtimestamp(at_s, UTC)
    return build_snapshot(
        changes,
        as_of=now,
        now=now,
        advisor_buckets=advisor or {},
        forecaster=LastPrice(),
        instability=np.full(len(changes.pools), instability),
        degraded="",
        previous=previous,
        confirm_safe_minutes=30,
    )


def test_pool_that_was_unsafe_twenty_minutes_ago_is_not_confirmed_yet() -> None:
    """The snapshot has the worst values of the confirmation time, from one call to the next."""
    first, history = snapshot_at(AT_S, 0.9, SafetyHistory(), {"c5.large": 4})
    assert first.instability_worst_recent.tolist() == [0.9]
    second, history = snapshot_at(AT_S + 20 * MINUTE_S, 0.2, history, {"c5.large": 1})
    assert second.instability.tolist() == [0.2]
    assert second.instability_worst_recent.tolist() == [0.9]
    assert second.advisor_bucket_worst_recent.tolist() == [4]
    third, _ = snapshot_at(AT_S + 51 * MINUTE_S, 0.2, history, {"c5.large": 1})
    assert third.instability_worst_recent.tolist() == [0.2]
    assert third.advisor_bucket_worst_recent.tolist() == [1]


def test_snapshot_has_the_length_of_each_pools_history() -> None:
    """A pool younger than the confirmation time cannot be confirmed."""
    rows = ((A, AT_S - 600, 0.1), (B, AT_S - 60, 0.3))
    snapshot, _ = snapshot_at(AT_S, 0.2, SafetyHistory(), rows=rows)
    assert snapshot.pools == (A, B)
    assert snapshot.history_s.tolist() == [600.0, 60.0]
    assert snapshot.price.tolist() == [0.1, 0.3]
    assert snapshot.advisor_bucket.tolist() == [-1, -1]


@pytest.mark.parametrize("instability", [np.nan, -0.1, 1.1])
def test_instability_outside_0_to_1_is_refused(instability: float) -> None:
    """An invalid prediction must not count as safe; the message names pool and value."""
    with pytest.raises(ValueError, match=r"instability of c5\.large/us-east-1b = .* allowed are 0"):
        snapshot_at(AT_S, instability, SafetyHistory())


def test_instability_of_a_wrong_length_is_refused() -> None:
    """Misaligned rows would give every pool its neighbor's risk."""
    changes = merged([(A, START_S, 0.1), (B, START_S, 0.1)])
    with pytest.raises(ValueError, match=r"shape \(1,\), allowed is \(2,\)"):
        build_snapshot(
            changes,
            as_of=datetime.fromtimestamp(AT_S, UTC),
            now=datetime.fromtimestamp(AT_S, UTC),
            advisor_buckets={},
            forecaster=LastPrice(),
            instability=unknown_instability(merged([(C, START_S, 0.1)])),
            degraded="",
            previous=SafetyHistory(),
            confirm_safe_minutes=30,
        )


def test_stored_snapshot_round_trips() -> None:
    """``decide`` reads what ``refresh_market`` wrote, to the last bit."""
    snapshot, _ = snapshot_at(AT_S, 0.2, SafetyHistory(), {"c5.large": 3})
    stored = snapshot_to_bytes(snapshot)
    read = snapshot_from_bytes(stored)
    assert snapshot_to_bytes(read) == stored
    assert (read.as_of, read.forecaster, read.pools) == (
        snapshot.as_of,
        "last-price",
        snapshot.pools,
    )
    assert read.advisor_bucket.tolist() == [3]


def test_damaged_snapshot_is_refused_with_the_reason() -> None:
    """A cycle that cannot read the market must report it, not crash."""
    snapshot, _ = snapshot_at(AT_S, 0.2, SafetyHistory())
    with pytest.raises(DamagedState, match="market-snapshot"):
        snapshot_from_bytes(snapshot_to_bytes(snapshot)[:-30])
