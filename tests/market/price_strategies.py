"""Hypothesis strategies for price rows."""

from hypothesis import strategies as st

from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool

START_S = 1_700_000_000
POOLS = (
    Pool("c5.large", "us-east-1b"),
    Pool("m5.large", "us-east-1a"),
    Pool("m5.large", "us-east-1b"),
)

prices = st.integers(min_value=1, max_value=40).map(lambda cents: cents / 100)


def rows_within(span_s: int, max_size: int = 40) -> st.SearchStrategy[list[PriceRow]]:
    """Rows of three pools, at most one per pool and time, in any order; prices repeat often."""
    row = st.tuples(
        st.sampled_from(POOLS),
        st.integers(min_value=START_S, max_value=START_S + span_s),
        prices,
    )
    return st.lists(row, max_size=max_size, unique_by=lambda row: (row[0], row[1]))


def merged(*batches: list[PriceRow]) -> PriceChanges:
    """The series after merging these batches one after the other."""
    changes = PriceChanges()
    for batch in batches:
        changes, _ = changes.merge(batch, {})
    return changes
