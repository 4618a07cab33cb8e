"""How long the demo's 24 virtual hours take: `.venv/bin/python benchmarks/simulate_day.py`."""

import os
import platform
from time import perf_counter

from simulator.demo import demo
from simulator.markets import builtin_market
from simulator.simulation import simulate


def main() -> None:
    began = perf_counter()
    market = builtin_market(1, None, 24)
    summary = simulate(demo(), market, seed=1)
    # perf_counter is not moved by the virtual clock.
    seconds = perf_counter() - began
    calls = sum(summary.aws_calls.values())
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(
        f"24 virtual hours: {seconds:.1f} s, {1000 * seconds / 288:.0f} ms a tick of both schedules"
    )
    print(f"{len(market.prices.pools)} pools, {len(summary.switches)} switches, {calls} AWS calls")


if __name__ == "__main__":
    main()
