"""Open a file for the reader that the deployed stack has too; parquet is converted to CSV first."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
                from price_files.parquet import write_csv  # of an extra

                as_csv = io.BytesIO()
                write_csv(path, as_csv)
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
