"""HTML and SVG by construction: text is escaped unless it is already markup."""

from html import escape


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


BREAK = Markup("<br>")


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element. ``class_`` is class and ``view_box`` is view-box; None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*parts: str) -> Markup:
    """Parts in a row."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def svg(width: float, height: float, label: str, *children: str) -> Markup:
    """A drawing as wide as the page allows; ``label`` describes it to screen readers."""
    size = f"0 0 {_number(width)} {_number(height)}"
    start = f'<svg viewBox="{size}" role="img" aria-label="{escape(label)}">'
    return Markup(f"{start}{joined(*children)}</svg>")


def hint(text: str) -> Markup:
    """What a browser shows when the pointer rests on the parent."""
    return tag("title", text)


def path(points: list[tuple[float, float]], **attributes: object) -> Markup:
    """A polyline."""
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", d=drawn, **attributes)


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
