"""Stored market data is read back completely or refused as damaged; edge cases of files, months and
gaps."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_columns,
)
from spot_optimizer.market.advisor_copy import AdvisorCopy
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.compatibility import types_to_collect
from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.filling import fill_gap
from spot_optimizer.market.price_book import PriceBook, contents_from_bytes
from spot_optimizer.market.price_months import months_in
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.market.snapshot_file import snapshot_from_bytes, snapshot_to_bytes
from spot_optimizer.vocabulary import Pool
from tests.decision.worlds import CATALOG, instance_type, market

POOL = Pool("m5.large", "us-east-1a")
SNAPSHOT = market({POOL: 0.03, Pool("m5.large", "us-east-1b"): 0.04})


def test_snapshot_round_trips() -> None:
    """Every column, text and time."""
    again = snapshot_from_bytes(snapshot_to_bytes(SNAPSHOT))
    assert (again.pools, again.as_of, again.forecaster) == (
        SNAPSHOT.pools,
        SNAPSHOT.as_of,
        SNAPSHOT.forecaster,
    )
    np.testing.assert_array_equal(again.forecast_p95, SNAPSHOT.forecast_p95)


def test_snapshot_has_the_columns_that_version_0_1_0_requires() -> None:
    """Version 0.1.0 refuses a snapshot without ``volatility_24h``; the column says unknown."""
    columns = (*vars(SNAPSHOT), "types", "zones", "volatility_24h")
    names = tuple(name for name in columns if name not in ("pools", "_rows"))
    stored = unpack_columns(snapshot_to_bytes(SNAPSHOT), "market-snapshot", 1, names)
    assert np.isnan(stored["volatility_24h"]).tolist() == [True, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price": np.array([0.03])}, "price has shape"),
        ({"pools": (POOL,)}, "has shape"),
    ],
)
def test_snapshot_with_columns_of_different_lengths_is_damaged(
    changes: dict[str, Any], message: str
) -> None:
    """Otherwise prices would be assigned to the wrong pools."""
    with pytest.raises(DamagedState, match=message):
        snapshot_from_bytes(snapshot_to_bytes(replace(SNAPSHOT, **changes)))


def test_snapshot_without_a_time_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its age decides whether decisions may use it."""

    def without_a_time(*arguments: Any) -> dict[str, npt.NDArray[Any]]:
        return {**unpack_columns(*arguments), "as_of": np.array("noon")}

    monkeypatch.setattr("spot_optimizer.market.snapshot_file.unpack_columns", without_a_time)
    with pytest.raises(DamagedState, match="as_of = 'noon' is not a time"):
        snapshot_from_bytes(snapshot_to_bytes(SNAPSHOT))


@pytest.mark.parametrize("body", [{}, {"buckets": {}, "checked_at": "noon"}])
def test_advisor_copy_that_lacks_a_field_is_damaged(body: dict[str, Any]) -> None:
    """Fields and times."""
    with pytest.raises(DamagedState, match="a field is missing or not a time"):
        AdvisorCopy.from_bytes(pack_json("spot-advisor", 1, body))


def test_advisor_copy_round_trips() -> None:
    """Byte for byte the same."""
    copy = AdvisorCopy({"m5.large": 2}, datetime(2026, 3, 2, tzinfo=UTC), "etag", "yesterday")
    assert AdvisorCopy.from_bytes(copy.to_bytes()) == copy


class _Torn(Coverage):
    """Coverage whose columns refer to missing spans."""

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        columns = super().to_columns()
        return {**columns, "covered_group": columns["covered_group"] + 7}


@pytest.mark.parametrize("read", [PriceBook.from_bytes, contents_from_bytes])
def test_book_whose_coverage_refers_to_missing_spans_is_damaged(
    read: Callable[[bytes], object],
) -> None:
    """Otherwise prices that were never collected would count as collected."""
    whole = Coverage().with_span([str(POOL)], (0, 600))
    torn = PriceBook().received([(POOL, 0, 0.03)], whole, {}, {})[0]
    torn = replace(torn, coverage=_Torn(whole.spans))
    with pytest.raises(DamagedState, match="has no spans"):
        read(torn.to_bytes())


def test_series_with_columns_of_different_lengths_is_damaged() -> None:
    """Every price needs a time."""
    series = PriceChanges().merge([(POOL, 0, 0.03)], {})[0]
    with pytest.raises(DamagedState, match="columns differ in length"):
        PriceChanges.from_columns({**series.to_columns(), "price": np.empty(0)})


def test_series_without_restatements_has_no_restated_rows() -> None:
    """-1 at every moment."""
    series = PriceChanges().merge([(POOL, 0, 0.03)], {})[0]
    assert series.restated_rows_at(np.array([0, 600])).tolist() == [[-1, -1]]


def test_empty_span_overlaps_no_month() -> None:
    """Nor does a span that ends before it starts."""
    assert months_in((5, 5)) == []
    assert months_in((5, 4)) == []


def test_blackout_is_not_filled() -> None:
    """No method is trusted beyond four hours."""
    filled = fill_gap(np.full((1, 60), 0.03), np.array([0]), 5, 49, [0])
    assert filled.shape == (1, 49)
    assert np.isnan(filled).all()


def test_home_types_missing_in_the_catalog_add_no_types() -> None:
    """Nor do those without an on-demand price."""
    assert types_to_collect(CATALOG, ["z9.large"]) == frozenset()
    assert "m5a.large" in types_to_collect(CATALOG, ["z9.large", "m5.large"])


def test_next_size_up_is_never_bare_metal() -> None:
    """Bare metal would not boot the image."""
    metal = instance_type("m5.metal", 6, 24, bare_metal=True)
    catalog = Catalog({**CATALOG.types, "m5.metal": metal}, CATALOG.on_demand_usd_per_hour, {})
    larger = catalog.next_size_up("m5.xlarge")
    assert larger is not None
    assert larger.name == "m5.2xlarge"
