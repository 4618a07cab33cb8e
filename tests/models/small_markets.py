"""A synthetic market with the properties of real ones: cadence, persistent direction, ticks."""

import csv
from pathlib import Path

import numpy as np

from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.vocabulary import Pool

START_S = 1_700_006_400
"""2023-11-15 00:00 UTC."""
HOUR_S = 3_600
DAY_S = 86_400
TYPES = ("m5.large", "m5.xlarge", "c5.large", "r5.large")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def small_market(days: float, seed: int = 7) -> list[PriceRow]:
    """Twelve pools that change every 5 to 7 hours, mostly in the same direction; one never changes."""
    chance = np.random.default_rng(seed)
    rows: list[PriceRow] = []
    for number, pool in enumerate(Pool(t, z) for t in TYPES for z in ZONES):
        ticks, direction, time_s = 400 + 100 * number, 1, float(START_S)
        while time_s < START_S + days * DAY_S:
            rows.append((pool, int(time_s), round(ticks * 1e-4, 4)))
            time_s += chance.uniform(5, 7) * HOUR_S if number else DAY_S
            if not number:
                continue
            direction = direction if chance.random() < 0.85 else -direction
            step = 25 if chance.random() < 0.04 else 1 + chance.integers(3)
            ticks = max(100, ticks + direction * int(step))
    return rows


def write_csv(path: Path, rows: list[PriceRow]) -> Path:
    """Write rows as a file in the format of AWS's tools."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["Timestamp", "InstanceType", "AvailabilityZone", "SpotPrice"])
        for pool, time_s, price in rows:
            out.writerow([time_s, pool.instance_type, pool.availability_zone, price])
    return path
