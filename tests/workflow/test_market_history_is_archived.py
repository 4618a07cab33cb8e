"""The last 90 days are collected in slices and stored by month, even if runs are interrupted."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import boto3
import numpy as np

from simulator.account.account import FunctionFailed
from simulator.call_log import Fault
from simulator.deployed import START, ZONES
from simulator.stage import Stage, open_stage
from spot_optimizer.market.price_months import Month
from tests.workflow.market_stage import FITTING, adopt, ask, book_of, moving_market, punch


def archive(stage: Stage) -> Mapping[str, bytes]:
    """Objects of the archive of reported prices."""
    return stage.objects("history/reported/")


def test_archive_grows_by_one_slice_per_run_until_it_is_complete() -> None:
    """Ninety days in slices, each stored at once; then nothing more is requested."""
    with open_stage(market=moving_market(95)) as stage:
        adopt(stage)
        stage.refresh()
        status = ask(stage, "status")
        assert (status["covered_fraction"], status["types"]) == (0.0, len(FITTING))
        fractions, slices = [], 0
        while ask(stage, "status")["slices_left"]:
            tick = ask(stage, "gaps")["history"]
            assert tick["slices_done"] == 1
            fractions.append(tick["covered_fraction"])
            slices += 1
        assert fractions == sorted(set(fractions))
        assert fractions[-1] == 1.0
        assert slices <= 16
        assert sorted(archive(stage)) == [
            f"history/reported/{month}.npz" for month in ("2025-12", "2026-01", "2026-02")
        ]
        for key in archive(stage):
            year, month = key.removesuffix(".npz").rpartition("/")[2].split("-")
            begin, end = Month(int(year), int(month)).span
            covered = book_of(stage, key).coverage
            assert covered == covered.clip((begin, end))
        stage.api.clear()
        assert ask(stage, "fill")["slices_done"] == 0
        assert not stage.calls_of("DescribeSpotPriceHistory")
        january = book_of(stage, "history/reported/2026-01.npz").changes
        assert np.isfinite(january.grid(1_767_225_600, 1_769_904_000)).all()
        assert len(january.price) > 31 * 5 * len(january.pools)


def test_killed_back_fill_continues_and_ends_with_the_same_archive() -> None:
    """Calls and writes that fail between and within slices cost one slice each and change nothing."""
    with open_stage(market=moving_market(60)) as stage:
        adopt(stage)
        stage.refresh()
        while ask(stage, "fill")["slices_left"]:
            pass
        whole = archive(stage)
    with open_stage(market=moving_market(60)) as stage:
        adopt(stage)
        stage.refresh()

        def in_archive(params: Mapping[str, Any]) -> bool:
            return str(params["Key"]).startswith("history/")

        stage.faults += [
            Fault("PutObject", "InternalError", "RefreshMarket", times=2, when=in_archive),
            Fault("DescribeSpotPriceHistory", "RequestLimitExceeded", "RefreshMarket", times=1),
        ]
        broken_off = 0
        for _ in range(40):
            try:
                history = ask(stage, "gaps")["history"]
                broken_off += "failed" in history
                if not history["slices_left"]:
                    break
            except FunctionFailed:
                broken_off += 1
        assert broken_off == 3
        assert archive(stage) == whole


def test_days_that_leave_the_recent_prices_are_archived_without_requests() -> None:
    """A week later the archive has what the recent prices have dropped."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        while ask(stage, "fill")["slices_left"]:
            pass
        events = boto3.client("events")
        for rule in events.list_rules()["Rules"]:
            events.disable_rule(Name=rule["Name"])
        stage.account.run_for(timedelta(days=2))
        stage.refresh()
        stage.api.clear()
        answer = ask(stage, "gaps")["history"]
        assert answer["covered_fraction"] == 1.0
        assert answer["days_taken_over"] == 2 * len(FITTING)
        assert not stage.calls_of("DescribeSpotPriceHistory")


def test_analysis_separates_what_aws_can_still_return_from_gaps() -> None:
    """It names the spans that a back-fill will collect, and gaps by kind."""
    with open_stage(market=moving_market(20)) as stage:
        adopt(stage)
        stage.refresh()
        punch(stage, START - timedelta(hours=6), 5)
        stage.api.clear()
        answer = ask(stage, "analyse")
        pools = len(FITTING) * len(ZONES)
        assert answer["gaps"] == {"medium": {"gaps": pools, "buckets": 5 * pools}}
        assert {part["types"] for part in answer["aws_can_tell"]} == {len(FITTING)}
        assert len(answer["aws_can_tell"]) == 1 + 11
        assert not stage.calls_of("DescribeSpotPriceHistory", "PutObject")
