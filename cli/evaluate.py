"""``spot-optimizer evaluate``: measure a model's forecasts on price files."""

from pathlib import Path

import typer
from rich.console import Console

from cli.plain import print_json
from cli.plain_errors import check_file_to_write, not_written
from cli.progress import waiting
from cli.train import day_s, on_demand_prices
from price_files.files import UnreadableFile


def evaluate_model(
    *,
    prices: list[Path],
    model: Path | None,
    on_demand: Path | None,
    start: str | None,
    until: str | None,
    every_hours: int,
    recalibrate: bool,
    picture: Path | None,
    all_figures: bool,
    as_json: bool,
) -> None:
    """Forecast a recorded market hour by hour, using only the past, and measure the forecasts."""
    check_file_to_write("--picture", picture)
    from_s, until_s = _span(start, until)
    if model is not None and not model.is_dir():
        raise typer.BadParameter(f"--model {model}: there is no such folder")
    on_demand_by_region = on_demand_prices(on_demand)
    with waiting(Console(highlight=False, stderr=True), quiet=as_json) as bar:
        task = bar.add_task("reading", total=1)

        def tick(done: int, steps: int, what: str) -> None:
            bar.update(task, completed=done, total=steps, description=what)

        # LightGBM takes a second to import.
        from models.evaluate_files import evaluate_files
        from models.rolling import NothingToScore
        from spot_optimizer.forecast.model_artifact import UnusableModel

        try:
            report = evaluate_files(
                prices,
                on_demand_by_region,
                model,
                from_s=from_s,
                until_s=until_s,
                every_h=every_hours,
                recalibrate=recalibrate,
                progress=tick,
            )
        except (UnreadableFile, UnusableModel, NothingToScore) as error:
            named = f"--model {model}: " if model and isinstance(error, UnusableModel) else ""
            if isinstance(error, NothingToScore):
                named = f"--prices {', '.join(map(str, prices))}: "
            typer.echo(f"{named}{error}", err=True)
            raise typer.Exit(code=2) from error
    if picture:
        from models.picture import draw

        try:
            draw(report, picture)
        except OSError as error:
            raise not_written("--picture", picture, error) from error
    if as_json:
        print_json(report)
    else:
        from cli.evaluate_tables import print_report

        console = Console(highlight=False, markup=False, emoji=False)
        print_report(report, console, all_figures=all_figures)


def _span(start: str | None, until: str | None) -> tuple[int | None, int | None]:
    from_s = day_s("--from", start) if start else None
    until_s = day_s("--until", until) if until else None
    if from_s is not None and until_s is not None and from_s >= until_s:
        raise typer.BadParameter(f"--until {until}: must be after --from {start}")
    return from_s, until_s
