"""Count the unusable rows of a file by reason."""

import numpy as np
from numpy.typing import NDArray


class DroppedRows:
    """Which rows remain, and how many were dropped for which reason.

    Attributes:
        kept: bool, shape (rows,).
        counts: reason -> dropped rows; reasons without rows are missing.
    """

    def __init__(self, rows: int) -> None:
        self.kept = np.ones(rows, dtype=bool)
        self.counts: dict[str, int] = {}

    def drop(self, reason: str, rows: NDArray[np.bool_]) -> None:
        """Drop ``rows``; a row with several reasons counts for the first."""
        self._count(reason, int((self.kept & rows).sum()))
        self.kept &= ~rows

    def count_repeats(
        self, pool: NDArray[np.int64], time_s: NDArray[np.int64], prices: NDArray[np.float64]
    ) -> None:
        """Count the rows that a newer row of the same pool and time replaces."""
        order = np.lexsort((time_s, pool))
        pool, time_s, prices = pool[order], time_s[order], prices[order]
        repeated = (pool[1:] == pool[:-1]) & (time_s[1:] == time_s[:-1])
        agrees = prices[1:] == prices[:-1]
        self._count("duplicate", int((repeated & agrees).sum()))
        self._count("conflict", int((repeated & ~agrees).sum()))

    def _count(self, reason: str, rows: int) -> None:
        if rows:
            self.counts[reason] = rows
