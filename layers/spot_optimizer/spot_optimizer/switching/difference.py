"""One difference between an instance and its replacement, and when a difference is acceptable."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One property in which the replacement differs; values as text for people."""

    field: str
    original: str
    replacement: str
    explanation: str = ""
    """Why it is acceptable; empty for a difference that undoes the switch."""

    def __str__(self) -> str:
        changed = f"{self.field}: {self.original} became {self.replacement}"
        return f"{changed} ({self.explanation})" if self.explanation else changed


def value_differences(pairs: Iterable[tuple[str, Any, Any]]) -> Iterator[Difference]:
    """The pairs (name, original, replacement) whose values differ."""
    for name, was, now in pairs:
        if was != now:
            yield Difference(name, str(was), str(now))


def tag_differences(
    name: str, was: Mapping[str, str], now: Mapping[str, str], *, original_as_read: bool
) -> Iterator[Difference]:
    """The tags that differ.

    Tagging tools write their own tags within seconds after a launch. So the replacement must have
    every tag of the original, but an additional tag is acceptable. A different value is acceptable if
    the template asked for the original's (``original_as_read``): it was changed after the launch.
    """
    for key in sorted({*was, *now}):
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        explanation = ""
        if old is None:
            explanation = "not on the original"
        elif new is not None and original_as_read:
            explanation = "changed after the launch"
        yield Difference(f"{name} {key}", str(old), str(new), explanation)
