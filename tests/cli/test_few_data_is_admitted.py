"""An interval that rests on few blocks has a warning that says what it is worth."""

import math
import re

import pytest
from scipy.stats import norm, t  # type: ignore[import-untyped]

from cli.few_blocks import ENOUGH_BLOCKS, few_blocks


def _contained(blocks: int) -> float:
    """Percent: how often a percentile interval of the mean of normal blocks contains its mean."""
    half_width = norm.ppf(0.95) * math.sqrt((blocks - 1) / blocks)
    return float(100 * (2 * t.cdf(half_width, blocks - 1) - 1))


@pytest.mark.parametrize("blocks", range(2, ENOUGH_BLOCKS))
def test_a_warning_has_the_derived_share(blocks: int) -> None:
    """Rounded to whole percent."""
    warning = few_blocks(blocks, "a few weeks")
    assert warning is not None
    assert warning.startswith("Few data: the 90 % intervals rest on a few weeks.")
    (share,) = re.findall(r"about (\d+) of 100", warning)
    assert abs(int(share) - _contained(blocks)) <= 0.5


def test_enough_blocks_have_no_warning() -> None:
    """From 85 of 100 cases on."""
    assert few_blocks(ENOUGH_BLOCKS, "weeks") is None
    assert _contained(ENOUGH_BLOCKS - 1) < 84.5 <= _contained(ENOUGH_BLOCKS)


def test_one_block_has_no_interval_at_all() -> None:
    """Every draw is the same."""
    assert "mean nothing" in str(few_blocks(1, "1 week"))
