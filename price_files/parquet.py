"""Parquet as the CSV that the reader of the deployed stack understands."""

from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from spot_optimizer.market.file_text import UnreadableFile


def write_csv(path: Path, out: BinaryIO) -> None:
    """Write the file's columns. Raises UnreadableFile."""
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
