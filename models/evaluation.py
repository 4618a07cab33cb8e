"""The figures of an evaluation: every part of the forecast beside simple rules."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import Blocks
from models.metrics import (
    AtThreshold,
    Ranked,
    auc,
    average_precision,
    brier_skill,
    calibration_error,
    reliability,
    skill,
)
from models.rolling import LEVELS, Scored
from spot_optimizer.forecast.accuracy_of_past_forecasts import pinball_loss
from spot_optimizer.forecast.raw_forecast import HORIZONS_H, RISES
from spot_optimizer.market.prices import Floats

FAMILY_ROWS_MIN = 1_000
"""A family's coverage is reported only with more changed rows than this."""
COVERAGE_ALLOWED = (0.88, 0.92)
POSITIVES_MIN = 100
EVENTS_MIN = 10
"""With fewer, no figures of an alarm are reported: they would mean nothing."""

Report = dict[str, Any]
Rows = NDArray[np.bool_]


def evaluate(scored: Scored, thresholds: dict[str, float], seed: int = 0) -> Report:
    """All figures, ready for JSON. Intervals are 90 %, drawn by week and family."""
    blocks = Blocks.of(scored.made_s, scored.market, scored.family, seed)
    return {
        "rows": len(scored),
        "pools": len(np.unique(np.stack((scored.market, scored.pool)), axis=1).T),
        "interval_blocks": blocks.draws.shape[1],
        "horizons": {
            f"{hours}h": _horizon(scored, h, hours, thresholds, blocks)
            for h, hours in enumerate(HORIZONS_H)
        },
        "instability": {
            f"rise_{round(100 * rise)}": _rise(
                scored, r, thresholds.get(f"rise_{round(100 * rise)}"), blocks
            )
            for r, rise in enumerate(RISES)
        },
    }


def _horizon(s: Scored, h: int, hours: int, thresholds: dict[str, float], blocks: Blocks) -> Report:
    known = np.isfinite(s.move[h])
    if not known.any():
        return {"rows": 0}
    recent = known & s.changed_7d
    return {
        "rows": int(known.sum()),
        "changed_share": _round(float(s.changed[h][known].mean())),
        "squared_error": _squared(s, h, known, blocks),
        "absolute_error": _absolute(s, h, known, blocks),
        "squared_error_recent_pools": _round(_squared_skill(s, h, recent)),
        "pinball": _pinball(s, h, known, blocks),
        "interval": _interval(s, h, known, blocks),
        "change": _change(s, h, known, thresholds.get(f"change_{hours}h"), blocks),
        "change_recent_pools": _change(s, h, recent, None, blocks),
    }


def _squared(s: Scored, h: int, known: Rows, blocks: Blocks) -> Report:
    """Skill by squared error of log prices, so that a pool of $10 counts like one of 10 cents; and
    by squared error in dollars."""
    actual = s.move[h][known]
    loss, reference = (actual - s.mean[h][known]) ** 2, actual**2
    low, high = blocks.interval_of_skill(loss, reference, known)
    price = s.price[known]
    dollars = price * np.expm1(actual)
    forecast = price * np.expm1(s.mean[h][known])
    in_dollars = (dollars - forecast) ** 2, dollars**2
    low_usd, high_usd = blocks.interval_of_skill(*in_dollars, known)
    rules = {
        name: _round(skill(float(((actual - rule[h][known]) ** 2).sum()), float(reference.sum())))
        for name, rule in (
            ("drift of 24 h", s.drift_24h),
            ("drift of the last change", s.drift_last_change),
            ("exponential smoothing", s.smoothed),
        )
    }
    return {
        "skill": _round(skill(float(loss.sum()), float(reference.sum()))),
        "skill_90": [_round(low), _round(high)],
        "skill_in_dollars": _round(skill(*(float(part.sum()) for part in in_dollars))),
        "skill_in_dollars_90": [_round(low_usd), _round(high_usd)],
        "rules": {"last price": 0.0, **rules},
    }


def _squared_skill(s: Scored, h: int, rows: Rows) -> float:
    actual = s.move[h][rows]
    return skill(float(((actual - s.mean[h][rows]) ** 2).sum()), float((actual**2).sum()))


