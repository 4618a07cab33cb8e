"""``spot-optimizer convert``."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption


def convert(
    source: Annotated[Path, typer.Argument(help="A parquet file of prices.")],
    out: Annotated[Path, typer.Argument(help="The CSV file to write; gzipped if it ends in .gz.")],
    as_json: JsonOption = False,
) -> None:
    """Convert a parquet file to CSV. A deployed stack imports CSV and JSON, not parquet."""

    from cli.convert import convert_file

    convert_file(source=source, out=out, as_json=as_json)
