"""The clairvoyant program, and a whole backtest: `.venv/bin/python benchmarks/replay_prices.py [HOURS
POOLS]`. Prices are drawn. The backtest replays all policies but the model for one workload among 100
pools over 30 days."""

import os
import platform
import resource
import sys
from time import perf_counter, process_time

import numpy as np

from backtest.billing import Terms
from backtest.clairvoyant import optimum
from backtest.forecasts import LAST_PRICE, PERFECT
from backtest.inputs import Hazard, Wanted, known_types, markets_of
from backtest.runs import Task, replay
from models.markets import Market
from simulator.market.on_demand import on_demand_prices
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Pool

DAYS = 30


def drawn_market(days: int, rng: np.random.Generator) -> Market:
    """Prices that move by a hundredth every six hours, of every general-purpose type from large on."""
    types = sorted(n for n in on_demand_prices(known_types()) if n[:2] in ("m5", "m6", "c5", "r5"))
    on_demand = on_demand_prices(types)
    times = np.arange(0, days * 86_400, 6 * 3_600)
    rows = []
    for name in types[:100]:
        for zone in ("us-east-1a", "us-east-1b"):
            walk = 0.35 * on_demand[name] * np.exp(np.cumsum(rng.normal(0, 0.01, len(times))))
            rows += [
                (Pool(name, zone), int(t), float(usd))
                for t, usd in zip(times, walk.round(4), strict=True)
            ]
    changes, _ = PriceChanges().merge(rows, on_demand)
    return Market("us-east-1", changes, on_demand, 0, days * 86_400)


def print_figures(what: str, began: float, began_cpu: float) -> None:
    """One line of figures."""
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what}: {perf_counter() - began:.2f} s, of these {process_time() - began_cpu:.2f} s on the"
        f" core, peak memory {peak_mib:.0f} MiB"
    )


def main() -> None:
    print(
        f"computer: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    hours, pools = (int(text) for text in (sys.argv[1:] or ("2160", "1500")))
    rng = np.random.default_rng(1)
    prices = np.exp(np.cumsum(rng.normal(0, 0.02, (hours, pools + 1)), axis=0)) * 0.03
    prices[:, -1] = 0.1
    hits = rng.random((1, *prices.shape)) < 1e-4
    hits[:, :, -1] = False
    began, began_cpu = perf_counter(), process_time()
    best = optimum(prices, prices, hits, 0.1, Terms(1 / 6, 1 / 60, 8.0))
    path = best.paths(0, hits)
    print_figures(
        f"clairvoyant optimum, {pools} pools x {hours} hours, {int((path.left >= 0).sum())} switches",
        began, began_cpu,
    )  # fmt: skip
    began, began_cpu = perf_counter(), process_time()
    markets = markets_of(
        [drawn_market(DAYS, rng)], known_types(), Wanted(("m5.large",), 0, ("*",)), Settings(),
        Hazard(share=0.05), days=DAYS - 8, until_s=None, seed=1,
    )  # fmt: skip
    task = Task(
        BUILT_IN, tuple(BUILT_IN), (LAST_PRICE, PERFECT), (None,), 30.0, runs=12, draws=1, seed=1
    )
    done = replay(markets, task, lambda _done, _steps, _what: None)
    policies = len(done.tallies[None])
    print_figures(
        f"backtest, {policies} policies x 12 runs, {len(markets[0].period.pools)} pools x"
        f" {markets[0].period.hours} hours",
        began, began_cpu,
    )  # fmt: skip


if __name__ == "__main__":
    main()
