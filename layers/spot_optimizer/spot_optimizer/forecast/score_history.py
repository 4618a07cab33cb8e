"""Score history: which issued forecasts still wait for their actual price, and daily error sums.

The state between two runs of the hourly scoring. A model whose recent sums are too bad is reported
with its weaknesses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)
from spot_optimizer.forecast.accuracy_of_past_forecasts import AccuracySums
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.vocabulary import DAY_S, HOUR_S

WINDOW_DAYS = 7
"""A model is rated by this many days, today included."""

SCORING_GIVE_UP_S = 3 * DAY_S
"""A forecast that could not be scored for so long after its horizon ended never is."""

CHANGES_MIN = 100
"""With fewer changed prices in the window a model is not rated."""

SKILL_MIN = -0.05
COVERAGE_MIN = 0.75
"""Below these limits a model is weak: 5 % more squared error than the last price, or a 90 % interval
that contains less than 75 % of the changed prices. The limits are this project's own choice."""
SKILL_RECOVERED = 0.0
COVERAGE_RECOVERED = 0.80
"""A weak model must exceed these, so that a figure near a limit does not alert every hour."""

_KIND, _VERSION = "scores", 1

SumsByHorizon = Mapping[int, AccuracySums]
"""Hours ahead -> sums."""


@dataclass(frozen=True)
class ScoreHistory:
    """Forecasts that wait for their actual prices, and the sums of those scored. Immutable."""

    open: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """When forecasts were issued -> horizons, in hours, that are not scored yet."""
    days: Mapping[str, Mapping[str, SumsByHorizon]] = field(default_factory=dict)
    """UTC day in which the horizon ended -> model -> horizon -> sums."""
    verdicts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Model -> weaknesses when it was last rated; a good model has no entry."""

    def needs_forecasts(self, now_s: int) -> bool:
        """Whether no forecasts were issued in this hour yet."""
        return all(made_s // HOUR_S != now_s // HOUR_S for made_s in self.open)

    def with_issued(self, made_s: int) -> "ScoreHistory":
        """Add forecasts that were issued at ``made_s``."""
        return replace(self, open={**self.open, made_s: HORIZONS_H})

    def due(self, known_until_s: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """When forecasts were issued, and their horizons that have ended; the oldest first."""
        for made_s, horizons in sorted(self.open.items()):
            ended = tuple(hours for hours in horizons if made_s + hours * HOUR_S <= known_until_s)
            if ended:
                yield made_s, ended

    def with_scores(
        self, made_s: int, hours: int, sums_by_model: Mapping[str, AccuracySums]
    ) -> "ScoreHistory":
        """Add the sums of one horizon of the forecasts issued at ``made_s``, and close it."""
        left = tuple(h for h in self.open.get(made_s, ()) if h != hours)
        still_open = {made: h for made, h in self.open.items() if made != made_s}
        if left:
            still_open[made_s] = left
        day = day_of(made_s + hours * HOUR_S)
        of_day = {model: dict(sums) for model, sums in self.days.get(day, {}).items()}
        for model, sums in sums_by_model.items():
            of_model = of_day.setdefault(model, {})
            of_model[hours] = of_model.get(hours, AccuracySums()) + sums
        return replace(self, open=still_open, days={**self.days, day: of_day})

    def pruned(self, now_s: int) -> "ScoreHistory":
        """Drop the days before the window, and forecasts that can no longer be scored."""
        first = day_of(now_s - WINDOW_DAYS * DAY_S)
        longest_s = max(HORIZONS_H) * HOUR_S + SCORING_GIVE_UP_S
        return replace(
            self,
            open={made: left for made, left in self.open.items() if made > now_s - longest_s},
            days={day: sums for day, sums in self.days.items() if day > first},
        )

    def with_verdict(self, model: str, weaknesses: tuple[str, ...]) -> "ScoreHistory":
        """Set a model's weaknesses; a good model keeps no entry."""
        others = {name: reasons for name, reasons in self.verdicts.items() if name != model}
        return replace(self, verdicts={**others, model: weaknesses} if weaknesses else others)

    def window(self, model: str) -> dict[int, AccuracySums]:
        """A model's sums over all days, by horizon."""
        total: dict[int, AccuracySums] = {}
        for of_day in self.days.values():
            for hours, sums in of_day.get(model, {}).items():
                total[hours] = total.get(hours, AccuracySums()) + sums
        return dict(sorted(total.items()))

    def to_bytes(self) -> bytes:
        """Gzipped JSON; equal histories give equal bytes."""
        days = {
            day: {
                model: {str(hours): sums.to_json() for hours, sums in of_model.items()}
                for model, of_model in of_day.items()
            }
            for day, of_day in self.days.items()
        }
        body = {
            "open": {str(made_s): left for made_s, left in self.open.items()},
            "days": days,
            "verdicts": self.verdicts,
        }
        return pack_json(_KIND, _VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> "ScoreHistory":
        """Read what ``to_bytes`` wrote. Raises DamagedState."""
        body = unpack_json(data, _KIND, _VERSION)
        try:
            return cls(
                open={int(made): tuple(map(int, left)) for made, left in body["open"].items()},
                days={day: _read_day(of_day) for day, of_day in body["days"].items()},
                verdicts={model: tuple(reasons) for model, reasons in body["verdicts"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedState(f"{_KIND}: {error!r}") from error


def find_weaknesses(window: SumsByHorizon, previous: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong with a model by its recent sums, in words; empty if it is good.

    ``previous`` are the weaknesses found last time: a weak model must exceed the higher limits.
    """
    skill_min = SKILL_RECOVERED if previous else SKILL_MIN
    coverage_min = COVERAGE_RECOVERED if previous else COVERAGE_MIN
    weaknesses = []
    for hours, sums in sorted(window.items()):
        if sums.changed < CHANGES_MIN:
            continue
        if sums.skill is not None and sums.skill < skill_min:
            weaknesses.append(f"at {hours} h the last price is better: skill {sums.skill:.3f}")
        coverage = sums.coverage_of_changes
        if coverage is not None and coverage < coverage_min:
            weaknesses.append(
                f"at {hours} h the 90 % interval contained {100 * coverage:.0f} % of the changed"
                " prices"
            )
        if sums.change_skill is not None and sums.change_skill < skill_min:
            weaknesses.append(
                f"at {hours} h the base rate predicts changes better: skill {sums.change_skill:.3f}"
            )
    return tuple(weaknesses)


def day_of(time_s: int) -> str:
    """The UTC day of a moment."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}"


def _read_day(of_day: dict[str, Any]) -> dict[str, dict[int, AccuracySums]]:
    return {
        model: {int(hours): AccuracySums.from_json(sums) for hours, sums in of_model.items()}
        for model, of_model in of_day.items()
    }
