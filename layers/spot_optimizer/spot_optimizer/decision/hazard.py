"""How likely an instance that was flagged for rebalance is interrupted within the hour.

AWS publishes no figure for it. So this is a prior, corrected by what the ledger has seen:

- *Prior by Spot Advisor bucket*: 15 to 50 %. The advisor tells how often a type was interrupted over
  a month (Spot Instance Advisor, "Frequency of interruption"), so its order is AWS's and the figures
  are ours.
- *The pool's own signals*: of its rebalance recommendations so far, how many interruptions followed
  (mean of a beta distribution, in which the prior weighs as much as PRIOR_WEIGHT recommendations).
- *Age*: a young instance stands where capacity was found a moment ago and may be short again;
  an instance of days has outlived many such moments.
- *Hour*: capacity is scarcer in the region's working hours than at night.

Age and hour change the odds, not the probability, so that it stays between 0 and 1.
"""

from datetime import timedelta

DRAIN_PROBABILITY_MIN = 0.30
"""Above it a flagged workload is moved (spec section 6)."""

PRIOR_WEIGHT = 8
_PRIOR_BY_BUCKET = (0.15, 0.22, 0.30, 0.38, 0.50)
_PRIOR_UNKNOWN = 0.35
_YOUNG, _OLD = timedelta(hours=1), timedelta(days=3)
_ODDS_YOUNG, _ODDS_OLD = 1.3, 0.8
_ODDS_WORKING_HOUR = 1.2


def interruption_probability(
    *,
    age: timedelta,
    recommendations: int,
    interruptions: int,
    advisor_bucket: int,
    quiet_hour: bool,
) -> float:
    """Probability, 0 to 1, that a flagged instance is interrupted within an hour.

    ``recommendations`` and ``interruptions`` are those of its pool on the ledger, this one left out;
    interruptions without a recommendation count as well, so there may be more of them.
    ``advisor_bucket`` is 0 to 4, -1 without an entry. Source: spec section 6, and see above.
    """
    known = 0 <= advisor_bucket < len(_PRIOR_BY_BUCKET)
    prior = _PRIOR_BY_BUCKET[advisor_bucket] if known else _PRIOR_UNKNOWN
    seen = max(recommendations, interruptions)
    mean = (prior * PRIOR_WEIGHT + interruptions) / (PRIOR_WEIGHT + seen)
    odds = mean / (1 - mean)
    if age < _YOUNG:
        odds *= _ODDS_YOUNG
    elif age > _OLD:
        odds *= _ODDS_OLD
    if not quiet_hour:
        odds *= _ODDS_WORKING_HOUR
    return odds / (1 + odds)
