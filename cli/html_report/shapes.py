"""The marks of the report and their legend."""

from cli.html_report.markup import Markup, hint, svg, tag

_FLASH = "M1.5 -8L-5.5 1.5H-1L-2.5 8L5.5 -2.5H1Z"
_RING = "M-6.5 0a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0 -13 0ZM-2.4 0a2.4 2.4 0 1 1 4.8 0a2.4 2.4 0 1 1 -4.8 0Z"
_OCTAGON = (
    "M-2.7 -6.5H2.7L6.5 -2.7V2.7L2.7 6.5H-2.7L-6.5 2.7V-2.7Z"
    "M-1.1 -4.2V1H1.1V-4.2ZM-1.1 2.2V4.4H1.1V2.2Z"
)
_SHAPES = {
    "fault": _OCTAGON,
    "done": "M0 -6L6 0L0 6L-6 0Z",
    "failed": "M-5 -5L5 5M5 -5L-5 5",
    "taken-over": "M-6 0H0M0 -5L6 0L0 5Z",
    "failed-over": _RING,
    "failover-failed": "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0ZM-2.6 -2.6L2.6 2.6M2.6 -2.6L-2.6 2.6",
    "refused": "M0 -5L5.5 5L-5.5 5Z",
    "warned": _FLASH,
    "rebalance": _FLASH,
    "ended": _FLASH,
    "STAY": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z",
    "SWITCH": "M0 -6L6 0L0 6L-6 0Z",
    "FALLBACK": "M-5 -5L5 -5L5 5L-5 5Z",
}
_LEGEND = (
    ("done", "switch"),
    ("failed", "failed switch"),
    ("warned", "interruption"),
    ("rebalance", "rebalance recommendation"),
    ("failed-over", "failover"),
    ("failover-failed", "failed failover"),
    ("taken-over", "switch taken over by a failover"),
    ("refused", "launch refused"),
    ("SWITCH held", "decision held"),
)
_FAULTS = (
    ("fault cured", "fault injected, and cured"),
    ("fault undone", "its switch undone"),
    ("fault open", "not cured"),
)


def mark(shape: str, x: float, y: float, text: str, style: str = "") -> Markup:
    """A mark with a hint."""
    return tag(
        "path",
        hint(text),
        class_=f"mark hinted {shape} {style}".strip(),
        d=_SHAPES[shape],
        transform=f"translate({x:.1f} {y:.1f})",
    )


def legend(*, with_faults: bool) -> Markup:
    """Each mark with its meaning; those of faults only if there are faults."""
    entries = (*_LEGEND, *(_FAULTS if with_faults else ()))
    return Markup("\n".join(_entry(style, meaning) for style, meaning in entries))


def _entry(style: str, meaning: str) -> Markup:
    shape = _SHAPES[style.split()[0]]
    figure = tag("path", class_=f"mark {style}", d=shape, transform="translate(11 8)")
    return tag("li", svg(22.0, 16.0, meaning, figure), meaning)
