"""The request to ``sweep``."""

from typing import Literal

from spot_optimizer.contracts.boundary import Boundary


class ScheduledSweep(Boundary):
    """Input of ``sweep`` from its schedule."""

    trigger: Literal["schedule"]
