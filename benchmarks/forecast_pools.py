"""All pools of a region, as `refresh_market` does it: `.venv/bin/python benchmarks/forecast_pools.py`.

3,000 pools with 17 days of changes; one core. The daily lesson, once a day, is shown apart.
"""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from models.artifact_files import SHIPPED, read_model
from spot_optimizer.forecast.daily_lessons import learn_from_day
from spot_optimizer.forecast.model_forecaster import ModelForecaster
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import HOUR_S, Pool

POOLS = 3_000
DAYS = 17
NOW_S = 1_700_006_400
LAYER = Path(__file__).parents[1] / "layers" / "spot_optimizer"


def market(rng: np.random.Generator) -> PriceChanges:
    """Pools that change every five to seven hours; a third never does."""
    sizes = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge")
    names = [Pool(f"f{n // 36}.{sizes[n // 6 % 6]}", f"us-east-1{'abcdef'[n % 6]}")
             for n in range(POOLS)]  # fmt: skip
    rows = []
    for number, pool in enumerate(names):
        at_s: float = NOW_S - DAYS * 24 * HOUR_S
        price = 0.05 + 0.001 * number
        while at_s < NOW_S:
            rows.append((pool, int(at_s), round(price, 4)))
            if number % 3 == 0:
                break
            at_s += rng.uniform(5, 7) * HOUR_S
            price *= 1 + rng.normal(0, 0.004)
    return PriceChanges().merge(rows, {})[0]


def cold_import_s() -> float:
    """Seconds to import the service in a fresh interpreter."""
    code = "import time; t = time.perf_counter(); import spot_optimizer.services.refresh_market;"
    answer = subprocess.run(
        [sys.executable, "-c", code + "print(time.perf_counter() - t)"],
        env={**os.environ, "PYTHONPATH": str(LAYER), "POWERTOOLS_TRACE_DISABLED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(answer.stdout)


def main() -> None:
    """Print times and peak memory."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"cold import of refresh_market        {cold_import_s():6.2f} s")
    started = perf_counter()
    model = read_model(SHIPPED)
    print(f"model loaded, LightGBM imported      {perf_counter() - started:6.2f} s")
    changes = market(np.random.default_rng(1))
    forecaster = ModelForecaster(model, model.calibration, {})
    started = perf_counter()
    forecaster.instability(changes, NOW_S)
    for hours in HORIZONS_H:
        forecaster.forecast(changes, NOW_S, hours * HOUR_S)
    print(f"{len(changes.pools)} pools, all horizons, features   {perf_counter() - started:6.2f} s")
    started = perf_counter()
    learn_from_day(model, model.calibration, changes, {}, NOW_S)
    print(f"daily lesson                         {perf_counter() - started:6.2f} s")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory                          {peak_mb:6.0f} MB")


if __name__ == "__main__":
    main()
