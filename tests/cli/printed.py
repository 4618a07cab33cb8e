"""What commands print."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from typer.testing import Result

from cli.happenings import print_happening
from simulator.happenings import Happening

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:?\d\d|Z)?")
_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")


def document_of(result: Result) -> Any:
    """The document, which must be all of standard output. Its times are in ISO 8601, with their zone."""
    document = json.loads(result.stdout)
    for text in _texts(document):
        if _TIME.fullmatch(text):
            assert _ISO_8601.fullmatch(text), text
    return document


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def on_terminal(happening: Happening, *, width: int = 100, whole: bool = True) -> str:
    """A happening as the terminal shows it."""
    file = io.StringIO()
    print_happening(happening, Console(file=file, width=width), whole=whole)
    return file.getvalue()


def in_a_line(happening: Happening) -> str:
    """All that the terminal shows of it, without breaks."""
    return " ".join(on_terminal(happening).split())
