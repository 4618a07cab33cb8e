"""Every command refuses a bad price file in one line that names it, and reports what it dropped."""

import gzip
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from cli.main import app
from spot_optimizer.market.file_text import UnreadableFile
from spot_optimizer.market.price_file import read_price_file

RUN = CliRunner()
COMMANDS = {
    "simulate": ["--hours", "1"],
    "judge": ["m5.large", "us-east-1a"],
    "recommend": ["--vcpu", "2", "--memory", "4"],
    "backtest": ["--instance-type", "m5.large", "--hazard", "5%", "--engine", "forecast"],
    "evaluate": [],
    "train": ["--out", "model"],
}
START = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "Timestamp,InstanceType,AvailabilityZone,SpotPrice\n"


def prices_of(folder: Path, *more: str) -> Path:
    """A good file of two days, and more lines."""
    times = [(START + timedelta(hours=hour)).isoformat() for hour in range(48)]
    lines = [f"{time},m5.large,us-east-1a,0.03\n" for time in times]
    path = folder / "prices.csv"
    path.write_text(HEADER + "".join([*lines, *more]))
    return path


def ran(command: str, *options: str | Path) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    result = RUN.invoke(app, [command, *COMMANDS[command], *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def _said(errors: str) -> Sequence[str]:
    """Lines of errors, without those of a progress bar."""
    return [line for line in errors.splitlines() if "prices" in line or "on-demand" in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_unreadable_prices_end_every_command_in_one_line(command: str, tmp_path: Path) -> None:
    """Exit code 2, the file and the reason."""
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode() * 9)[:-6])
    code, output, errors = ran(command, "--prices", path)
    assert (code, output) == (2, "")
    (line,) = _said(errors)
    assert line.startswith(f"{path}: the file begins like gzip but is damaged: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_on_demand_prices_of_another_region_end_every_command_in_one_line(
    command: str, tmp_path: Path
) -> None:
    """They would be ignored in silence."""
    path = tmp_path / "on-demand.csv"
    path.write_text("Region,InstanceType,Price\neu-west-1,m5.large,0.107\n")
    code, output, errors = ran(command, "--prices", prices_of(tmp_path), "--on-demand", path)
    assert (code, output) == (2, "")
    (line,) = _said(errors)
    assert re.search("on-demand.*us-east-1; there is eu-west-1$", line)


@pytest.mark.parametrize("command", ["judge", "recommend"])
def test_answers_tell_region_and_dropped_rows(command: str, tmp_path: Path) -> None:
    """A time in the future does not become the time of the answer."""
    path = prices_of(
        tmp_path,
        "2099-01-01,m5.large,us-east-1a,0.03\n",
        "2026-01-02,m5.large,us-east-1b,99999\n",
        "2026-01-02,m5.large,eu-west-1a,0.03\n",
        "2026-01-02,m5.large,us-east-1a,cheap\n",
        "2026-01-02,m5a.large,us-east-1a,0.03\n",
    )
    on_demand = tmp_path / "on-demand.json"
    on_demand.write_text('{"m5.large": 0.096, "m5a.large": 0}')
    options = ["--prices", str(path), "--on-demand", str(on_demand)]
    market = json.loads(ran(command, *options, "--json")[1])["market"]
    assert market["source"] == ("prices.csv, us-east-1 (left out: eu-west-1), 2026-01-02 23:00 UTC")
    assert market["dropped"] == {
        "time is in the future": 1,
        "not a number": 1,
        "zone is in another region": 1,
        "above 10 x on-demand": 1,
        "pools of a type without an on-demand price: m5a.large": 1,
        "on-demand prices: 'm5a.large' has '0', which is no price": 1,
    }
    shown = " ".join(ran(command, *options)[1].split())
    assert all(f"1 {reason}" in shown for reason in market["dropped"])


def test_import_names_the_command_that_converts_parquet_and_it_works(tmp_path: Path) -> None:
    """What it writes is what the import reads."""
    table = pyarrow.csv.read_csv(prices_of(tmp_path))
    pyarrow.parquet.write_table(table, tmp_path / "prices.parquet")
    with pytest.raises(UnreadableFile) as refusal:
        read_price_file(io.BytesIO((tmp_path / "prices.parquet").read_bytes()), now_s=2**31)
    (command,) = re.findall("`spot-optimizer (.*)`", str(refusal.value))
    arguments = [word.replace("FILE", str(tmp_path / "prices")) for word in command.split()]
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    body = (tmp_path / "prices.csv.gz").read_bytes()
    again = read_price_file(io.BytesIO(body), now_s=2**31, name="import/prices.csv.gz")
    assert (len(again.time_s), dict(again.dropped)) == (48, {})
    assert RUN.invoke(app, arguments).exit_code == 0
    assert (tmp_path / "prices.csv.gz").read_bytes() == body


def test_convert_refuses_what_is_not_parquet(tmp_path: Path) -> None:
    """One line, and nothing is written."""
    out = tmp_path / "out.csv"
    result = RUN.invoke(app, ["convert", str(prices_of(tmp_path)), str(out)])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "prices.csv: it is not parquet" in result.stderr
    assert not out.exists()
