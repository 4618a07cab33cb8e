"""What all pages share: style and script."""

from pathlib import Path
from string import Template

_FOLDER = Path(__file__).parent
_SHARED = ("style", "script")


def filled(template: Path, **parts: str) -> str:
    """A page from its template, with the style and the script that all pages share."""
    shared = {name: (_FOLDER / f"{name}.html").read_text(encoding="utf-8") for name in _SHARED}
    return Template(template.read_text(encoding="utf-8")).substitute(**shared, **parts)