def _absolute(s: Scored, h: int, known: Rows, blocks: Blocks) -> Report:
    actual = s.move[h][known]
    loss, reference = np.abs(actual - s.median[h][known]), np.abs(actual)
    low, high = blocks.interval_of_skill(loss, reference, known)
    rules = {
        name: _round(skill(float(np.abs(actual - rule[h][known]).sum()), float(reference.sum())))
        for name, rule in (
            ("drift of 24 h", s.drift_24h),
            ("drift of the last change", s.drift_last_change),
            ("exponential smoothing", s.smoothed),
        )
    }
    return {
        "skill": _round(skill(float(loss.sum()), float(reference.sum()))),
        "skill_90": [_round(low), _round(high)],
        "rules": {"last price": 0.0, **rules},
    }


def _pinball(s: Scored, h: int, known: Rows, blocks: Blocks) -> Report:
    actual = s.move[h][known]
    losses = [
        pinball_loss(level, limit[h][known], actual)
        for level, limit in zip(LEVELS, (s.low, s.median, s.high), strict=True)
    ]
    references = [
        pinball_loss(level, s.empirical[number, h][known], actual)
        for number, level in enumerate(LEVELS)
    ]
    low, high = blocks.interval_of_skill(np.sum(losses, axis=0), np.sum(references, axis=0), known)
    return {
        "skill": _round(skill(float(np.sum(losses)), float(np.sum(references)))),
        "skill_90": [_round(low), _round(high)],
        "by_level": {
            f"{level:g}": _round(skill(float(loss.sum()), float(reference.sum())))
            for level, loss, reference in zip(LEVELS, losses, references, strict=True)
        },
    }


def _interval(s: Scored, h: int, known: Rows, blocks: Blocks) -> Report:
    actual = s.move[h]
    # Tolerance: limits and prices are whole ticks, but their logs are rounded.
    room = 1e-7
    held = ((actual >= s.low[h] - room) & (actual <= s.high[h] + room)).astype(np.float64)
    width = np.expm1(s.high[h]) - np.expm1(s.low[h])
    changed = known & (s.changed[h] == 1)
    low, high = blocks.interval_of_mean(held[changed], changed)
    families: dict[str, Report] = {}
    for family in np.unique(s.family[changed]).tolist():
        here = changed & (s.family == family)
        if here.sum() > FAMILY_ROWS_MIN:
            families[family] = {
                "coverage": _round(float(held[here].mean())),
                "rows": int(here.sum()),
                "width": _round(float(width[here].mean()), 5),
            }
    outside = [
        family
        for family, figures in families.items()
        if not COVERAGE_ALLOWED[0] <= float(figures["coverage"]) <= COVERAGE_ALLOWED[1]
    ]
    return {
        "coverage": _round(float(held[known].mean())),
        "coverage_changed": _round(float(held[changed].mean())) if changed.any() else None,
        "coverage_changed_90": [_round(low), _round(high)],
        "width": _round(float(width[known].mean()), 5),
        "width_changed": _round(float(width[changed].mean()), 5) if changed.any() else None,
        "by_decile_of_change_probability": _by_decile(s.change[h], held, width, known, changed),
        "by_family": families,
        "families_outside_88_to_92": outside,
    }


def _by_decile(
    predicted: Floats, held: Floats, width: Floats, known: Rows, changed: Rows
) -> list[Report]:
    edges = np.quantile(predicted[known], np.linspace(0, 1, 11))
    decile = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, 9)
    deciles = []
    for number in range(10):
        here = known & (decile == number)
        moved = here & changed
        deciles.append(
            {
                "rows": int(here.sum()),
                "said": _round(float(predicted[here].mean())) if here.any() else None,
                "coverage": _round(float(held[here].mean())) if here.any() else None,
                "changed": int(moved.sum()),
                "coverage_changed": _round(float(held[moved].mean())) if moved.any() else None,
                "width": _round(float(width[here].mean()), 5) if here.any() else None,
            }
        )
    return deciles


