"""An evaluation on a terminal: verdict first, 80 columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.few_blocks import few_blocks

Report = dict[str, Any]
_TERMS = (
    ("skill", "share of the squared error of the last price that the forecast avoids: 1 is perfect,"
     " 0 as good as the last price. In brackets: 90 % interval, drawn by week and family"),
    ("best rule", "skill of the best simple rule"),
    ("in band", "share of the prices within the forecast's 5 to 95 % band: 0.9 is right"),
    ("AUC", "area under the ROC curve: how often an hour before a change is ranked above another; 0.5 is"
     " chance"),
)  # fmt: skip
_MORE_TERMS = (
    ("in dollars", "skill by squared error of prices in dollars: expensive pools count for more"),
    ("absolute", "skill by absolute error of the median"),
    ("pinball", "skill of the 5, 50 and 95 % quantiles over those of the market's last week"),
    ("changed in band", "share within the band, of the prices that changed"),
    ("width", "of the band, in percent of the price"),
    (
        "families off",
        "instance families of which 88 to 92 % of the changed prices are not in the band",
    ),
    ("base rate", "share of the hours before the event"),
    ("average precision", "mean share of right alarms over all thresholds"),
    ("Brier skill", "share of the squared error of the base rate that the probabilities avoid"),
    ("calibration error", "mean distance of a probability from the share that happened"),
    ("precision", "share of the alarms that are right"),
    ("recall", "share of the events that have an alarm"),
    ("F1", "harmonic mean of precision and recall"),
)


def print_report(report: Report, console: Console, *, all_figures: bool) -> None:
    """Verdict, one row per horizon, and what the figures are of; ``all_figures`` adds the rest."""
    known = {name: h for name, h in report["horizons"].items() if h["rows"]}
    console.print(_verdict(report["model"], known))
    if warning := _warning(report):
        console.print(warning, style="yellow")
    console.print()
    console.print(_main(known))
    for name in (each for each in report["horizons"] if each not in known):
        console.print(f"{_ahead(name)}: no actual price is known.")
    for name, rise in report["instability"].items():
        console.print(_rise(name, rise))
    if all_figures:
        _print_more(report, known, console)
    console.print()
    for term, meaning in (*_TERMS, *(_MORE_TERMS if all_figures else ())):
        console.print(f"{term}: {meaning}.")
    if not all_figures:
        console.print("--all has all rules, errors, bands and alarms.")
    console.print()
    _print_data(report, console)


def _verdict(model: str, known: dict[str, Report]) -> str:
    if not known:
        return f"{model}: nothing can be said, because no actual price is known."
    better: list[str] = []
    worse: list[str] = []
    alike: list[str] = []
    for name, h in known.items():
        low, high = h["squared_error"]["skill_90"]
        group = better if (low or 0) > 0 else worse if (high or 0) < 0 else alike
        group.append(name)
    said = (
        ("beats the last price", better),
        ("is worse than the last price", worse),
        ("is not clearly different from the last price", alike),
    )
    return f"{model} {'; '.join(f'{what} at {_listed(names)}' for what, names in said if names)}."


def _listed(names: Sequence[str]) -> str:
    hours = [name.removesuffix("h") for name in names]
    start = f"{', '.join(hours[:-1])} and " if len(hours) > 1 else ""
    return f"{start}{hours[-1]} h ahead"


def _warning(report: Report) -> str | None:
    blocks = report["interval_blocks"]
    plural = "" if blocks == 1 else "s"
    return few_blocks(blocks, f"{blocks} week{plural} of an instance family")


def _main(known: dict[str, Report]) -> Table:
    rows = []
    for name, h in known.items():
        squared = h["squared_error"]
        rules = [
            v for rule, v in squared["rules"].items() if rule != "last price" and v is not None
        ]
        rows.append(
            (
                _ahead(name),
                _with(squared["skill"], squared["skill_90"]),
                _of(max(rules, default=None)),
                _of(h["interval"]["coverage"]),
                _of(h["change"].get("auc")),
            )
        )
    return _table(("ahead", "skill [90 %]", "best rule", "in band", "AUC of change"), rows)


def _rise(name: str, rise: Report) -> str:
    what = f"A rise of {name.removeprefix('rise_')} % within 12 h"
    if "too_few" in rise:
        return f"{what}: too few cases for figures ({rise['too_few']})."
    said = f"{what}: AUC {_with(rise['auc'], rise.get('auc_90'))}"
    at = rise.get("at_threshold", {})
    if at.get("recall_by_event") is not None:
        said += f", {100 * at['recall_by_event']:.0f} % of {at['events']} rises predicted"
    if at.get("precision") is not None:
        said += f", {100 * at['precision']:.0f} % of the alarms right"
    return said + "."


def _print_more(report: Report, known: dict[str, Report], console: Console) -> None:
    tables = (
        _errors(known),
        *(_rules(known, key) for key in ("squared_error", "absolute_error")),
        _bands(known),
        *_alarms("change", {_ahead(n): h["change"] for n, h in known.items()}),
        *_alarms("change, recent pools", {_ahead(n): h["change_recent_pools"] for n, h in known.items()}),
        *_alarms("rise", {f"{n.removeprefix('rise_')} %": r for n, r in report["instability"].items()}),
    )  # fmt: skip
    for table in tables:
        console.print()
        console.print(table)
    console.print("Recent pools: those that changed in 7 days.")


def _errors(known: dict[str, Report]) -> Table:
    rows = []
    for name, h in known.items():
        squared, absolute, pinball = h["squared_error"], h["absolute_error"], h["pinball"]
        rows.append(
            (
                _ahead(name),
                _with(squared["skill_in_dollars"], squared["skill_in_dollars_90"]),
                _with(absolute["skill"], absolute["skill_90"]),
                _with(pinball["skill"], pinball["skill_90"]),
            )
        )
    return _table(("ahead", "in dollars", "absolute", "pinball"), rows)


def _rules(known: dict[str, Report], key: str) -> Table:
    names = list(next(iter(known.values()))[key]["rules"])
    rows = [(_ahead(n), *(_of(h[key]["rules"][rule]) for rule in names)) for n, h in known.items()]
    return _table((f"rules, {key.replace('_', ' ')}", *names), rows)


def _bands(known: dict[str, Report]) -> Table:
    rows = []
    for name, h in known.items():
        band = h["interval"]
        off = ", ".join(band["families_outside_88_to_92"]) or "none"
        changed = _with(band["coverage_changed"], band["coverage_changed_90"])
        off_of = f"{off} of {len(band['by_family'])}"
        rows.append((_ahead(name), changed, f"{100 * band['width']:.2f} %", off_of))
    return _table(("ahead", "changed in band", "width", "families off"), rows)


def _alarms(what: str, parts: dict[str, Report]) -> tuple[Table, Table]:
    """The probabilities, and the alarms at their threshold."""
    probabilities, alarms = [], []
    for name, part in parts.items():
        if "too_few" in part:
            probabilities.append((name, f"too few: {part['too_few']}", "", "", ""))
            continue
        rules = [
            rule.get("brier_skill", rule.get("average_precision"))
            for rule in part["rules"].values()
        ]
        probabilities.append(
            (
                name,
                _of(part["base_rate"]),
                _with(part["average_precision"], part.get("average_precision_90")),
                _with(part["brier_skill"], part.get("brier_skill_90")),
                _of(part["calibration_error"]),
            )
        )
        at = part.get("at_threshold", {})
        best = _of(max((r for r in rules if r is not None), default=None))
        keys = ("threshold", "precision", "recall", "f1")
        alarms.append((name, best, *(_of(at.get(key)) for key in keys)))
    head = ("base rate", "average precision", "Brier skill", "calibration error")
    at_head = ("best rule", "threshold", "precision", "recall", "F1")
    return _table((what, *head), probabilities), _table((f"{what}, alarms", *at_head), alarms)


def _print_data(report: Report, console: Console) -> None:
    data = report["data"]
    first, last = (datetime.fromisoformat(data[key]) for key in ("from", "until"))
    console.print(
        f"Scored: {_count(report['rows'], 'forecast')} of {_count(report['pools'], 'pool')} in"
        f" {', '.join(data['regions'])}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC."
    )
    if data["dropped"]:
        dropped = ", ".join(f"{n} {reason}" for reason, n in data["dropped"].items())
        console.print(f"Ignored of {_count(data['rows'], 'row')}: {dropped}.")
    if data["feed_gaps"]:
        console.print(
            f"The recording was split at {_count(data['feed_gaps'], 'gap')} of over 48 h."
        )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(head[0])
    for name in head[1:]:
        table.add_column(name.replace(" ", "\n", 1), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _ahead(name: str) -> str:
    return f"{name.removesuffix('h')} h"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _with(value: float | None, interval: list[float | None] | None) -> str:
    if interval is None or None in interval:
        return _of(value)
    return f"{_of(value)} [{_of(interval[0])}, {_of(interval[1])}]"


def _of(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
