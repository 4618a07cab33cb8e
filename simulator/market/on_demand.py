"""On-demand prices of the built-in market: Linux, shared tenancy, us-east-1.

Source: AWS's public page "Amazon EC2 On-Demand Pricing", as of July 2026. AWS prices the sizes of a
family in proportion to their normalization factor (page "How Reserved Instances are applied",
where `large` counts 4; here it counts 1), so one price per family carries every size. Sizes that
deviate are spelled out. Bare metal is left out: some of it costs a tenth more than its size says.
"""

import re
from collections.abc import Iterable

LARGE_USD_PER_HOUR = {
    # burstable
    "t2": 0.0928,
    "t3": 0.0832,
    "t3a": 0.0752,
    "t4g": 0.0672,
    # general purpose
    "a1": 0.051,
    "m4": 0.1,
    "m5": 0.096,
    "m5a": 0.086,
    "m5ad": 0.103,
    "m5d": 0.113,
    "m5dn": 0.136,
    "m5n": 0.119,
    "m5zn": 0.1652,
    "m6a": 0.0864,
    "m6g": 0.077,
    "m6gd": 0.0904,
    "m6i": 0.096,
    "m6id": 0.11865,
    "m6idn": 0.15912,
    "m6in": 0.13923,
    "m7a": 0.11592,
    "m7g": 0.0816,
    "m7gd": 0.1068,
    "m7i": 0.1008,
    "m7i-flex": 0.09576,
    "m8g": 0.08976,
    # compute optimized
    "c4": 0.0995,
    "c5": 0.085,
    "c5a": 0.077,
    "c5ad": 0.086,
    "c5d": 0.096,
    "c5n": 0.108,
    "c6a": 0.0765,
    "c6g": 0.068,
    "c6gd": 0.0768,
    "c6gn": 0.0864,
    "c6i": 0.085,
    "c6id": 0.1008,
    "c6in": 0.1134,
    "c7a": 0.10264,
    "c7g": 0.0725,
    "c7gd": 0.0907,
    "c7gn": 0.1248,
    "c7i": 0.08925,
    "c7i-flex": 0.08479,
    "c8g": 0.07976,
    # memory optimized
    "r4": 0.133,
    "r5": 0.126,
    "r5a": 0.113,
    "r5ad": 0.131,
    "r5b": 0.149,
    "r5d": 0.144,
    "r5dn": 0.167,
    "r5n": 0.149,
    "r6a": 0.1134,
    "r6g": 0.1008,
    "r6gd": 0.1152,
    "r6i": 0.126,
    "r6id": 0.1512,
    "r6idn": 0.19503,
    "r6in": 0.17433,
    "r7a": 0.15215,
    "r7g": 0.1071,
    "r7gd": 0.1361,
    "r7i": 0.1323,
    "r7iz": 0.186,
    "r8g": 0.11782,
    "x2gd": 0.167,
    "z1d": 0.186,
}
"""USD per hour of the `large` size of a family, or what it would cost."""

_DEVIATING_USD_PER_HOUR = {"t2.small": 0.023, "c4.large": 0.1}

_SMALL_SIZES = {
    "nano": 1 / 16,
    "micro": 1 / 8,
    "small": 1 / 4,
    "medium": 1 / 2,
    "large": 1.0,
    "xlarge": 2.0,
}


def on_demand_prices(instance_types: Iterable[str]) -> dict[str, float]:
    """USD per hour by instance type; types without a known price are absent."""
    prices: dict[str, float] = {}
    for instance_type in instance_types:
        family, _, size = instance_type.partition(".")
        large = LARGE_USD_PER_HOUR.get(family)
        weight = _larges(size)
        if large is not None and weight is not None:
            prices[instance_type] = _DEVIATING_USD_PER_HOUR.get(
                instance_type, round(large * weight, 5)
            )
    return prices


def _larges(size: str) -> float | None:
    """How many `large` a size costs; None for a size that has no such rule."""
    if size in _SMALL_SIZES:
        return _SMALL_SIZES[size]
    match = re.fullmatch(r"(\d+)xlarge", size)
    return 2.0 * int(match[1]) if match else None
