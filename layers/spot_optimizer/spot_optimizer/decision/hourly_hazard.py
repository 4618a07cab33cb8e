"""How often an instance of a pool is interrupted, per hour.

The rate is a Gamma distribution (conjugate to counted interruptions):

- *Prior*: the middle of the Spot Advisor's bucket (interruptions in a month; Spot Instance Advisor,
  "Frequency of interruption") as a constant rate, ``-ln(1 - share) / 730 h``. It weighs as much as
  PRIOR_INTERRUPTIONS interruptions met at that rate. A pool without an entry counts as the middle
  bucket.
- *Update*: the interruptions that our own instances met in the pool, and the hours that they ran.
  Mean = (PRIOR_INTERRUPTIONS + met) / (PRIOR_INTERRUPTIONS / prior rate + hours). The hours are those
  of the instances that still run; what the interrupted ones ran is not kept, so the rate is rather
  too high than too low.

On top come two factors: *instability* (0.5 + its probability, at least 1: a price that is about to rise
speaks for scarce capacity, but a calm one, which most are, is what the advisor's rate is of), and the
*age* of a running instance, as for the answer to a
rebalance recommendation (decision/hazard.py): a young one stands where capacity was found a moment
ago, one of days has outlived many shortages.
"""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MONTH_HOURS = 730.0
PRIOR_INTERRUPTIONS = 2.0
BUCKET_SHARES = (0.025, 0.075, 0.125, 0.175, 0.25)
"""Middle of each bucket; the last is open (> 20 %), a quarter is our reading of it."""
_SHARE_UNKNOWN = 0.125
INSTABILITY_UNKNOWN = 0.5
_YOUNG, _OLD = timedelta(hours=1), timedelta(days=3)
_FACTOR_YOUNG, _FACTOR_OLD = 1.3, 0.8


def hourly_hazard(
    advisor_bucket: NDArray[np.int8],
    *,
    interruptions: Floats,
    instance_hours: Floats,
    instability: Floats,
) -> Floats:
    """Interruptions per hour of each pool, all of shape (P,); an unknown instability counts as 0.5."""
    shares = np.array((*BUCKET_SHARES, _SHARE_UNKNOWN))
    known = (advisor_bucket >= 0) & (advisor_bucket < len(BUCKET_SHARES))
    share = shares[np.where(known, advisor_bucket, len(BUCKET_SHARES))]
    prior = -np.log1p(-share) / MONTH_HOURS
    rate = (PRIOR_INTERRUPTIONS + interruptions) / (PRIOR_INTERRUPTIONS / prior + instance_hours)
    factor = np.maximum(
        1.0, 0.5 + np.where(np.isnan(instability), INSTABILITY_UNKNOWN, instability)
    )
    hazard: Floats = rate * factor
    return hazard


def age_factor(age: timedelta) -> float:
    """What the age of a running instance does to its hazard."""
    if age < _YOUNG:
        return _FACTOR_YOUNG
    return _FACTOR_OLD if age > _OLD else 1.0
