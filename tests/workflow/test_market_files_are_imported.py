"""A file of prices is imported as a source of its own with less confidence than AWS, or refused."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from simulator.account.account import FunctionFailed
from simulator.deployed import HOME, START, ZONES
from simulator.stage import Stage
from spot_optimizer.market.coverage import Coverage
from spot_optimizer.market.price_book import PriceBook
from spot_optimizer.services.refresh_market import price_imports
from spot_optimizer.vocabulary import Pool
from tests.workflow.market_stage import adopt, ask, book_of, put


def csv_of(*rows: tuple[datetime, str, str, object]) -> bytes:
    """A file of prices, gzipped."""
    lines = ["Timestamp,InstanceType,AvailabilityZone,SpotPrice"]
    lines += [f"{at.isoformat()},{name},{zone},{price}" for at, name, zone, price in rows]
    return gzip.compress("\n".join(lines).encode())


def test_simultaneous_writers_of_one_month_lose_nothing(stage: Stage) -> None:
    """A writer that finds the object changed since its read merges with the newer one."""
    adopt(stage)
    stage.refresh()
    key, span = "history/imported/2026-02.npz", (1_770_000_000, 1_770_003_600)
    mine = PriceBook().received([(Pool(HOME, ZONES[0]), span[0], 0.5)], Coverage(), {}, {})[0]

    def somebody_else_writes() -> None:
        del stage.before_call["PutObject"]
        put(stage, key, mine.to_bytes())

    rows = [(datetime.fromtimestamp(at, UTC), HOME, ZONES[1], 0.4) for at in span]
    put(stage, "import/theirs.csv.gz", csv_of(*rows))
    stage.before_call["PutObject"] = somebody_else_writes
    ask(stage, "import", key="import/theirs.csv.gz", rows_are="changes")
    assert [p.availability_zone for p in book_of(stage, key).changes.pools] == list(ZONES[:2])


def test_imported_prices_have_less_confidence_and_never_replace_reported_ones(stage: Stage) -> None:
    """Confidence 0.95 if only the file has a price, 1.00 if AWS reported it; importing again
    changes nothing."""
    adopt(stage)
    stage.refresh()
    since = START - timedelta(days=10)
    rows = [(since + timedelta(hours=12 * n), "m5.large", ZONES[0], 0.05) for n in range(20)]
    others = [(START, "m5.large", "eu-west-1a", 0.05), (START, "m5.large", ZONES[0], "cheap")]
    put(stage, "import/mine.csv.gz", csv_of(*rows, *others))
    answer = ask(stage, "import", key="import/mine.csv.gz", rows_are="changes")
    assert (answer["rows"], answer["pools"], answer["changes"]) == (22, 1, 1)
    assert answer["dropped"] == {"zone is not in this region": 1, "not a number": 1}
    assert answer["samples"] == {"not a number": "'cheap'"}
    stored = stage.objects("history/imported/")
    assert sorted(stored) == [f"history/imported/2026-{month}.npz" for month in ("02", "03")]
    shown = {}
    for days in (9, 7):
        at = START - timedelta(days=days)
        span = {"since": at.isoformat(), "until": (at + timedelta(hours=1)).isoformat()}
        grid = ask(stage, "grid", instance_type="m5.large", **span)["pools"]
        shown[days] = {
            (r["method"], r["confidence"], r["price_usd_per_hour"]) for r in grid[ZONES[0]]
        }
    assert shown == {9: {("imported", 0.95, 0.05)}, 7: {("reported", 1.0, 0.03)}}
    ask(stage, "import", key="import/mine.csv.gz", rows_are="changes")
    assert stage.objects("history/imported/") == stored
    (record,) = ask(stage, "status")["imports"]
    assert (record["key"], record["rows"]) == ("import/mine.csv.gz", 22)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "no such object"),
        (b"", "the file is empty"),
        (b"PAR1", "convert it by `spot-optimizer convert FILE.parquet FILE.csv.gz`"),
        (b"x" * 1_001, "the object has 1001 bytes, allowed are 1000: split it"),
        (csv_of((START, "m5.large", ZONES[0], -1)), "no row is usable: 1 zero or negative"),
        (csv_of((START, "m5.large", ZONES[0], 99)), "no row has a usable price.*above 10 x"),
    ],
)
def test_file_without_prices_is_refused_and_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, body: bytes | None, message: str
) -> None:
    """The error names the key and the reason."""
    monkeypatch.setattr(price_imports, "BYTES_MAX", 1_000)
    if body is not None:
        put(stage, "import/mine.csv", body)
    with pytest.raises(FunctionFailed, match=f"InvalidRequest.*import/mine.csv.*{message}"):
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
def test_invalid_requests_are_refused(stage: Stage, details: dict[str, str]) -> None:
    """The error names field, value and what is allowed."""
    with pytest.raises(FunctionFailed, match=r"InvalidRequest"):
        stage.account.invoke("RefreshMarket", details)
