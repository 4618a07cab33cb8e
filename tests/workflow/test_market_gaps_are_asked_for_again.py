"""Whatever AWS can still tell is asked for again; until it answers, a view says what stands in."""

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pytest

from simulator.account.account import FunctionFailed
from simulator.market.history import Pool, PriceHistory
from simulator.world import spot_prices as spot_price_world
from spot_optimizer.market import collection_plan
from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from spot_optimizer.services import market_collection
from spot_optimizer.words import Pool as SpotPool
from tests.workflow.faults import Fault
from tests.workflow.stage import HOME, START, TYPES, ZONES, Stage, open_stage

POOLS = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
FITTING = {name for name in TYPES if not name.startswith("m6g")}
DAY_S = 86_400


def moving_market(days: int) -> PriceHistory:
    """Every pool's price changes every four hours, for so many days before the start."""
    first = int((START - timedelta(days=days)).timestamp())
    times = np.arange(first, int(START.timestamp()) + 3 * DAY_S, 4 * 3600) + 1_800
    index = np.repeat(np.arange(len(POOLS)), len(times))
    cents = 3 + (np.arange(len(index)) * 7 % 11) / 100
    return PriceHistory.from_rows(POOLS, index, np.tile(times, len(POOLS)), cents / 100)


def book_of(stage: Stage, key: str = "market/prices.npz") -> PriceBook:
    """A price book of the bucket."""
    return PriceBook.from_bytes(stage.object(key))


def put(stage: Stage, key: str, body: bytes) -> None:
    """Put an object into the bucket."""
    boto3.client("s3").put_object(Bucket=stage.bucket, Key=key, Body=body)


def ask(stage: Stage, task: str, **details: Any) -> dict[str, Any]:
    """One task of refresh_market."""
    answer: dict[str, Any] = stage.account.invoke("RefreshMarket", {"task": task, **details})
    return answer


def adopt(stage: Stage) -> None:
    """One workload, so that the types that fit it matter."""
    stage.launch()
    stage.account.invoke("Decide", {"trigger": "schedule"})


def punch(stage: Stage, start: datetime, buckets: int) -> None:
    """Forget what was collected of all types in so many buckets."""
    book = book_of(stage)
    hole = (int(start.timestamp()), int(start.timestamp()) + 300 * buckets)
    lo, hi = (0, hole[0]), (hole[1], 2**40)
    coverage = book.coverage.clip(lo).union(book.coverage.clip(hi))
    rows = [
        (book.changes.pools[pool], time_s, price)
        for pool, time_s, price in zip(
            book.changes.pool_index.tolist(),
            book.changes.time_s.tolist(),
            book.changes.price.tolist(),
            strict=True,
        )
        if not hole[0] <= time_s < hole[1]
    ]
    emptied, _ = PriceBook().received(rows, coverage, book.zone_ids, {})
    put(stage, "market/prices.npz", emptied.to_bytes())


def prices_every_five_minutes(stage: Stage, hours: int) -> np.ndarray[Any, Any]:
    """What the book at hand says of the last hours."""
    end_s = int(stage.account.clock.now().timestamp())
    return book_of(stage).changes.grid(end_s - hours * 3600, end_s)


def test_an_outage_of_three_hours_leaves_no_trace_once_aws_answers() -> None:
    """Failed runs say so, and the first that succeeds brings every change of the outage."""
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
        np.testing.assert_allclose(healed, expected)
        assert {len(spans) for spans in book.coverage.spans.values()} == {1}
        assert ask(stage, "gaps")["gaps"] == {}
        now = stage.account.clock.now()
        assert snapshot_from_bytes(stage.object("market/snapshot.npz")).as_of == now


@pytest.mark.parametrize(
    ("buckets", "kind", "filled"),
    [(2, "short", "linear"), (6, "medium", "inverse_distance"), (20, "long", "none")],
)
def test_a_gap_is_asked_for_again_before_anything_stands_in(
    buckets: int, kind: str, filled: str
) -> None:
    """While AWS refuses, the view is filled by the table; when it answers, nothing is filled."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        whole = prices_every_five_minutes(stage, 24)
        punch(stage, START - timedelta(hours=6), buckets)
        stage.faults.append(
            Fault("DescribeSpotPriceHistory", "RequestLimitExceeded", "RefreshMarket")
        )
        with pytest.raises(FunctionFailed, match="RequestLimitExceeded"):
            ask(stage, "gaps")
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
        pools = len(FITTING) * len(ZONES)
        assert healed["gaps"] == {kind: {"gaps": pools, "buckets": pools * buckets}}
        assert "remaining" not in healed
        np.testing.assert_array_equal(prices_every_five_minutes(stage, 24), whole)
        assert ask(stage, "gaps")["gaps"] == {}


def test_a_type_that_aws_refuses_is_left_out_and_stops_no_other() -> None:
    """One bad type does not break its batch: the others are collected and trusted without it."""
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


def test_a_type_whose_prices_grow_old_is_no_longer_decided_upon() -> None:
    """The oldest of what is trusted dates the snapshot, and what is too old is left out of it."""
    with open_stage(market=moving_market(9)) as stage:
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


def test_a_first_collection_is_taken_up_where_it_broke_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an invocation has no time for is left to the next, which asks for that alone."""
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


