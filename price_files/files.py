"""Open a file for the reader that the deployed stack has too; parquet is converted to CSV first."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from spot_optimizer.market.file_text import UnreadableFile

_PARQUET = b"PAR1"

__all__ = ["UnreadableFile", "convert_parquet", "opened"]


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """The bytes and the name of a file; of a parquet file its CSV, which has no name.

    Raises UnreadableFile, also if the file cannot be opened; every UnreadableFile names the path.
    """
    try:
        with path.open("rb") as file:
            if file.peek(len(_PARQUET)).startswith(_PARQUET):
                as_csv = io.BytesIO()
                _write_csv(path, as_csv)
                as_csv.seek(0)
                yield as_csv, ""
            else:
                yield file, path.name
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise UnreadableFile(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise UnreadableFile(f"{path}: it is a folder; give one file") from error
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from error


def convert_parquet(path: Path, out: Path) -> None:
    """Write a parquet file as CSV, gzipped if ``out`` ends in ``.gz``. Raises UnreadableFile."""
    with opened(path) as (file, _):
        if not isinstance(file, io.BytesIO):
            raise UnreadableFile("it is not parquet, so there is nothing to convert")
        text = file.getvalue()
    # mtime 0: the same file gives the same bytes.
    out.write_bytes(gzip.compress(text, mtime=0) if out.name.endswith(".gz") else text)


def _write_csv(path: Path, out: BinaryIO) -> None:
    try:
        table = pyarrow.parquet.ParquetFile(path).read()
        columns = [_flat(column) for column in table.columns]
        flat = pa.table(columns, names=table.schema.names)
        pyarrow.csv.write_csv(flat, out)
    except Exception as error:  # of a damaged file pyarrow raises nearly anything
        reason = str(error).partition("\n")[0][:200]
        raise UnreadableFile(f"the parquet cannot be read: {reason}") from error


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as CSV can hold it: no dictionary, no bytes, times in UTC; objects and lists, which are
    no value, as the name of their type."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind):
        return pa.chunked_array([pa.array([f"({kind})"] * len(column), pa.string())])
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit, "UTC"))
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return column.cast(pa.string() if is_bytes else kind)
