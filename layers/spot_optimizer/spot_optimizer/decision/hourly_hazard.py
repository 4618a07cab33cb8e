"""How often an instance in a pool is interrupted, per hour.

The rate has a Gamma distribution, the conjugate prior of counted interruptions:

- *Prior*: the middle of the Spot Advisor's bucket (share of instances interrupted in a month; Spot
  Instance Advisor, "Frequency of interruption") as a constant rate, ``-ln(1 - share) / 730 h``. It
  weighs as much as PRIOR_INTERRUPTIONS interruptions at that rate. A type that the advisor does not
  list counts as the middle bucket.
- *Update*: the interruptions of the stack's own instances in the pool, and the hours that they ran:
  mean = (PRIOR_INTERRUPTIONS + interruptions) / (PRIOR_INTERRUPTIONS / prior rate + hours). Only hours
  of running instances count, because those of interrupted ones are not stored: the rate is too high
  rather than too low.

Two factors multiply the rate. *Instability*: 0.5 + its probability, at least 1; a price that is about
to rise is a sign of scarce capacity, while the advisor's rate already describes calm prices, which are
most. *Age* of a running instance: see decision/hazard.py.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MONTH_HOURS = 730
PRIOR_INTERRUPTIONS = 2.0
BUCKET_SHARES = (0.025, 0.075, 0.125, 0.175, 0.25)
"""Middle of each bucket; the last one is open (> 20 %), a quarter is our estimate."""
_SHARE_UNKNOWN = 0.125
INSTABILITY_UNKNOWN = 0.5


def hourly_hazard(
    advisor_bucket: NDArray[np.int8],
    *,
    interruptions: Floats,
    instance_hours: Floats,
    instability: Floats,
) -> Floats:
    """Expected interruptions per hour in each pool. All arrays have the shape (P,); an unknown
    instability counts as 0.5."""
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
