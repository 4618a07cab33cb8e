"""What ``spot-optimizer --help`` costs beside a bare Typer application with as many commands:
`.venv/bin/python -m benchmarks.start`. CPU time and peak memory, median of ten processes each.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cli.main import COMMANDS

RUNS = 10
_BARE = '''
import typer

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
for number in range(NUMBER):
    def command(first: str, second: int = 1, third: bool = False) -> None:
        """One line."""
    app.command(f"command-{number}")(command)
app()
'''
_OURS = "from cli.main import app; app()"


def _median(script: str) -> tuple[float, float]:
    """CPU seconds and MB of a process that prints the help."""
    seconds, megabytes = [], []
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(script)
        file.flush()
        for _ in range(RUNS):
            root = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
            process = subprocess.Popen(
                [sys.executable, file.name, "--help"], env=root, stdout=subprocess.DEVNULL
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            seconds.append(used.ru_utime + used.ru_stime)
            megabytes.append(used.ru_maxrss / 1024)  # kilobytes on Linux
    return statistics.median(seconds), statistics.median(megabytes)


def main() -> None:
    bare_s, bare_mb = _median(_BARE.replace("NUMBER", str(len(COMMANDS))))
    ours_s, ours_mb = _median(_OURS)
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    print(f"a bare application with {len(COMMANDS)} commands: {bare_s:.2f} s, {bare_mb:.0f} MB")
    print(f"spot-optimizer --help: {ours_s:.2f} s, {ours_mb:.0f} MB, {ours_s / bare_s:.2f} times")


if __name__ == "__main__":
    main()
