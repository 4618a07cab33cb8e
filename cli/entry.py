"""Where ``spot-optimizer`` begins: Ctrl-C ends it with one line, whatever it does."""

import os
import sys

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ends: 128 and the number of SIGINT, as shells count."""


def run() -> None:
    """Run the command line."""
    try:
        from cli.main import app

        app()
    except KeyboardInterrupt:
        _end()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer has caught it
            _end()
        raise


def _end() -> None:
    """At once: threads of an embedded account may still wait for its clock."""
    print("Interrupted.", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(INTERRUPTED)
