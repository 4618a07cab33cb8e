"""Files of spot and on-demand prices: every format and spelling, and an account of what is left."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from price_files.files import UnreadableFile
from price_files.on_demand import of_region, read_on_demand_of
from simulator.market.history import Pool
from simulator.market.recorded import read_prices

POOL = Pool("m5.large", "us-east-1a")
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)

AWS_ROW: dict[str, str | None] = {
    "AvailabilityZone": "us-east-1a",
    "InstanceType": "m5.large",
    "ProductDescription": "Linux/UNIX",
    "SpotPrice": "0.034500",
    "Timestamp": "2024-01-01T12:00:00+00:00",
}


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def aws_answer(folder: Path, *changes: dict[str, str | None]) -> Path:
    """A file as `aws ec2 describe-spot-price-history` prints it, one row for each change."""
    rows = [AWS_ROW | change for change in changes]
    return written(folder, "prices.json", json.dumps({"SpotPriceHistory": rows}))


SPELLINGS = {
    "aws.csv": "Timestamp,InstanceType,AvailabilityZone,SpotPrice,ProductDescription\n"
    "2024-01-01T12:00:00.000Z,m5.large,us-east-1a,0.0345,Linux/UNIX\n",
    "snake_case.csv": "timestamp,instance_type,availability_zone,spot_price,score\n"
    "2024-01-01 12:00:00,m5.large,us-east-1a,0.0345,3.0\n",
    "offsets.csv": "time,instance type,zone,price\n2024-01-01T17:30:00+05:30,m5.large,us-east-1a,"
    "0.0345\n",
    "epoch.csv": "Time,Instance_Type,AZ,Price\n1704110400,m5.large,us-east-1a,0.0345\n",
    "epoch_ms.csv": "Time,Instance_Type,AZ,Price\n1704110400000,m5.large,us-east-1a,0.0345\n",
    "kaggle.csv": "datetime,instance_type,os,region,price\n"
    "2024-01-01 07:00:00-05:00,m5.large,Linux/UNIX,us-east-1a,0.0345\n",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_common_spellings_give_the_same_history(tmp_path: Path, name: str) -> None:
    """Names, time formats and offsets differ; the price at noon UTC does not."""
    recorded = read_prices(written(tmp_path, name, SPELLINGS[name]))
    assert recorded.history.pools == (POOL,)
    assert recorded.history.start == NOON
    assert recorded.history.price_at(POOL, NOON) == 0.0345
    assert (recorded.region, recorded.zones_are_ids) == ("us-east-1", False)
    assert recorded.dropped_rows == {}
    assert recorded.product_assumed == ("os" not in SPELLINGS[name] and name != "aws.csv")


def test_formats_give_the_same_history(tmp_path: Path) -> None:
    """JSON, compressed CSV and Parquet with and without a time zone agree."""
    compressed = tmp_path / "prices.csv.gz"
    compressed.write_bytes(gzip.compress(SPELLINGS["aws.csv"].encode()))
    naive, aware = tmp_path / "naive.parquet", tmp_path / "aware.parquet"
    for path, kind in ((naive, pa.timestamp("ms")), (aware, pa.timestamp("us", "Asia/Tokyo"))):
        table = pa.table(
            {
                "timestamp": pa.array([1_704_110_400], pa.int64())
                .cast(pa.timestamp("s"))
                .cast(kind)
                if kind.tz is None
                else pa.array([NOON], kind),
                "instance_type": pa.array(["m5.large"]).dictionary_encode(),
                "availability_zone": ["us-east-1a"],
                "spot_price": [0.0345],
            }
        )
        pyarrow.parquet.write_table(table, path)
    for path in (aws_answer(tmp_path, {}), compressed, naive, aware):
        history = read_prices(path).history
        assert (history.pools, history.start) == ((POOL,), NOON), path.name
        assert history.price_at(POOL, NOON) == 0.0345


def test_rows_of_other_regions_and_absurd_prices_are_counted(tmp_path: Path) -> None:
    """Beside the rows that no reader can use: the market is of one region, whose prices are known."""
    recorded = read_prices(
        aws_answer(
            tmp_path,
            {},
            {"SpotPrice": "0.0"},
            {"SpotPrice": "9999"},
            {"AvailabilityZone": "eu-west-1a"},
            {"ProductDescription": "Linux/UNIX (Amazon VPC)", "InstanceType": "c5.large"},
        ),
        on_demand_of=lambda region: {"m5.large": 0.096} if region == "us-east-1" else {},
    )
    assert recorded.dropped_rows == {
        "zero or negative": 1,
        "zone is in another region": 1,
        "above 10 x on-demand": 1,
    }
    assert set(recorded.history.pools) == {POOL, Pool("c5.large", "us-east-1a")}


def test_newer_of_conflicting_rows_wins_in_either_order(tmp_path: Path) -> None:
    """Oldest first the later row wins; newest first, as AWS answers, the earlier one does."""
    before: dict[str, str | None] = {"Timestamp": "2024-01-01T06:00:00Z", "SpotPrice": "0.03"}
    rows: list[dict[str, str | None]] = [
        before,
        {"SpotPrice": "0.04"},
        {"SpotPrice": "0.05"},
        {"SpotPrice": "0.05"},
    ]
    ascending = read_prices(aws_answer(tmp_path, *rows))
    assert ascending.history.price_at(POOL, NOON) == 0.05
    assert ascending.dropped_rows == {"conflict": 1, "duplicate": 1}
    descending = read_prices(aws_answer(tmp_path, {"SpotPrice": "0.04"}, *rows[2:], before))
    assert descending.history.price_at(POOL, NOON) == 0.04


def test_one_region_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    """The region with the most pools is read unless another is asked for."""
    path = aws_answer(
        tmp_path,
        {"AvailabilityZone": "eu-west-1a"},
        {"AvailabilityZone": "eu-west-1b"},
        {"AvailabilityZone": "us-east-1a"},
        {"AvailabilityZone": "us-east-1a", "Timestamp": "2024-01-02T12:00:00Z"},
        {"AvailabilityZone": "us-east-1a", "Timestamp": "2024-01-03T12:00:00Z"},
    )
    most = read_prices(path)
    assert (most.region, most.other_regions) == ("eu-west-1", ("us-east-1",))
    asked = read_prices(path, region="us-east-1")
    assert (asked.region, asked.history.pools) == ("us-east-1", (POOL,))
    with pytest.raises(
        UnreadableFile, match=r"no row of region sa-east-1; .* eu-west-1, us-east-1"
    ):
        read_prices(path, region="sa-east-1")


def test_zone_ids_are_accepted_and_flagged_but_never_mixed(tmp_path: Path) -> None:
    """An id stands for a zone, and its region is inferred; ids and names together are refused."""
    recorded = read_prices(aws_answer(tmp_path, {"AvailabilityZone": "apne2-az1"}))
    assert recorded.zones_are_ids
    assert recorded.region == "ap-northeast-2"
    mixed = aws_answer(tmp_path, {}, {"AvailabilityZone": "use1-az1"})
    with pytest.raises(UnreadableFile, match=r"prices\.json: zone names and zone ids are mixed"):
        read_prices(mixed)


def test_unreadable_files_are_refused_in_one_line_with_their_path(tmp_path: Path) -> None:
    """Also what cannot be opened, and parquet that is damaged or has no prices."""
    table = pa.table(
        {"Timestamp": ["x"], "InstanceType": [{"a": "m5.large"}], "AZ": ["x"], "Price": [1]}
    )
    pyarrow.parquet.write_table(table, tmp_path / "struct.parquet")
    whole = (tmp_path / "struct.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-9])
    pyarrow.parquet.write_table(table.select(["AZ"]), tmp_path / "columns.parquet")
    (tmp_path / "folder.parquet").mkdir()
    cases = {
        written(
            tmp_path, "a.csv", "when,kind\n1,2\n"
        ): r"the time \(allowed: Timestamp.*'kind', 'when'",
        written(tmp_path, "b.parquet", "no parquet"): "is named .parquet but is not parquet",
        aws_answer(tmp_path, {"SpotPrice": "0"}): "no row is usable: 1 zero or negative",
        tmp_path / "struct.parquet": r"not an instance type \('\(struct<a: string>\)'\)",
        tmp_path / "cut.parquet": "the parquet cannot be read: ",
        tmp_path / "columns.parquet": "no column for the time",
        tmp_path / "folder.parquet": "it is a folder; give one file",
        tmp_path / "none.csv": "there is no such file",
    }
    for path, message in cases.items():
        with pytest.raises(UnreadableFile, match=f"^{path}: .*{message}") as refusal:
            read_prices(path)
        assert "\n" not in str(refusal.value)


def test_parquet_of_every_type_is_read(tmp_path: Path) -> None:
    """Decimals, bytes, dictionaries and nanoseconds as Athena, Spark and pandas write them."""
    table = pa.table(
        {
            "Timestamp": pa.array([NOON], pa.timestamp("ns", "UTC")),
            "InstanceType": pa.array([b"m5.large"]),
            "AvailabilityZone": pa.array(["us-east-1a"]).dictionary_encode(),
            "SpotPrice": pa.array([Decimal("0.034500")], pa.decimal128(10, 6)),
            "tags": pa.array([["a", "b"]]),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "prices.parquet")
    history = read_prices(tmp_path / "prices.parquet").history
    assert (history.pools, history.start) == ((POOL,), NOON)
    assert history.price_at(POOL, NOON) == 0.0345


def test_on_demand_prices_of_a_file_are_those_of_the_region(tmp_path: Path) -> None:
    """A region that the file lacks is refused with those it has."""
    path = written(tmp_path, "a.csv", "region,instance_type,price\nus-east-1,m5.large,0.096\n")
    assert of_region(read_on_demand_of(path), "us-east-1", path) == {"m5.large": 0.096}
    with pytest.raises(
        UnreadableFile, match=r"a\.csv: no .* of region eu-west-1; there is us-east-1"
    ):
        of_region(read_on_demand_of(path), "eu-west-1", path)


@pytest.mark.parametrize(
    ("name", "region", "pools", "ids"),
    [
        ("us-east-1_2021-03-02_2021-05-31", "us-east-1", 1241, False),
        ("sa-east-1_2019-12-31_2020-03-30", "sa-east-1", 407, False),
        ("gpu-6-regions_2019-12-20_2020-03-23", "us-west-2", 18, False),
        ("hourly-9-regions_2024-01", "ap-northeast-2", 16, True),
    ],
)
def test_recorded_markets_are_read(
    recorded_data: Path, name: str, region: str, pools: int, ids: bool
) -> None:
    """Each recorded market gives its pools, and nothing is lost but the other regions."""
    recorded = read_prices(recorded_data / "prices" / f"{name}.parquet", region=region)
    assert (len(recorded.history.pools), recorded.zones_are_ids) == (pools, ids)
    assert set(recorded.dropped_rows) <= {"zone is in another region"}


def test_on_demand_price_is_read_from_an_archive_of_spot_prices(recorded_data: Path) -> None:
    """An archive that states the on-demand price beside each spot price serves as a price list."""
    path = recorded_data / "prices" / "hourly-9-regions_2024-01.parquet"
    assert of_region(read_on_demand_of(path), "ap-northeast-2", path)["c5.large"] == 0.096
