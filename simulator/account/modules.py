"""Attributes replaced for a while."""

import sys
from collections.abc import Callable

__all__ = ["Replacements"]


class Replacements:
    """Replaces attributes of modules and classes, and puts the originals back."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def set(self, owner: object, name: str, value: object) -> None:
        """Replace one attribute."""
        original = vars(owner)[name]
        self._undo.append(lambda: setattr(owner, name, original))
        setattr(owner, name, value)

    def set_everywhere(self, package: str, name: str, value: object) -> None:
        """Replace a name in every loaded module of a package that has imported it."""
        for module_name, module in sorted(sys.modules.items()):
            if module_name.startswith(package) and name in vars(module):
                self.set(module, name, value)

    def undo_with(self, function: Callable[[], object]) -> None:
        """Have :meth:`undo` call ``function`` too."""
        self._undo.append(function)

    def undo(self) -> None:
        """Put everything back, the last replacement first."""
        while self._undo:
            self._undo.pop()()
