"""What is still open of past forecasts, and how the scored ones did, day by day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)
from spot_optimizer.forecast.accuracy import Sums
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.vocabulary import DAY_S, HOUR_S

WINDOW_DAYS = 7
"""Judged by the last days, the present one among them."""

GIVEN_UP_S = 3 * DAY_S
"""A forecast that could not be scored for so long after its time never is."""

_KIND, _VERSION = "scores", 1


ByHorizon = Mapping[int, Sums]
"""Hours ahead -> sums."""


@dataclass(frozen=True)
class ScoreBook:
    """The state of scoring; every step gives a new one."""

    open: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """When forecasts were made -> horizons, in hours, whose time has not come."""
    days: Mapping[str, Mapping[str, ByHorizon]] = field(default_factory=dict)
    """UTC day in which their time came -> model -> horizon -> sums."""
    verdicts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Model -> what was found wrong with it when it was last judged."""

    def is_due(self, now_s: int) -> bool:
        """Whether nothing has been foretold in this hour yet."""
        return all(made_s // HOUR_S != now_s // HOUR_S for made_s in self.open)

    def opened(self, made_s: int) -> "ScoreBook":
        """With forecasts that were made at ``made_s``."""
        return replace(self, open={**self.open, made_s: HORIZONS_H})

    def due(self, known_until_s: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """When made, and which horizons' time has come; the oldest first."""
        for made_s, left in sorted(self.open.items()):
            come = tuple(hours for hours in left if made_s + hours * HOUR_S <= known_until_s)
            if come:
                yield made_s, come

    def closed(self, made_s: int, hours: int, found: Mapping[str, Sums]) -> "ScoreBook":
        """With the scores by model of one horizon of what was foretold at ``made_s``."""
        left = tuple(h for h in self.open.get(made_s, ()) if h != hours)
        still_open = {made: h for made, h in self.open.items() if made != made_s}
        if left:
            still_open[made_s] = left
        day = day_of(made_s + hours * HOUR_S)
        of_day = {model: dict(sums) for model, sums in self.days.get(day, {}).items()}
        for model, sums in found.items():
            of_model = of_day.setdefault(model, {})
            of_model[hours] = of_model.get(hours, Sums()) + sums
        return replace(self, open=still_open, days={**self.days, day: of_day})

    def tidied(self, now_s: int) -> "ScoreBook":
        """Without the days before the window, and what cannot be scored any more."""
        first = day_of(now_s - WINDOW_DAYS * DAY_S)
        longest_s = max(HORIZONS_H) * HOUR_S + GIVEN_UP_S
        return replace(
            self,
            open={made: left for made, left in self.open.items() if made > now_s - longest_s},
            days={day: found for day, found in self.days.items() if day > first},
        )

    def with_verdict(self, model: str, found: tuple[str, ...]) -> "ScoreBook":
        """With what was found wrong with a model; a good one leaves nothing."""
        others = {name: reasons for name, reasons in self.verdicts.items() if name != model}
        return replace(self, verdicts={**others, model: found} if found else others)

    def window(self, model: str) -> dict[int, Sums]:
        """A model's sums over all days of the book, by horizon."""
        total: dict[int, Sums] = {}
        for found in self.days.values():
            for hours, sums in found.get(model, {}).items():
                total[hours] = total.get(hours, Sums()) + sums
        return dict(sorted(total.items()))

    def to_bytes(self) -> bytes:
        """The same bytes for the same book."""
        days = {
            day: {
                model: {str(hours): sums.to_json() for hours, sums in of_model.items()}
                for model, of_model in found.items()
            }
            for day, found in self.days.items()
        }
        body = {
            "open": {str(made_s): left for made_s, left in self.open.items()},
            "days": days,
            "verdicts": self.verdicts,
        }
        return pack_json(_KIND, _VERSION, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> "ScoreBook":
        """What ``to_bytes`` wrote. Raises DamagedState."""
        body = unpack_json(data, _KIND, _VERSION)
        try:
            return cls(
                open={int(made): tuple(map(int, left)) for made, left in body["open"].items()},
                days={day: _read_day(found) for day, found in body["days"].items()},
                verdicts={model: tuple(found) for model, found in body["verdicts"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedState(f"{_KIND}: {error!r}") from error


def _read_day(found: dict[str, Any]) -> dict[str, dict[int, Sums]]:
    return {
        model: {int(hours): Sums(**sums) for hours, sums in of_model.items()}
        for model, of_model in found.items()
    }


def day_of(time_s: int) -> str:
    """The UTC day of a moment."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}"


CHANGES_MIN = 100
"""With fewer changed prices in the window there is no telling how good a forecast is."""

SKILL_LEAST = -0.05
COVERAGE_LEAST = 0.75
"""Below these a model is found wanting; it is again good above those that follow, so that a figure
on the edge does not alert every hour."""
SKILL_GOOD = 0.0
COVERAGE_GOOD = 0.80


def judge(window: ByHorizon, before: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong with a model by its scores, in words; ``before`` is what was found last time.

    The thresholds are ours: 5 % more squared error than the last price, and a 90 % interval that
    holds less than 75 % of the changed prices.
    """
    skill_least = SKILL_GOOD if before else SKILL_LEAST
    coverage_least = COVERAGE_GOOD if before else COVERAGE_LEAST
    found = []
    for hours, sums in sorted(window.items()):
        if sums.changed < CHANGES_MIN:
            continue
        if sums.skill is not None and sums.skill < skill_least:
            found.append(f"at {hours} h the last price is better: skill {sums.skill:.3f}")
        coverage = sums.coverage_of_changes
        if coverage is not None and coverage < coverage_least:
            found.append(
                f"at {hours} h the 90 % interval held {100 * coverage:.0f} % of the changed prices"
            )
        if sums.change_skill is not None and sums.change_skill < skill_least:
            found.append(
                f"at {hours} h the base rate tells changes better: skill {sums.change_skill:.3f}"
            )
    return tuple(found)
