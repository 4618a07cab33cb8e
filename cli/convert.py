"""``spot-optimizer convert``: a parquet file as the CSV that a deployed stack imports."""

from pathlib import Path

import typer

from price_files.files import UnreadableFile, convert_parquet


def convert_file(
    *,
    source: Path,
    out: Path,
) -> None:
    """Convert a parquet file to CSV. A deployed stack imports CSV and JSON, not parquet."""
    try:
        convert_parquet(source, out)
    except (UnreadableFile, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=2) from error
    typer.echo(f"{out}: {out.stat().st_size} bytes")
