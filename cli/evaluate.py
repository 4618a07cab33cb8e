"""``spot-optimizer evaluate``: measure a model's forecasts on price files."""

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

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
    as_json: bool,
) -> None:
    """Forecast a recorded market hour by hour, using only the past, and measure the forecasts."""
    if picture and not picture.parent.is_dir():
        raise typer.BadParameter(f"--picture {picture}: there is no folder {picture.parent}")
    from_s = day_s("--from", start) if start else None
    until_s = day_s("--until", until) if until else None
    on_demand_by_region = on_demand_prices(on_demand)
    console = Console(highlight=False, stderr=True)
    with waiting(console, quiet=as_json) as bar:
        task = bar.add_task("reading", total=1)

        def tick(done: int, steps: int, what: str) -> None:
            bar.update(task, completed=done, total=steps, description=what)

        # LightGBM takes a second to import.
        from models.evaluate_files import evaluate_files
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
        except (UnreadableFile, UnusableModel, ValueError, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(code=2) from error
    if picture:
        from models.picture import draw

        draw(report, picture)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    data = report["data"]
    typer.echo(
        f"{report['model']}: {report['rows']} forecasts of {report['pools']} pools, "
        f"{data['from']} to {data['until']}, {', '.join(data['regions'])}"
    )
    if data["dropped"]:
        dropped = ", ".join(f"{n} {reason}" for reason, n in data["dropped"].items())
        typer.echo(f"dropped rows: {dropped} of {data['rows']}")
    if data["feed_gaps"]:
        typer.echo(f"recording split at gaps of over 48 h: {data['feed_gaps']}")
    for hours, h in report["horizons"].items():
        if not h["rows"]:
            typer.echo(f"\n{hours}: no actual price is known")
            continue
        typer.echo(f"\n{hours} ahead ({100 * h['changed_share']:.1f} % change)")
        for name in ("squared_error", "absolute_error"):
            part = h[name]
            typer.echo(
                f"  {name.replace('_', ' '):15} skill {_with(part['skill'], part['skill_90'])}; "
                + _rules(part["rules"])
            )
        squared = h["squared_error"]
        typer.echo(
            "  in dollars      skill "
            + _with(squared["skill_in_dollars"], squared["skill_in_dollars_90"])
            + ", squared error; expensive pools count for more"
        )
        p, i = h["pinball"], h["interval"]
        typer.echo(
            f"  pinball         skill {_with(p['skill'], p['skill_90'])} over empirical quantiles"
        )
        typer.echo(
            f"  90 % interval   contains {_of(i['coverage'])}, of the changed prices "
            f"{_with(i['coverage_changed'], i['coverage_changed_90'])}; width "
            f"{100 * i['width']:.2f} % of the price; families outside 88 to 92 %: "
            f"{', '.join(i['families_outside_88_to_92']) or 'none'} of {len(i['by_family'])}"
        )
        for name in ("change", "change_recent_pools"):
            label = "change" if name == "change" else "change of pools that changed in 7 days"
            typer.echo(f"  {label:15} {_alarm(h[name])}")
    for name, rise in report["instability"].items():
        typer.echo(f"\n{name.replace('_', ' by ')} % within 12 h: {_alarm(rise)}")


def _alarm(part: dict[str, Any]) -> str:
    if "too_few" in part:
        return f"too few cases for figures ({part['too_few']})"
    figures = [
        f"base rate {_of(part['base_rate'])}",
        f"AUC {_with(part['auc'], part.get('auc_90'))}",
        f"average precision {_with(part['average_precision'], part.get('average_precision_90'))}",
        f"Brier skill {_with(part['brier_skill'], part.get('brier_skill_90'))}",
        f"calibration error {_of(part['calibration_error'])}",
    ]
    at = part.get("at_threshold")
    if at:
        figures.append(
            f"at {at['threshold']:.3f}: precision {_of(at['precision'])}, recall "
            f"{_of(at['recall'])}, F1 {_of(at['f1'])}"
        )
        if at.get("recall_by_event") is not None:
            lead = f", median lead {at['lead_h_median']} h" if at["lead_h_median"] else ""
            figures.append(f"{_of(at['recall_by_event'])} of {at['events']} events predicted{lead}")
    rules = {
        name: rule.get("brier_skill", rule.get("average_precision"))
        for name, rule in part["rules"].items()
    }
    return ", ".join(figures) + "; " + _rules(rules)


def _rules(rules: dict[str, Any]) -> str:
    return "rules: " + ", ".join(f"{name} {_of(value)}" for name, value in rules.items())


def _with(value: float | None, interval: list[float | None] | None) -> str:
    if interval is None or None in interval:
        return _of(value)
    return f"{_of(value)} [{_of(interval[0])}, {_of(interval[1])}]"


def _of(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
