"""Where ``spot-optimizer`` begins: Ctrl-C ends it with one line, and no fault shows its traceback."""

import os
import sys

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ends: 128 and the number of SIGINT, as shells count."""
FAULT = 70
"""Exit code of an internal fault: ``EX_SOFTWARE`` of sysexits.h."""
TRACEBACK = "SPOT_OPTIMIZER_TRACEBACK"
"""Environment variable: if it is set, the traceback of an internal fault is shown."""


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
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"A fault of spot-optimizer: {what}", file=sys.stderr)
        print(f"Please report it, with what {TRACEBACK}=1 adds.", file=sys.stderr)
        sys.exit(FAULT)


def _end() -> None:
    """At once: threads of an embedded account may still wait for its clock."""
    print("Interrupted.", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(INTERRUPTED)
