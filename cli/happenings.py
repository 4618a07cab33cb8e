"""How a happening looks on the terminal."""

from rich.text import Text

from simulator.happenings import Happening

_STYLES = {
    "decision": "cyan",
    "launched": "blue",
    "no capacity": "yellow",
    "switched": "bold green",
    "not switched": "bold red",
    "taken over": "yellow",
    "rescued": "bold green",
    "not rescued": "bold red",
    "signal": "bold magenta",
    "refused": "magenta",
    "scripted": "dim italic",
    "fault": "bold yellow",
}
_NOBODY = {"fault": "stack"}
"""Who is named where it is no workload's own."""


def line(happening: Happening) -> Text:
    """One line: time, workload, what, and why."""
    text = Text(f"{happening.time:%H:%M} ", style="dim")
    text.append(
        f"{happening.workload_id or _NOBODY.get(happening.kind, 'script'):<12}", style="bold"
    )
    text.append(f"{happening.kind:<13}", style=_STYLES[happening.kind])
    text.append(happening.text)
    return text