def test_empty_pages_and_empty_tokens_end_nothing_and_lose_nothing(
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


def test_damaged_state_is_made_anew() -> None:
    """What cannot be read counts as never collected or seen, and AWS tells it all again."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        before = {key: stage.object(key) for key in ("market/prices.npz", "market/safety.npz")}
        for key, body in before.items():
            put(stage, key, body[:200])
        stage.refresh()
        assert {key: stage.object(key) for key in before} == before


def test_the_ids_of_zones_are_kept_with_the_prices() -> None:
    """Names differ between accounts; the id says which zone it was."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        zones = boto3.client("ec2").describe_availability_zones()["AvailabilityZones"]
        ids = {zone["ZoneName"]: zone["ZoneId"] for zone in zones}
        assert book_of(stage).zone_ids == {name: ids[name] for name in ZONES}


# --- the archive ------------------------------------------------------------------------------------


def archive(stage: Stage) -> Mapping[str, bytes]:
    """Objects of the archive of what AWS reported."""
    return stage.objects("history/reported/")


def test_the_archive_grows_by_a_slice_a_tick_until_it_is_whole() -> None:
    """Ninety days in slices, each stored when it is there; then nothing more is asked."""
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
        stage.api.clear()
        assert ask(stage, "fill")["slices_done"] == 0
        assert not stage.calls_of("DescribeSpotPriceHistory")
        january = book_of(stage, "history/reported/2026-01.npz").changes
        assert np.isfinite(january.grid(1_767_225_600, 1_769_904_000)).all()
        assert len(january.price) > 31 * 5 * len(january.pools)


def test_a_back_fill_that_is_killed_goes_on_and_ends_as_if_it_had_not_been() -> None:
    """Calls and writes that fail between and within slices cost a slice each, and change nothing."""
    with open_stage(market=moving_market(60)) as stage:
        adopt(stage)
        stage.refresh()
        while ask(stage, "fill")["slices_left"]:
            pass
        whole = archive(stage)
    with open_stage(market=moving_market(60)) as stage:
        adopt(stage)
        stage.refresh()
        in_archive = {"when": lambda params: params["Key"].startswith("history/")}
        stage.faults += [
            Fault("PutObject", "InternalError", "RefreshMarket", times=2, **in_archive),
            Fault("DescribeSpotPriceHistory", "RequestLimitExceeded", "RefreshMarket", times=1),
        ]
        failures = 0
        for _ in range(40):
            try:
                if not ask(stage, "gaps")["history"]["slices_left"]:
                    break
            except FunctionFailed:
                failures += 1
        assert failures == 3
        assert archive(stage) == whole


def test_two_that_write_one_month_at_once_lose_nothing() -> None:
    """Who finds that the object has changed since it was read takes the newer one and adds to it."""
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        stage.refresh()
        key, span = "history/imported/2026-02.npz", (1_770_000_000, 1_770_003_600)
        mine = PriceBook().received([(SpotPool(HOME, ZONES[0]), span[0], 0.5)], Coverage(), {}, {})[0]

        def somebody_else_writes() -> None:
            del stage.before_call["PutObject"]
            put(stage, key, mine.to_bytes())

        rows = [(datetime.fromtimestamp(at, UTC), HOME, ZONES[1], 0.4) for at in span]
        put(stage, "import/theirs.csv.gz", csv_of(*rows))
        stage.before_call["PutObject"] = somebody_else_writes
        ask(stage, "import", key="import/theirs.csv.gz", rows_are="changes")
        assert [p.availability_zone for p in book_of(stage, key).changes.pools] == list(ZONES[:2])


def test_days_that_leave_the_prices_at_hand_are_archived_without_asking_aws() -> None:
    """A week later the archive holds what the book at hand has dropped."""
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


def test_what_aws_can_still_tell_and_what_it_cannot_is_told_apart() -> None:
    """Analyse names the spans that a back-fill will bring, and gaps by kind."""
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


# --- imports ----------------------------------------------------------------------------------------


def csv_of(*rows: tuple[datetime, str, str, object]) -> bytes:
    """A file of prices, gzipped."""
    lines = ["Timestamp,InstanceType,AvailabilityZone,SpotPrice"]
    lines += [f"{at.isoformat()},{name},{zone},{price}" for at, name, zone, price in rows]
    return gzip.compress("\n".join(lines).encode())


def test_an_imported_file_is_believed_less_than_aws_and_never_replaces_it(stage: Stage) -> None:
    """Confidence 0.95 where only the file tells, 1.00 where AWS told; the same again is no change."""
    adopt(stage)
    stage.refresh()
    since = START - timedelta(days=10)
    rows = [(since + timedelta(hours=12 * n), "m5.large", ZONES[0], 0.05) for n in range(20)]
    put(stage, "import/mine.csv.gz", csv_of(*rows, (START, "m5.large", "eu-west-1a", 0.05)))
    answer = ask(stage, "import", key="import/mine.csv.gz", rows_are="changes")
    assert (answer["rows"], answer["pools"], answer["changes"]) == (21, 1, 1)
    assert answer["dropped"] == {"zone is not one of this region": 1}
    stored = stage.objects("history/imported/")
    assert sorted(stored) == ["history/imported/2026-02.npz"] or len(stored) == 2
    shown = {}
    for days in (9, 7):
        at = START - timedelta(days=days)
        span = {"since": at.isoformat(), "until": (at + timedelta(hours=1)).isoformat()}
        grid = ask(stage, "grid", instance_type="m5.large", **span)["pools"]
        shown[days] = {(r["method"], r["confidence"], r["price_usd_per_hour"]) for r in grid[ZONES[0]]}
    assert shown == {9: {("imported", 0.95, 0.05)}, 7: {("reported", 1.0, 0.03)}}
    ask(stage, "import", key="import/mine.csv.gz", rows_are="changes")
    assert stage.objects("history/imported/") == stored
    (record,) = ask(stage, "status")["imports"]
    assert (record["key"], record["rows"]) == ("import/mine.csv.gz", 21)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "no such object"),
        (b"", "holds no rows"),
        (csv_of((START, "m5.large", ZONES[0], -1)), "no row is a price.*zero or negative"),
    ],
)
def test_a_file_without_prices_is_refused_and_changes_nothing(
    stage: Stage, body: bytes | None, said: str
) -> None:
    """The error names the key and what is wrong with it."""
    if body is not None:
        put(stage, "import/mine.csv", body)
    with pytest.raises(FunctionFailed, match=f"InvalidRequest.*import/mine.csv.*{said}"):
        ask(stage, "import", key="import/mine.csv", rows_are="samples")
    assert not stage.objects("history/")


