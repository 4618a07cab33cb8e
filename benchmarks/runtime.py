"""Start time and memory of every function as built: `.venv/bin/python -m benchmarks.runtime [RUNS]`.

Needs `make build` and a Python 3.13. In each of the runs (3) a workload has a switch and a
failover; every function is a process of its own under the emulator of Lambda's runtime (tests/runtime).
The minimum of the runs is shown: the rest is other work of the computer.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.runtime.built import built, local_architecture, python313, why_not_here
from tests.runtime.life import Life, Seen, live

ROOT = Path(__file__).parents[1]
RUNS = 3


def main() -> int:
    """Print a line per function; exit status 1 where it cannot be measured."""
    if (reason := why_not_here()) is not None:
        print(f"Not measured: {reason}", file=sys.stderr)
        return 1
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    lives = [live() for _ in range(runs)]
    version = subprocess.run(
        [python313() or "", "--version"], capture_output=True, text=True
    ).stdout
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, {version.strip()}; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'function':19} {'unzipped':>9} {'init':>7} {'first':>7} {'later':>7} {'memory':>8}")
    for name in sorted({seen.function for seen in lives[0].environments}):
        rows = [seen for life in lives for seen in life.environments if seen.function == name]
        later = min((row.median_s for row in rows if row.median_s is not None), default=None)
        print(
            f"{name:19} {_size_mb(lives[0], name):6.0f} MB {_least(rows, 'init_s'):5.2f} s "
            f"{_least(rows, 'first_s'):5.2f} s {'' if later is None else f'{later:5.2f} s':>7} "
            f"{max(row.peak_mb for row in rows):5.0f} MB"
        )
    return 0


def _least(rows: list[Seen], field: str) -> float:
    return min(float(getattr(row, field)) for row in rows)


def _size_mb(life: Life, name: str) -> float:
    """A function's code and its layers, in units of 2^20 bytes."""
    function = next(each for each in life.functions if each.logical_id == name)
    build = built(local_architecture())
    folders = [function.code, *(build / layer.parent.name for layer in function.layers)]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 2**20


if __name__ == "__main__":
    sys.exit(main())
