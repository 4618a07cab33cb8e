"""Everything that AWS can still return is requested again; until then views fill the gap."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pytest

from simulator.account.account import FunctionFailed
from simulator.call_log import Fault
from simulator.deployed import START, ZONES
from simulator.market.history import Pool
from simulator.stage import Stage, open_stage
from simulator.world import spot_prices as spot_price_world
from spot_optimizer.market import collection_plan
from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.services.refresh_market import collection as market_collection
from tests.workflow.market_stage import (
    DAY_S,
    FITTING,
    adopt,
    ask,
    book_of,
    moving_market,
    punch,
    put,
)


def prices_every_five_minutes(stage: Stage, hours: int) -> np.ndarray[Any, Any]:
    """The recent prices of the last hours on the 5-minute grid."""
    end_s = int(stage.account.clock.now().timestamp())
    return book_of(stage).changes.grid(end_s - hours * 3600, end_s)


def test_outage_of_three_hours_leaves_no_trace_once_aws_answers() -> None:
    """Failed runs report it, and the first successful one collects every change of the outage."""
    with open_stage(market=moving_market(9), CycleMinutes=20) as stage:
        adopt(stage)
        stage.refresh()
        outage = Fault("DescribeSpotPriceHistory", "RequestLimitExceeded", "RefreshMarket")
        stage.faults.append(outage)
        stage.account.run_for(timedelta(hours=3))
        assert outage.met >= 9
        with pytest.raises(FunctionFailed, match="RequestLimitExceeded"):
            stage.refresh()
        stale = snapshot_from_bytes(stage.object("market/snapshot.npz"))
        assert stale.as_of == START
        stage.faults.clear()
        stage.refresh()
        healed = prices_every_five_minutes(stage, 3)
        book = book_of(stage)
        expected = [
            [
                stage.world._state.prices.price_at(Pool(*pool), datetime.fromtimestamp(at, UTC))
                for at in range(int(START.timestamp()), int(START.timestamp()) + 3 * 3600, 300)
            ]
            for pool in book.changes.pools
        ]
        np.testing.assert_allclose(healed, np.array(expected, dtype=np.float64))
        assert {len(spans) for spans in book.coverage.spans.values()} == {1}
        assert ask(stage, "gaps")["gaps"] == {}
        now = stage.account.clock.now()
        assert snapshot_from_bytes(stage.object("market/snapshot.npz")).as_of == now


@pytest.mark.parametrize(
    ("buckets", "kind", "filled"),
    [(2, "short", "linear"), (6, "medium", "inverse_distance"), (20, "long", "none")],
)
def test_gap_is_requested_again_before_it_is_filled(buckets: int, kind: str, filled: str) -> None:
    """While AWS refuses, views fill the gap; once it answers, nothing is filled."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        whole = prices_every_five_minutes(stage, 24)
        punch(stage, START - timedelta(hours=6), buckets)
        stage.faults.append(
            Fault("DescribeSpotPriceHistory", "RequestLimitExceeded", "RefreshMarket")
        )
        refused = ask(stage, "gaps")
        pools = len(FITTING) * len(ZONES)
        assert "RequestLimitExceeded" in refused["asked_again"]["failed"][0]
        assert refused["remaining"] == {kind: {"gaps": pools, "buckets": pools * buckets}}
        assert refused["filled"] == {filled: pools * buckets}
        shown = ask(
            stage,
            "grid",
            instance_type="m5.large",
            since=(START - timedelta(hours=7)).isoformat(),
            until=(START - timedelta(hours=1)).isoformat(),
        )
        rows = [row for pool in shown["pools"].values() for row in pool]
        stood_in = [row for row in rows if row["method"] != "reported"]
        assert len(stood_in) == (0 if filled == "none" else len(ZONES) * buckets)
        assert {row["method"] for row in stood_in} <= {filled}
        assert shown["empty_buckets"] == (len(ZONES) * buckets if filled == "none" else 0)
        stage.faults.clear()
        healed = ask(stage, "gaps")
        assert healed["gaps"] == {kind: {"gaps": pools, "buckets": pools * buckets}}
        assert "remaining" not in healed
        np.testing.assert_array_equal(prices_every_five_minutes(stage, 24), whole)
        assert ask(stage, "gaps")["gaps"] == {}


