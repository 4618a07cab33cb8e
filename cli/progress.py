"""A progress bar for the terminal; it disappears when the work is done.

Elsewhere nothing is printed: rich would end every bar with an empty line, disabled or not.
"""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

__all__ = ["counting", "measuring", "waiting"]


def waiting(console: Console, *, quiet: bool = False) -> Progress:
    """The current step and the elapsed time."""
    return _bar(console, quiet)


def measuring(console: Console | None = None, *, quiet: bool = False) -> Progress:
    """With the completed share in percent."""
    return _bar(console, quiet, TextColumn("{task.percentage:>3.0f} %"))


def counting(console: Console) -> Progress:
    """With the number of completed items out of all."""
    return _bar(console, False, MofNCompleteColumn())


def _bar(console: Console | None, quiet: bool, *columns: ProgressColumn) -> Progress:
    console = console or Console()
    silent = quiet or not console.is_terminal
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        console=Console(quiet=True) if silent else console,
        transient=True,
        disable=silent,
    )
