"""Read the columns of a user's file in any format and spelling."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

FORMATS = (".parquet", ".csv", ".csv.gz", ".json")

UNKNOWN_TIME_S = np.iinfo(np.int64).min
"""Marks a time that cannot be read."""

_EPOCH_MS_FROM = 100_000_000_000


class UnreadableFile(ValueError):
    """The file has no usable rows; the message says what is allowed."""


def read_table(path: Path, rows_key: str | None = None) -> pa.Table:
    """Read a file into a table; columns of CSV and JSON are text.

    Args:
        rows_key: key of the list of rows, if the JSON is an object. A JSON list is always read as
            rows.

    Raises:
        UnreadableFile: the format is unknown, the content unreadable, or there is no row.
        OSError: the file cannot be opened.
    """
    name = path.name.lower()
    if not name.endswith(FORMATS):
        raise UnreadableFile(f"path: {path} must end in one of {', '.join(FORMATS)}")
    try:
        if name.endswith(".parquet"):
            table = pyarrow.parquet.read_table(path)
        elif name.endswith(".json"):
            table = _table_of_rows(_json_rows(path, rows_key))
        else:
            table = _read_csv(path)
    except (pa.ArrowInvalid, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"path: {path} cannot be read: {error}") from error
    if table.num_rows == 0:
        raise UnreadableFile(f"path: {path} has no rows")
    return table


def find_column(table: pa.Table, spellings: Sequence[str]) -> str | None:
    """The column with the first matching spelling; case, `_`, `-` and spaces make no difference."""
    names = {_plain(name): name for name in table.column_names}
    return next((names[_plain(s)] for s in spellings if _plain(s) in names), None)


def require_columns(table: pa.Table, wanted: Mapping[str, Sequence[str]], path: Path) -> list[str]:
    """One column for each meaning.

    Raises:
        UnreadableFile: meanings without a column, with the accepted spellings.
    """
    found = {meaning: find_column(table, spellings) for meaning, spellings in wanted.items()}
    missing = [
        f"{meaning} (accepted: {', '.join(wanted[meaning])})"
        for meaning, column in found.items()
        if column is None
    ]
    if missing:
        raise UnreadableFile(
            f"path: {path} has no column for the {' and the '.join(missing)}; "
            f"it has {', '.join(table.column_names)}"
        )
    return [column for column in found.values() if column is not None]


def text_codes(table: pa.Table, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """A text column as its distinct values and, per row, the index of its value (-1: no value)."""
    text = pc.utf8_trim_whitespace(pc.cast(table[column], pa.string()))
    encoded = text.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), codes


def numbers(table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column as float64; NaN for values that are not numbers."""
    if pa.types.is_integer(table[column].type) or pa.types.is_floating(table[column].type):
        return np.asarray(table[column].cast(pa.float64()).to_numpy(), dtype=np.float64)
    values, codes = text_codes(table, column)
    # One more slot for the code -1, no value.
    parsed = np.array([_number(value) for value in values] + [np.nan])
    return np.asarray(parsed[codes])


def epoch_seconds(table: pa.Table, column: str) -> NDArray[np.int64]:
    """A time column as epoch seconds, UTC; `UNKNOWN_TIME_S` for values that are not times.

    Reads timestamps, ISO 8601 text with any offset, and epoch seconds or milliseconds. A time
    without an offset is read as UTC, as AWS writes it.
    """
    if pa.types.is_timestamp(table[column].type):
        whole = pc.cast(table[column], pa.timestamp("s"), safe=False).cast(pa.int64())
        filled = whole.fill_null(int(UNKNOWN_TIME_S)).combine_chunks()
        return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)
    values, codes = text_codes(table, column)
    parsed = np.array([_epoch_s(value) for value in values] + [UNKNOWN_TIME_S], dtype=np.int64)
    return np.asarray(parsed[codes])


def _read_csv(path: Path) -> pa.Table:
    with pyarrow.csv.open_csv(path) as reader:
        names = reader.schema.names
    as_text = pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=True
    )
    return pyarrow.csv.read_csv(path, convert_options=as_text)


def _json_rows(path: Path, rows_key: str | None) -> list[Mapping[str, Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = content.get(rows_key) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        wrapped = f' or an object with such a list under "{rows_key}"' if rows_key else ""
        raise UnreadableFile(f"path: {path} must hold a list of objects{wrapped}")
    return rows


def _table_of_rows(rows: list[Mapping[str, Any]]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table(
        {
            name: pa.array(
                [None if row.get(name) is None else str(row[name]) for row in rows], pa.string()
            )
            for name in names
        }
    )


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _epoch_s(text: str) -> int:
    if re.fullmatch(r"\d{9,13}(\.\d+)?", text):
        number = float(text)
        return int(number // 1000 if number >= _EPOCH_MS_FROM else number)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return int(UNKNOWN_TIME_S)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() // 1)
