"""The account of the rows of a file that are not used, and why."""

import numpy as np
from numpy.typing import NDArray


class DroppedRows:
    """Which rows remain, and how many were left out for which reason.

    Attributes:
        kept: bool, shape (rows,).
        counts: rows left out by reason; a reason without a row is absent.
    """

    def __init__(self, rows: int) -> None:
        self.kept = np.ones(rows, dtype=bool)
        self.counts: dict[str, int] = {}

    def leave_out(self, reason: str, rows: NDArray[np.bool_]) -> None:
        """A row that several reasons hit is counted under the first."""
        self._count(reason, int((self.kept & rows).sum()))
        self.kept &= ~rows

    def count_repeats(
        self, pool: NDArray[np.int64], time_s: NDArray[np.int64], prices: NDArray[np.float64]
    ) -> None:
        """Rows that a newer one of the same pool and time replaces."""
        order = np.lexsort((time_s, pool))
        pool, time_s, prices = pool[order], time_s[order], prices[order]
        repeated = (pool[1:] == pool[:-1]) & (time_s[1:] == time_s[:-1])
        agrees = prices[1:] == prices[:-1]
        self._count("duplicate", int((repeated & agrees).sum()))
        self._count("conflict", int((repeated & ~agrees).sum()))

    def _count(self, reason: str, rows: int) -> None:
        if rows:
            self.counts[reason] = rows
