"""A happening as a line on the terminal."""

from rich.text import Text

from simulator.happenings import Happening

_STYLES = {
    "decision": "cyan",
    "launched": "blue",
    "no capacity": "yellow",
    "switched": "bold green",
    "not switched": "bold red",
    "taken over": "yellow",
    "failed over": "bold green",
    "failover failed": "bold red",
    "signal": "bold magenta",
    "refused": "magenta",
    "scripted": "dim italic",
    "fault": "bold yellow",
}
_NOBODY = {"fault": "stack"}
"""Shown in place of a workload if the happening concerns none."""


def line(happening: Happening) -> Text:
    """One line: time, workload, kind and reason."""
    text = Text(f"{happening.time:%H:%M} ", style="dim")
    text.append(
        f"{happening.workload_id or _NOBODY.get(happening.kind, 'script'):<12}", style="bold"
    )
    text.append(f"{happening.kind:<16}", style=_STYLES[happening.kind])
    text.append(happening.text)
    return text
