"""A happening on the terminal."""

from textwrap import wrap

from rich.console import Console
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
_STEPS = frozenset({"decision", "launched"})
"""Kinds that lead to another one."""
_INDENT = 7
_LINES_OF_WHY = 2
_WIDTH_MAX = 100


def is_step(happening: Happening) -> bool:
    """Whether it only leads to what is shown later. A decision that is held leads to nothing."""
    return happening.kind in _STEPS and "[held: " not in happening.text


def print_happening(happening: Happening, console: Console, *, whole: bool) -> None:
    """Time, workload, kind and text. Below it the reason of a switch, cut unless ``whole``; never that
    of a switch to a higher price."""
    width = min(console.width, _WIDTH_MAX) - _INDENT
    who = happening.workload_id or _NOBODY.get(happening.kind, "script")
    first, *rest = _wrapped(f"{who} {happening.kind}: {happening.text}", width)
    head = Text.assemble((f"{happening.time:%H:%M}  ", "dim"), first)
    head.stylize("bold", _INDENT, _INDENT + len(who))
    begin = _INDENT + len(who) + 1
    head.stylize(_STYLES[happening.kind], begin, begin + len(happening.kind))
    console.print(head)
    for line in rest:
        console.print(f"{'':{_INDENT}}{line}", markup=False)
    if happening.why:
        lines_max = None if whole or " more at " in happening.text else _LINES_OF_WHY
        why = _wrapped(f"because {happening.why}", width, lines_max)
        for line in why:
            console.print(f"{'':{_INDENT}}{line}", markup=False, style="dim")


def _wrapped(text: str, width: int, lines_max: int | None = None) -> list[str]:
    return wrap(
        text,
        width,
        max_lines=lines_max,
        placeholder=" ...",
        break_on_hyphens=False,
        break_long_words=False,
    )