def test_type_that_aws_refuses_is_skipped_and_stops_no_other() -> None:
    """One bad type does not break its batch: the others are collected and used."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        bad = Fault(
            "DescribeSpotPriceHistory",
            "InvalidParameterValue",
            "RefreshMarket",
            when=lambda params: "m5a.large" in params["InstanceTypes"],
        )
        stage.faults.append(bad)
        answer = stage.refresh()
        assert len(answer["failed"]) == 1
        assert "m5a.large" in answer["failed"][0]
        trusted = snapshot_from_bytes(stage.object("market/snapshot.npz")).pools
        assert {pool.instance_type for pool in trusted} == FITTING - {"m5a.large"}
        stage.faults.clear()
        assert stage.refresh()["pools"] == len(FITTING) * len(ZONES)


def test_type_with_old_prices_is_no_longer_in_the_snapshot() -> None:
    """The oldest usable prices date the snapshot; types with older ones are excluded."""
    with open_stage(market=moving_market(9), CycleMinutes=29, SnapshotAgeMinutesMax=30) as stage:
        adopt(stage)
        stage.refresh()
        stage.faults.append(
            Fault(
                "DescribeSpotPriceHistory",
                "InvalidParameterValue",
                "RefreshMarket",
                when=lambda params: "m5a.large" in params["InstanceTypes"],
            )
        )
        stage.account.run_for(timedelta(minutes=20))
        stage.refresh()
        snapshot = snapshot_from_bytes(stage.object("market/snapshot.npz"))
        assert (snapshot.as_of, len(snapshot.pools)) == (START, len(FITTING) * len(ZONES))
        stage.account.run_for(timedelta(minutes=20))
        stage.refresh()
        snapshot = snapshot_from_bytes(stage.object("market/snapshot.npz"))
        assert snapshot.as_of == stage.account.clock.now()
        assert {pool.instance_type for pool in snapshot.pools} == FITTING - {"m5a.large"}


def test_interrupted_first_collection_continues_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next run requests only what the first invocation had no time for."""
    monkeypatch.setattr(collection_plan, "TYPES_MAX", 1)
    monkeypatch.setattr(market_collection, "PAGES_MAX", 2)
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        first = stage.refresh()
        assert (first["slices"], first["slices_left"]) == (2, 2)
        stage.api.clear()
        second = stage.refresh()
        assert (second["slices"], "slices_left" in second) == (2, False)
        asked = [c.params["InstanceTypes"][0] for c in stage.calls_of("DescribeSpotPriceHistory")]
        assert len(set(asked)) == 2
        assert second["pools"] == len(FITTING) * len(ZONES)


def test_collection_that_dies_keeps_its_stored_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices are stored on the way: the next run requests only what was not stored."""
    monkeypatch.setattr(collection_plan, "TYPES_MAX", 1)
    monkeypatch.setattr(market_collection, "_SAVE_EVERY_PAGES", 1)
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        third = Fault(
            "PutObject",
            "InternalError",
            "RefreshMarket",
            when=lambda params: params["Key"].endswith("-prices-3.jsonl.gz"),
            times=1,
        )
        busy = Fault("DescribeSpotPriceHistory", "RequestLimitExceeded", "RefreshMarket", times=2)
        stage.faults += [third, busy]
        for _ in range(2):
            with pytest.raises(FunctionFailed, match="RequestLimitExceeded"):
                stage.refresh()
        assert len(stage.calls_of("DescribeSpotPriceHistory")) == 2  # a busy AWS is left alone
        with pytest.raises(FunctionFailed, match="InternalError"):
            stage.refresh()
        answer = stage.refresh()
        assert answer["slices"] == len(FITTING) - 2
        assert answer["pools"] == len(FITTING) * len(ZONES)


def test_empty_pages_and_empty_tokens_lose_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page without rows is not the last; an empty token is."""
    monkeypatch.setattr(spot_price_world, "_PAGE", 40)
    monkeypatch.setattr(spot_price_world, "_EMPTY_PAGE_SHARE", 0.4)
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        answer = stage.refresh()
        calls = stage.calls_of("DescribeSpotPriceHistory")
        assert len(calls) > answer["received"] / 40 + 5
        assert answer["received"] == len(FITTING) * len(ZONES) * (8 * 6 + 1)


def test_damaged_state_is_rebuilt() -> None:
    """Damaged state counts as missing, and AWS returns the prices again."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        before = {key: stage.object(key) for key in ("market/prices.npz", "market/safety.npz")}
        for key, body in before.items():
            put(stage, key, body[:200])
        stage.refresh()
        assert {key: stage.object(key) for key in before} == before


def test_zone_ids_are_stored_with_the_prices() -> None:
    """Names differ between accounts; the id says which zone it was."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        zones = boto3.client("ec2").describe_availability_zones()["AvailabilityZones"]
        ids = {zone["ZoneName"]: zone["ZoneId"] for zone in zones}
        assert book_of(stage).zone_ids == {name: ids[name] for name in ZONES}


def test_receipts_of_one_second_do_not_replace_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice has its own receipt, and together they have every row."""
    monkeypatch.setattr(collection_plan, "TYPES_MAX", 1)
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        received = stage.refresh()["received"]
        receipts = stage.objects("receipts/")
        assert len(receipts) == len(FITTING)
        rows = [json.loads(line) for body in receipts.values() for line in body.splitlines()]
        assert len(rows) == received


def test_coverage_follows_the_request_and_not_the_rows(stage: Stage) -> None:
    """A market without changes is covered all the same."""
    adopt(stage)
    stage.refresh()
    now_s = int(START.timestamp())
    expected = Coverage().with_span(FITTING, (now_s - 8 * DAY_S, now_s))
    assert book_of(stage).coverage == expected