@pytest.mark.parametrize(
    "details",
    [
        {"task": "import", "key": "market/prices.npz", "rows_are": "changes"},
        {"task": "import", "key": "import/x", "rows_are": "guesses"},
        {"task": "grid", "instance_type": "m5.large", "since": "2026-03-01", "until": "2026-03-02"},
        {
            "task": "grid",
            "instance_type": "m5.large",
            "since": "2026-03-01T00:00:00Z",
            "until": "2026-03-03T00:00:00Z",
        },
        {"task": "analyse", "since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
    ],
    ids=["key", "rows_are", "no offset", "more than a day", "backwards"],
)
def test_requests_that_cannot_be_meant_are_refused(stage: Stage, details: dict[str, str]) -> None:
    """Field, value and what is allowed."""
    with pytest.raises(FunctionFailed, match=r"InvalidRequest"):
        stage.account.invoke("RefreshMarket", details)


def test_receipts_of_one_second_do_not_replace_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice leaves its own receipt, and together they hold every row."""
    monkeypatch.setattr(collection_plan, "TYPES_MAX", 1)
    with open_stage(market=moving_market(9)) as stage:
        adopt(stage)
        received = stage.refresh()["received"]
        receipts = stage.objects("receipts/")
        assert len(receipts) == len(FITTING)
        rows = [json.loads(line) for body in receipts.values() for line in body.splitlines()]
        assert len(rows) == received


def test_coverage_is_what_was_asked_and_not_what_was_answered(stage: Stage) -> None:
    """A market that stands still is covered all the same."""
    adopt(stage)
    stage.refresh()
    now_s = int(START.timestamp())
    expected = Coverage().with_span(FITTING, (now_s - 8 * DAY_S, now_s))
    assert book_of(stage).coverage == expected
