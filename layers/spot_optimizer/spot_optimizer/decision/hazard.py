"""The probability that an instance with a rebalance recommendation is interrupted within an hour.

AWS publishes no such figure. The estimate is a prior, corrected by the signals on the ledger:

- *Prior by Spot Advisor bucket*: 15 to 50 %. The advisor reports how often a type was interrupted in a
  month (Spot Instance Advisor, "Frequency of interruption"): the order of the buckets is AWS's, the
  figures are ours.
- *Signals in the pool*: how many of its rebalance recommendations an interruption followed (mean of a
  beta distribution in which the prior weighs as much as PRIOR_WEIGHT recommendations).
- *Age*: where an instance was launched a moment ago, capacity may soon be short again; an instance
  that is days old has survived many shortages.
- *Hour*: capacity is scarcer during the region's working hours than at night.

Age and hour change the odds, so the probability stays between 0 and 1.
"""

from datetime import timedelta

DRAIN_PROBABILITY_MIN = 0.30
"""A rebalance recommendation starts a failover if the probability is above this."""

PRIOR_WEIGHT = 8
_PRIOR_BY_BUCKET = (0.15, 0.22, 0.30, 0.38, 0.50)
_PRIOR_UNKNOWN = 0.35
_YOUNG, _OLD = timedelta(hours=1), timedelta(days=3)
_FACTOR_YOUNG, _FACTOR_OLD = 1.3, 0.8
_ODDS_WORKING_HOUR = 1.2


def interruption_probability(
    *,
    age: timedelta,
    recommendations: int,
    interruptions: int,
    advisor_bucket: int,
    quiet_hour: bool,
) -> float:
    """Probability, 0 to 1, that the instance is interrupted within an hour.

    ``recommendations`` and ``interruptions`` are those of its pool on the ledger, without the present
    one. Interruptions without a recommendation count too, so there may be more of them.
    ``advisor_bucket`` is 0 to 4, or -1 if the advisor does not list the type.
    """
    known = 0 <= advisor_bucket < len(_PRIOR_BY_BUCKET)
    prior = _PRIOR_BY_BUCKET[advisor_bucket] if known else _PRIOR_UNKNOWN
    seen = max(recommendations, interruptions)
    mean = (prior * PRIOR_WEIGHT + interruptions) / (PRIOR_WEIGHT + seen)
    odds = mean / (1 - mean) * age_factor(age)
    if not quiet_hour:
        odds *= _ODDS_WORKING_HOUR
    return odds / (1 + odds)


def age_factor(age: timedelta) -> float:
    """How the age of a running instance changes the odds, or the rate, of its interruption."""
    if age < _YOUNG:
        return _FACTOR_YOUNG
    return _FACTOR_OLD if age > _OLD else 1.0
