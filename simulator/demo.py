"""The demo's scenario, which the commands, tests and benchmarks share."""

from functools import cache

from simulator.scenario import Scenario
from simulator.scenario_file import builtin_run


@cache
def demo() -> Scenario:
    """Read and checked once."""
    return builtin_run("demo").scenario
