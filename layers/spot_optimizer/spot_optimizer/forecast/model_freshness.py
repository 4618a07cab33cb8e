"""How recent the knowledge of a model must be for its forecasts to be used."""

from spot_optimizer.forecast.daily_lessons import HISTORY_S, Lessons, has_enough_history
from spot_optimizer.forecast.model_artifact import Metadata, UnusableModel
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import DAY_S

STALE_AFTER_DAYS = 3.0
"""A model without a lesson for so long is not used."""


def require_recent_lesson(
    metadata: Metadata, lessons: Lessons | None, history: PriceChanges, now_s: int
) -> None:
    """Raises UnusableModel if the model has no recent lesson and there is no history for one."""
    if has_enough_history(history, now_s):
        return  # the last day's lesson is known, or comes next
    if lessons is None:
        raise UnusableModel(
            f"{metadata.name} has not learned from this market yet: it needs "
            f"{HISTORY_S // DAY_S} days of prices"
        )
    age_days = lessons.age_days(now_s)
    if age_days > STALE_AFTER_DAYS:
        raise UnusableModel(
            f"{metadata.name} is stale: it last learned from this market {age_days:.1f} days "
            f"ago, allowed are {STALE_AFTER_DAYS:g}"
        )
