"""Neither forecast nor snapshot uses prices after their moment."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.forecast.forecaster import Forecast, unknown_instability
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.safety_history import SafetyHistory
from spot_optimizer.forecast.snapshot_builder import build_snapshot
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.snapshot_file import snapshot_to_bytes
from tests.market.price_strategies import POOLS, START_S, merged, rows_within

DAY_S = 86_400
AT_S = START_S + 2 * DAY_S
NOW = datetime.fromtimestamp(AT_S, UTC)
OPENING = [(pool, START_S, 0.2) for pool in POOLS]

histories = rows_within(4 * DAY_S).map(lambda rows: [r for r in rows if r[1] > START_S])
horizons = st.sampled_from([3_600, 6 * 3_600, 24 * 3_600])


def until_now(rows: list[PriceRow]) -> list[PriceRow]:
    """The rows that were known at AT_S."""
    return [row for row in rows if row[1] <= AT_S]


def columns(forecast: Forecast) -> npt.NDArray[np.float64]:
    """A forecast as one array, to compare."""
    return np.array([forecast.p05, forecast.p50, forecast.p95, forecast.mean])


@given(histories, horizons)
def test_forecast_does_not_depend_on_later_prices(rows: list[PriceRow], horizon_s: int) -> None:
    """Later changes do not move a quantile by a single bit."""
    known, all_of_it = merged(OPENING, until_now(rows)), merged(OPENING, rows)
    np.testing.assert_array_equal(
        columns(LastPrice().forecast(all_of_it, AT_S, horizon_s)),
        columns(LastPrice().forecast(known, AT_S, horizon_s)),
    )


@given(histories)
def test_snapshot_does_not_depend_on_later_prices(rows: list[PriceRow]) -> None:
    """Every column of the snapshot is equal, byte for byte."""
    stored = []
    for known in (until_now(rows), rows):
        changes = merged(OPENING, known)
        snapshot, _ = build_snapshot(
            changes,
            as_of=NOW,
            now=NOW,
            advisor_buckets={"m5.large": 2},
            forecaster=LastPrice(),
            instability=unknown_instability(changes),
            degraded="no model",
            previous=SafetyHistory(),
            confirm_safe_minutes=30,
        )
        stored.append(snapshot_to_bytes(snapshot))
    assert stored[0] == stored[1]
