"""The demo's scenario, which the commands, tests and benchmarks share."""

from simulator.scenario_file import builtin_run

DEMO = builtin_run("demo").scenario
