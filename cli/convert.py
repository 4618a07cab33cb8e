"""``spot-optimizer convert``: a parquet file as the CSV that a deployed stack imports."""

from pathlib import Path

import typer

from cli.plain import print_json
from price_files.files import UnreadableFile, convert_parquet


def convert_file(
    *,
    source: Path,
    out: Path,
    as_json: bool,
) -> None:
    """Convert a parquet file to CSV. A deployed stack imports CSV and JSON, not parquet."""
    try:
        convert_parquet(source, out)
    except (UnreadableFile, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=2) from error
    size = out.stat().st_size
    if as_json:
        print_json({"file": str(out), "bytes": size})
    else:
        typer.echo(f"{out}: {size} bytes")
