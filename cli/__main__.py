"""``python -m cli`` is ``spot-optimizer``."""

from cli.entry import run

run()
