"""Ctrl-C: one line, exit code 130, and no process is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "spot_optimizer")])


def _interrupted(text: str, *arguments: str) -> tuple[int, list[str], list[str]]:
    """Exit code and lines on both outputs of a command, interrupted when it has printed this."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.rstrip())
        if text in line:
            break
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    return process.returncode, [*said, *rest.splitlines()], errors.splitlines()


def test_simulation_ends_at_once() -> None:
    """In the middle of the account's threads."""
    code, _, errors = _interrupted(" decision: ", "simulate", "--seed", "3")
    assert (code, errors) == (130, ["Interrupted."])


def test_import_can_be_interrupted() -> None:
    """Before there is a command."""
    script = (
        "import builtins, cli.entry\n"
        "def interrupt(*_): raise KeyboardInterrupt\n"
        "builtins.__import__ = interrupt\n"
        "cli.entry.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.splitlines()) == (130, ["Interrupted."])


def test_command_that_does_not_end_is_ended() -> None:
    """Ctrl-C came while something was held that its end needs."""
    script = (
        "import cli.entry, cli.main, os, signal, threading\n"
        "cli.entry.GRACE_S = 0.01\n"
        "def hang():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally: threading.Event().wait()\n"
        "cli.main.app = hang\n"
        "cli.entry.run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.splitlines()) == (130, ["Interrupted."])


@pytest.mark.parametrize("asked", [False, True], ids=["as it is", "asked"])
def test_fault_shows_its_traceback_only_if_asked(asked: bool) -> None:
    """Two lines: what it is, and how to report it."""
    script = (
        "import cli.entry, cli.main\n"
        "def fail(): raise KeyError('pool')\n"
        "cli.main.app = fail\n"
        "cli.entry.run()"
    )
    env = {**os.environ, "PYTHONPATH": PATH} | ({"SPOT_OPTIMIZER_TRACEBACK": "1"} if asked else {})
    result = subprocess.run(
        [sys.executable, "-c", script], env=env, check=False, capture_output=True, text=True
    )
    if asked:
        assert "Traceback" in result.stderr
        assert result.returncode == 1
    else:
        assert result.returncode == 70
        assert result.stderr.splitlines() == [
            "A fault of spot-optimizer: KeyError: 'pool'",
            "Please report it, with what SPOT_OPTIMIZER_TRACEBACK=1 adds.",
        ]