def _change(s: Scored, h: int, rows: Rows, threshold: float | None, blocks: Blocks) -> Report:
    predicted, happened = s.change[h][rows], s.changed[h][rows]
    if happened.sum() < POSITIVES_MIN or (1 - happened).sum() < POSITIVES_MIN:
        return {"too_few": int(min(happened.sum(), (1 - happened).sum()))}
    counts = Ranked.of(predicted, happened).counts()
    base = float(happened.mean())
    low, high = blocks.interval_of_skill((predicted - happened) ** 2, (base - happened) ** 2, rows)
    report = {
        "base_rate": _round(base),
        "auc": _round(auc(*counts)),
        "average_precision": _round(average_precision(*counts)),
        "brier_skill": _round(brier_skill(predicted, happened)),
        "brier_skill_90": [_round(low), _round(high)],
        "calibration_error": _round(calibration_error(predicted, happened)),
        "reliability": reliability(predicted, happened),
        "rules": {
            "cadence table": {"brier_skill": _round(brier_skill(s.cadence[h][rows], happened))},
            "pool frequency": {"brier_skill": _round(brier_skill(s.frequency[h][rows], happened))},
        },
    }
    if threshold is not None:
        report["at_threshold"] = _at(predicted, happened, threshold)
    return report


def _rise(s: Scored, r: int, threshold: float | None, blocks: Blocks) -> Report:
    rows = np.isfinite(s.rose[r])
    predicted, happened = s.rise[r][rows], s.rose[r][rows]
    events = _events(s, r, rows, threshold)
    if happened.sum() < POSITIVES_MIN or events["events"] < EVENTS_MIN:
        return {"too_few": int(happened.sum()), "events": events["events"]}
    ranked = Ranked.of(predicted, happened)
    counts = ranked.counts()
    rule = s.rose_12h[rows]
    level = np.log1p(RISES[r])
    by_rule = Ranked.of(rule, happened).counts()
    report = {
        "base_rate": _round(float(happened.mean()), 5),
        "auc": _round(auc(*counts)),
        "auc_90": [_round(x) for x in blocks.interval_of_ranking(ranked, auc, rows)],
        "average_precision": _round(average_precision(*counts)),
        "average_precision_90": [
            _round(x) for x in blocks.interval_of_ranking(ranked, average_precision, rows)
        ],
        "brier_skill": _round(brier_skill(predicted, happened)),
        "calibration_error": _round(calibration_error(predicted, happened), 5),
        "reliability": reliability(predicted, happened),
        "rules": {
            f"rose {100 * RISES[r]:g} % in the last 12 h": {
                "auc": _round(auc(*by_rule)),
                "average_precision": _round(average_precision(*by_rule)),
                **_at(rule, happened, float(level) - 1e-9),
            }
        },
    }
    if threshold is not None:
        report["at_threshold"] = {**_at(predicted, happened, threshold), **events}
    return report


def _at(predicted: Floats, happened: Floats, threshold: float) -> Report:
    at = AtThreshold.of(predicted, happened, threshold)
    return {
        "threshold": _round(threshold),
        "precision": _round(at.precision),
        "recall": _round(at.recall),
        "f1": _round(at.f1),
        "alarm_share": _round(at.alarm_share, 5),
    }


def _events(s: Scored, r: int, rows: Rows, threshold: float | None) -> Report:
    """Events and how many were predicted. An event is a run of hours of a pool that were all followed
    by a rise. It is predicted if any of them had an alarm; the lead is from the first alarm to the
    rise."""
    order = np.flatnonzero(rows)
    order = order[np.lexsort((s.made_s[order], s.pool[order], s.market[order]))]
    happened = s.rose[r][order] == 1
    step_s = 2 * int(np.min(np.diff(np.unique(s.made_s)), initial=3_600))
    continues = np.zeros(len(order), dtype=bool)
    continues[1:] = (
        (s.pool[order][1:] == s.pool[order][:-1])
        & (s.market[order][1:] == s.market[order][:-1])
        & (np.diff(s.made_s[order]) < step_s)
        & happened[:-1]
    )
    event = np.cumsum(happened & ~continues)[happened]
    count = int(event.max()) if len(event) else 0
    if threshold is None or not count:
        return {"events": count}
    alarm = s.rise[r][order][happened] >= threshold
    predicted, first = np.unique(event[alarm], return_index=True)
    lead_h = s.rise_lead_h[r][order][happened][alarm][first]
    known = lead_h[np.isfinite(lead_h)]
    return {
        "events": count,
        "recall_by_event": _round(len(predicted) / count),
        "lead_h_median": _round(float(np.median(known)), 2) if len(known) else None,
    }


def _round(value: float, digits: int = 4) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
