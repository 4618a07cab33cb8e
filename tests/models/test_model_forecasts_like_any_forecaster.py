"""A model obeys the forecaster Protocol: ordered quantiles in whole ticks, from past prices only."""

from collections.abc import Iterable

import numpy as np
import pytest

from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool
from tests.models.conftest import Trained
from tests.models.small_markets import DAY_S, HOUR_S, START_S, small_market

AT_S = START_S + 15 * DAY_S + 1_234
YOUNG = Pool("m5.large", "us-east-1f")
ROWS = [*small_market(17, seed=9), (YOUNG, AT_S + HOUR_S, 0.1)]


def series(rows: Iterable[PriceRow]) -> PriceChanges:
    return PriceChanges().merge(rows, {})[0]


@pytest.fixture(scope="module")
def changes() -> PriceChanges:
    return series(ROWS)


@pytest.fixture
def forecaster(trained: Trained) -> ModelForecaster:
    return ModelForecaster(trained.model, trained.model.calibration, {"m5.large": 0.096})


@pytest.mark.parametrize("hours", HORIZONS_H)
def test_quantiles_are_ordered_ticks_around_the_last_price(
    forecaster: ModelForecaster, changes: PriceChanges, hours: int
) -> None:
    """p05 <= last <= p95, p50 between, in steps of 0.0001 USD; the new pool is unknown."""
    forecast = forecaster.forecast(changes, AT_S, hours * HOUR_S)
    last = changes.price_at(AT_S)
    known = np.isfinite(last)
    assert known.sum() == len(changes.pools) - 1
    for column in (forecast.p05, forecast.p50, forecast.p95, forecast.mean):
        assert np.isnan(column[changes.pools.index(YOUNG)])
        assert np.isfinite(column[known]).all()
    for column in (forecast.p05, forecast.p50, forecast.p95):
        np.testing.assert_array_equal(column[known], np.round(column[known], 4))
    assert (forecast.p05[known] <= forecast.p50[known]).all()
    assert (forecast.p50[known] <= forecast.p95[known]).all()
    assert (forecast.p05[known] <= last[known]).all()
    assert (last[known] <= forecast.p95[known]).all()
    assert (forecast.p05[known] > 0).all()


def test_volatile_pool_has_a_wider_band_than_one_that_never_moves(
    forecaster: ModelForecaster, changes: PriceChanges
) -> None:
    """The first pool of the market never changed."""
    forecast = forecaster.forecast(changes, AT_S, 24 * HOUR_S)
    width = forecast.p95 - forecast.p05
    known = np.isfinite(width)
    still = changes.pools.index(ROWS[0][0])
    assert width[still] <= 0.0001
    assert np.median(width[known]) >= 0.0004


def test_forecast_and_instability_do_not_depend_on_later_prices(
    forecaster: ModelForecaster, changes: PriceChanges
) -> None:
    """Later rows do not change a bit."""
    known = series([row for row in ROWS if row[1] <= AT_S])
    there = [changes.pools.index(pool) for pool in known.pools]
    for hours in HORIZONS_H:
        one, other = (forecaster.forecast(c, AT_S, hours * HOUR_S) for c in (changes, known))
        for name in ("p05", "p50", "p95", "mean"):
            np.testing.assert_array_equal(getattr(one, name)[there], getattr(other, name))
    np.testing.assert_array_equal(
        forecaster.instability(changes, AT_S)[there], forecaster.instability(known, AT_S)
    )


def test_instability_is_a_probability_and_one_half_without_a_price(
    forecaster: ModelForecaster, changes: PriceChanges
) -> None:
    """A pool without a price has instability 0.5."""
    instability = forecaster.instability(changes, AT_S)
    assert ((instability >= 0) & (instability <= 1)).all()
    assert instability[changes.pools.index(YOUNG)] == 0.5


def test_untrained_horizon_is_refused(forecaster: ModelForecaster, changes: PriceChanges) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(ValueError, match=r"horizon_s = 7200, allowed are 3600, 21600"):
        forecaster.forecast(changes, AT_S, 2 * HOUR_S)


def test_empty_market_has_an_empty_forecast(forecaster: ModelForecaster) -> None:
    """No pools are not an error."""
    assert forecaster.forecast(PriceChanges(), AT_S, HOUR_S).mean.shape == (0,)
    assert forecaster.instability(PriceChanges(), AT_S).shape == (0,)
