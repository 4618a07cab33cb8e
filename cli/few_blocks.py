"""The warning next to intervals that rest on few independent parts of the data."""

ENOUGH_BLOCKS = 10
"""From here on a 90 % interval that is drawn by blocks contains the true value in 85 of 100 cases or
more. Percentile intervals of the bootstrap are too narrow for few blocks (Hesterberg, "What Teachers
Should Know About the Bootstrap", The American Statistician 69, 2015, doi 10.1080/00031305.2015.1089789):
they are built on the deviation with n instead of n - 1, and on the normal instead of Student's
distribution."""

_CONTAINED = {2: 55, 3: 69, 4: 75, 5: 78, 6: 81, 7: 82, 8: 83, 9: 84}
"""Blocks n -> percent: the share of Student's distribution of n - 1 degrees of freedom within
1.645 * sqrt((n - 1) / n), for means of normal blocks."""


def few_blocks(blocks: int, rest_on: str) -> str | None:
    """A warning that the 90 % intervals rest on few blocks, described by ``rest_on``; None for
    enough."""
    if blocks >= ENOUGH_BLOCKS:
        return None
    if blocks < 2:
        return f"Few data: all rests on {rest_on}. The 90 % intervals mean nothing."
    return (
        f"Few data: the 90 % intervals rest on {rest_on}. Such an interval contains the true value in"
        f" about {_CONTAINED[blocks]} of 100 cases, not in 90."
    )
