"""refresh_market requests only new prices, keeps what it received, and survives a bad advisor file."""

import json
from datetime import timedelta

import numpy as np
import pytest

from simulator.account.account import FunctionFailed
from simulator.deployed import START, ZONES
from simulator.market.history import Pool, PriceHistory
from simulator.stage import TYPES, Stage, open_stage
from simulator.world.advisor import SpotAdvisor

POOLS = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
FITTING = len(ZONES) * sum(not instance_type.startswith("m6g") for instance_type in TYPES)
"""Pools that m5.large fits: all but those of the other architecture."""


def _moving_market() -> PriceHistory:
    """Every pool changes every six hours; one of them also ten minutes after the start."""
    first = int((START - timedelta(days=9)).timestamp())
    times = np.arange(first, first + 12 * 86_400, 6 * 3600) + 3 * 3600
    index = np.repeat(np.arange(len(POOLS)), len(times))
    prices = np.tile(0.03 + 0.0001 * (np.arange(len(times)) % 5), len(POOLS))
    late = int(START.timestamp()) + 600
    return PriceHistory.from_rows(
        POOLS,
        np.append(index, 0),
        np.append(np.tile(times, len(POOLS)), late),
        np.append(prices, 0.0321),
    )


def test_second_collection_adds_only_what_changed() -> None:
    """The first collects the history of every pool, the next one row per pool and the one change."""
    with open_stage(market=_moving_market()) as stage:
        stage.launch()
        stage.account.invoke("Decide", {"trigger": "schedule"})
        first = stage.refresh()
        assert first["pools"] == FITTING
        assert first["changes"] == first["received"] > 30 * FITTING
        stage.account.run_for(timedelta(minutes=20))
        second = stage.refresh()
        assert second["changes"] == 1
        assert second["received"] <= 2 * FITTING + 1
        starts = [c.params["StartTime"] for c in stage.calls_of("DescribeSpotPriceHistory")]
        assert stage.account.clock.now() - starts[-1] == timedelta(minutes=35)
        assert stage.refresh()["changes"] == 0


def test_new_type_gets_its_whole_history() -> None:
    """When a workload of another architecture is adopted, its pools are collected for eight days
    back."""
    with open_stage(market=_moving_market()) as stage:
        stage.launch("arm", instance_type="m6g.large")
        stage.account.invoke("Decide", {"trigger": "schedule"})
        assert stage.refresh()["pools"] == len(POOLS) - FITTING
        stage.launch()
        stage.account.run_for(timedelta(minutes=20))
        stage.account.invoke("Decide", {"trigger": "schedule"})
        stage.api.clear()
        assert stage.refresh()["pools"] == len(POOLS)
        asked = {
            tuple(c.params["InstanceTypes"]): stage.account.clock.now() - c.params["StartTime"]
            for c in stage.calls_of("DescribeSpotPriceHistory")
        }
        assert sorted(asked.values()) == [timedelta(minutes=35), timedelta(days=8)]


def test_requests_are_filtered_by_product_and_type(stage: Stage) -> None:
    """Only Linux prices of types that fit a workload are requested; without workloads none."""
    stage.refresh()
    assert not stage.calls_of("DescribeSpotPriceHistory")
    stage.launch()
    stage.adopt()
    for call in stage.calls_of("DescribeSpotPriceHistory"):
        assert call.params["ProductDescriptions"] == ["Linux/UNIX"]
        assert set(call.params["InstanceTypes"]) == set(TYPES) - {"m6g.large"}


def test_received_rows_are_stored_unaltered(stage: Stage) -> None:
    """The receipt has the rows as AWS sent them, one JSON line each."""
    stage.launch()
    stage.account.invoke("Decide", {"trigger": "schedule"})
    received = stage.refresh()["received"]
    ((key, body),) = stage.objects("receipts/").items()
    rows = [json.loads(line) for line in body.decode().splitlines()]
    assert key.startswith("receipts/dt=2026-03-02/")
    assert len(rows) == received == FITTING
    assert {row["SpotPrice"] for row in rows} == {"0.030000"}


def test_two_receipts_of_one_day_are_both_kept(stage: Stage) -> None:
    """A later receipt does not replace an earlier one."""
    stage.launch()
    stage.adopt()
    stage.account.run_for(timedelta(minutes=5))
    stage.refresh()
    assert len(stage.objects("receipts/")) == 2


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"{}"])
def test_bad_advisor_file_leaves_the_last_copy(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """The catalog is read all the same, and the copy stays as it was."""
    before = stage.object("market/advisor.json.gz")
    monkeypatch.setattr(SpotAdvisor, "document", lambda _self: body)
    counts = stage.account.invoke("RefreshMarket", {"task": "reference"})
    assert counts["advisor"].startswith("not read")
    assert counts["types"] > 1000
    assert stage.object("market/advisor.json.gz") == before


def test_failed_collection_is_repeated_by_the_next_run(stage: Stage) -> None:
    """Prices of the time in which AWS refused are requested again."""
    stage.launch()
    stage.adopt()
    collected_at = stage.account.clock.now()
    stage.account.run_for(timedelta(minutes=40))
    stage.refresh()
    newest = stage.calls_of("DescribeSpotPriceHistory")[-1]
    assert newest.params["StartTime"] <= collected_at


@pytest.mark.parametrize("request_", [{"task": "tea"}, {}, {"task": "prices", "region": "x"}])
def test_unknown_tasks_are_refused(stage: Stage, request_: dict[str, str]) -> None:
    """The error names the field and what is allowed."""
    with pytest.raises(FunctionFailed, match=r"InvalidRequest.*(task|region)"):
        stage.account.invoke("RefreshMarket", request_)
