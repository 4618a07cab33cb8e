"""Where ``spot-optimizer`` begins: Ctrl-C ends it with one line, and no fault shows its traceback."""

import os
import signal
import sys
import threading

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ends: 128 and the number of SIGINT, as shells count."""
FAULT = 70
"""Exit code of an internal fault: ``EX_SOFTWARE`` of sysexits.h."""
TRACEBACK = "SPOT_OPTIMIZER_TRACEBACK"
"""Environment variable: if it is set, the traceback of an internal fault is shown."""


GRACE_S = 5.0
"""After Ctrl-C a command may print what it has so far, and leave its files whole."""


def run() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, _interrupt)
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


def _interrupt(*_: object) -> None:
    """End the command, and if it does not end, the process: what it waits for may never come."""
    watchdog = threading.Timer(GRACE_S, _end)
    watchdog.daemon = True
    watchdog.start()
    raise KeyboardInterrupt


def _end() -> None:
    """At once: threads of an embedded account may still wait for its clock."""
    print("Interrupted.", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(INTERRUPTED)
