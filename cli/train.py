"""``spot-optimizer train``: train a forecasting model on price files."""

from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from cli.plain import print_json
from cli.progress import measuring
from price_files.files import UnreadableFile
from price_files.on_demand import OnDemandByRegion, read_on_demand_of


def train_and_describe(
    *,
    prices: list[str],
    out: Path,
    on_demand: Path | None,
    name: str,
    seed: int,
    threads: int,
    as_json: bool,
) -> None:
    """Train and validate a model for prices and instability; write its files and model card."""
    from models.model_card import write_model_card  # LightGBM takes a second to import
    from models.training import TooLittleData
    from models.training import train as train_model

    files = [_price_file(text) for text in prices]
    console = Console(highlight=False, stderr=True)
    with measuring(console) as bar:
        task = bar.add_task("starting", total=1)

        def tick(done: int, steps: int, what: str) -> None:
            bar.update(task, completed=done, total=steps, description=what)

        try:
            metadata = train_model(
                files,
                on_demand_prices(on_demand),
                out,
                name=name,
                seed=seed,
                threads=threads,
                progress=tick,
            )
        except (UnreadableFile, TooLittleData, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(code=2) from error
    write_model_card(metadata, out)
    if as_json:
        print_json({"folder": str(out), **metadata.model_dump()})
        return
    typer.echo(f"{out}: {metadata.name}, trained until {metadata.trained_until:%Y-%m-%d %H:%M} UTC")
    for part, figures in metadata.metrics.items():
        text = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in figures.items())
        typer.echo(f"  {part}: {text}")


def on_demand_prices(path: Path | None) -> OnDemandByRegion:
    """The prices of a file by region; empty without a file. Exit code 2 if it cannot be read."""
    if path is None:
        return {}
    try:
        file = read_on_demand_of(path)
    except UnreadableFile as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=2) from error
    for unpriced in file.unpriced:
        typer.echo(f"{path}: dropped: {unpriced}, which is no price", err=True)
    return file.by_region


def day_s(option: str, text: str) -> int:
    """Epoch seconds of a day or time, UTC; exit code 2 for other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text}: must be a day such as 2021-05-11") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _price_file(text: str) -> "PriceFile":  # type: ignore[name-defined] # noqa: F821
    from models.training import PriceFile

    path, _, until = text.rpartition("@")
    if path and not Path(text).exists():
        return PriceFile(_existing(path), day_s("--prices", until))
    return PriceFile(_existing(text), None)


def _existing(path: str) -> Path:
    if not Path(path).exists():
        raise typer.BadParameter(f"--prices {path}: there is no such file")
    return Path(path)
