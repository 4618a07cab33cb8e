"""The code of version 0.1.0, loaded beside today's.

Its package has a name of its own here, so that both can run in one process: as a module of it is
loaded, its imports of ``spot_optimizer`` become imports of ``spot_optimizer_0_1_0``. Nothing else of
it is changed.
"""

import ast
import importlib
import importlib.util
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.house.repository import PACKAGE, ROOT

FIXTURES = Path(__file__).parent / "version_0_1_0"
"""What ``make_fixtures.py`` has made of version 0.1.0."""

OLD_PACKAGE = "spot_optimizer_0_1_0"
_NEW_PACKAGE = "spot_optimizer"
_LAYER = Path("layers/spot_optimizer")
_SHIPPED_MODEL = Path("forecast/shipped")


class OldVersion:
    """Version 0.1.0, unpacked.

    Attributes:
        root: its repository, as far as it was kept: package, functions, state machines, template.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="spot-optimizer-0-1-0-")
        self.root = Path(self._folder.name)
        with zipfile.ZipFile(FIXTURES / "code.zip") as archive:
            archive.extractall(self.root)
        for layer in ("numpy", "forecasting"):
            (self.root / "layers" / layer).mkdir()
        self.package = self.root / _LAYER / _NEW_PACKAGE
        # Four megabytes that both versions read in the same form.
        (self.package / _SHIPPED_MODEL).symlink_to(PACKAGE / _SHIPPED_MODEL)
        # First: Python's own finder would find the modules too, and load them as they are.
        sys.meta_path.insert(0, _Finder(self.package))

    def module(self, name: str) -> Any:
        """A module of the old package: ``module("contracts").SwitchOrder``."""
        return importlib.import_module(f"{OLD_PACKAGE}.{name}")

    def handler(self, function: str) -> Callable[[Any, Any], Any]:
        """The handler of a function, by the name of its folder."""
        return load_handler(self.root, function, f"functions_0_1_0.{function}", _RenamingLoader)


def load_handler(
    root: Path, function: str, module_name: str, loader: type[SourceFileLoader] = SourceFileLoader
) -> Callable[[Any, Any], Any]:
    """The handler of ``functions/<function>/app.py``."""
    path = str(root / "functions" / function / "app.py")
    spec = importlib.util.spec_from_file_location(
        module_name, path, loader=loader(module_name, path)
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Callable[[Any, Any], Any] = module.handler
    return handler


def new_handler(function: str) -> Callable[[Any, Any], Any]:
    """Today's handler of a function, by the name of its folder."""
    return load_handler(ROOT, function, f"functions_of_today.{function}")


@cache
def old_version() -> OldVersion:
    """Version 0.1.0, unpacked once."""
    return OldVersion()


class _Finder(MetaPathFinder):
    """Finds the modules of the old package."""

    def __init__(self, package: Path) -> None:
        self._package = package

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        name, *rest = fullname.split(".")
        if name != OLD_PACKAGE:
            return None
        place = self._package.joinpath(*rest)
        is_package = place.is_dir()
        file = place / "__init__.py" if is_package else place.with_suffix(".py")
        if not file.is_file():
            return None
        return importlib.util.spec_from_file_location(
            fullname,
            file,
            loader=_RenamingLoader(fullname, str(file)),
            submodule_search_locations=[str(place)] if is_package else None,
        )


class _RenamingLoader(SourceFileLoader):
    """Loads a module of the old version under the old package's name."""

    def source_to_code(  # type: ignore[override]  # typeshed has it static, importlib calls it bound
        self, data: Any, path: Any, *, _optimize: int = -1
    ) -> Any:
        tree = ast.parse(data, path)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                node.module = _renamed(node.module)
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith(_NEW_PACKAGE) for alias in node.names), path
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """No bytecode is kept."""


def _renamed(module: str) -> str:
    name, dot, rest = module.partition(".")
    return f"{OLD_PACKAGE}{dot}{rest}" if name == _NEW_PACKAGE else module
