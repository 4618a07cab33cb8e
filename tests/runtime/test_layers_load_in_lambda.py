"""The layers of both architectures are complete for Lambda's python3.13, and small.

What Amazon Linux 2023 provides: glibc 2.34 and gcc 11 (Amazon Linux 2023 User Guide, "Improved
toolchain: gcc, binutils, and glibc"); that gcc's libstdc++ goes up to GLIBCXX_3.4.29 and
CXXABI_1.3.13 (libstdc++ manual, "ABI Policy and Guidelines"), its libgcc up to GCC_7.0.0. A library
offers all older versions too.
"""

import struct
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from tests.house.repository import resources
from tests.runtime.built import BUILDS, built, python313
from tests.runtime.elf import Library, libraries_in

OFFERED = {
    "GLIBC": (2, 34),
    "GLIBCXX": (3, 4, 29),
    "CXXABI": (1, 3, 13),
    "GCC": (7, 0, 0),
}
OF_THE_SYSTEM = frozenset(
    {
        *("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"),
        *("ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"),
        *("libgcc_s.so.1", "libstdc++.so.6"),
        "libz.so.1",  # Python's own zlib module loads it
    }
)
"""glibc, gcc's runtime and zlib: what AL2023's minimal image holds for its package manager alone
(Amazon Linux 2023 User Guide, "AL2023 Minimal container image"), which Lambda's is made from."""

OF_THE_C_LIBRARY = frozenset({"dladdr"})
"""Asked of nobody in particular: since 2.34 glibc's libc.so.6 holds what was in libdl.so.2 (release
notes of glibc 2.34)."""

OF_PYTHON = ("Py", "_Py")
UNZIPPED_MB_MAX = 250
"""AWS Lambda Developer Guide, "Lambda quotas"; MB are 2^20 bytes."""

MB_MAX = {
    "ForecastingLayer": 110,
    "NumpyLayer": 75,
}
"""Of a function with all its layers, by the heaviest of them."""

LIGHT_MB_MAX = 30
PYTHON313_MAGIC = 3571
"""importlib/_bootstrap_external.py of Python 3.13, ``MAGIC_NUMBER``."""

architectures = pytest.mark.parametrize("architecture", sorted(BUILDS))


@cache
def layers_of(architecture: str) -> dict[str, tuple[Library, ...]]:
    """Layer to its libraries."""
    folder = built(architecture)
    return {name: tuple(libraries_in(folder / name)) for name in layer_names()}


def layer_names() -> list[str]:
    """Logical ids of the template's layers."""
    return sorted(resources("AWS::Serverless::LayerVersion"))


def functions() -> dict[str, list[str]]:
    """Function to its layers."""
    shared = ["SpotOptimizerLayer"]
    return {
        name: shared + [layer["Ref"] for layer in properties.get("Layers", [])]
        for name, properties in resources("AWS::Serverless::Function").items()
    }


def together(architecture: str) -> Iterator[tuple[str, tuple[Library, ...]]]:
    """Each set of layers that some function has, with all libraries of it."""
    for names in sorted({tuple(names) for names in functions().values()}):
        of = layers_of(architecture)
        yield "+".join(names), tuple(library for name in names for library in of[name])


@architectures
def test_libraries_are_of_the_architecture(architecture: str) -> None:
    """A wheel for another processor does not load."""
    libraries = [each for found in layers_of(architecture).values() for each in found]
    assert len(libraries) > 20
    assert {each.architecture for each in libraries} == {architecture}


@architectures
def test_no_symbol_is_newer_than_what_the_system_offers(architecture: str) -> None:
    """A symbol of a newer glibc or gcc keeps a library from loading."""
    too_new = [
        f"{each.path.name}: {version} of {name}"
        for found in layers_of(architecture).values()
        for each in found
        for name, versions in each.versions.items()
        for version in versions
        if name in OF_THE_SYSTEM and not _is_offered(version)
    ]
    assert not too_new


@architectures
def test_every_library_that_is_asked_for_is_there(architecture: str) -> None:
    """It is the system's, lies where the library that wants it looks, or in a layer's lib/."""
    for names, libraries in together(architecture):
        missing = [
            f"{each.path.name} wants {name}"
            for each in libraries
            for name in each.needed - OF_THE_SYSTEM
            if _found(name, each, libraries) is None
        ]
        assert not missing, names


@architectures
def test_every_symbol_of_no_version_is_offered_by_a_library_beside_it(architecture: str) -> None:
    """What is neither the system's nor Python's own is in one of the libraries that are loaded."""
    for names, libraries in together(architecture):
        missing = []
        for each in libraries:
            offered: set[str] = set()
            for other in _loaded_with(each, libraries):
                offered |= other.defined
            missing += [
                f"{each.path.name} wants {symbol}"
                for symbol in each.undefined - offered - OF_THE_C_LIBRARY
                if not symbol.startswith(OF_PYTHON)
            ]
        assert not missing, names


@architectures
def test_versions_of_the_layers_own_libraries_are_met(architecture: str) -> None:
    """LightGBM's libgomp, OpenBLAS's libgfortran: what is asked of them by version is in them."""
    for names, libraries in together(architecture):
        for each in libraries:
            for name, versions in each.versions.items():
                if name not in OF_THE_SYSTEM:
                    own = _found(name, each, libraries)
                    assert own is not None, (names, each.path.name, name)
                    assert versions <= own.defined, (names, each.path.name, name)


@architectures
@pytest.mark.parametrize("function", sorted(functions()))
def test_a_function_with_its_layers_is_small(architecture: str, function: str) -> None:
    """The unzipped size is below Lambda's limit, and small for functions that do not forecast."""
    names = functions()[function]
    code = Path(resources("AWS::Serverless::Function")[function]["CodeUri"])
    folders = [built(architecture) / name for name in names]
    size_mb = sum(map(_size_mb, folders)) + _size_mb(code)
    limit = next((MB_MAX[name] for name in MB_MAX if name in names), LIGHT_MB_MAX)
    assert size_mb < min(limit, UNZIPPED_MB_MAX)


@architectures
def test_layers_of_a_function_do_not_hide_each_other(architecture: str) -> None:
    """Lambda unpacks layers over each other: the same file in two of them would be lost in one."""
    for names in functions().values():
        for one, other in combinations(names, 2):
            both = _files(built(architecture) / one) & _files(built(architecture) / other)
            assert not both, (one, other)


@architectures
def test_modules_have_bytecode_of_the_runtimes_python(architecture: str) -> None:
    """Lambda cannot store what it compiles: without bytecode each cold start compiles everything again.

    Without Python 3.13 there is no bytecode at all.
    """
    for name in layer_names():
        python = built(architecture) / name / "python"
        sources = {path for path in python.rglob("*.py") if path.parent.name != "__pycache__"}
        compiled = {_cached(path) for path in sources if _cached(path).is_file()}
        wanted = len(sources) if python313() else 0
        assert len(compiled) == wanted, (
            f"{name}: `make build` after `rm -r .aws-sam`, if 3.13 is new"
        )
        assert not set(python.rglob("*.pyc")) - compiled, name
        for path in compiled:
            magic, flags = struct.unpack("<H2xI", path.read_bytes()[:8])
            assert (magic, flags) == (PYTHON313_MAGIC, 0b01), path  # by hash, unchecked (PEP 552)


def _is_offered(version: str) -> bool:
    """``GLIBC_2.34`` against the table."""
    name, _, number = version.partition("_")
    if not number[:1].isdigit() or name not in OFFERED:
        return False
    return tuple(map(int, number.split("."))) <= OFFERED[name]


def _found(name: str, wanting: Library, libraries: tuple[Library, ...]) -> Library | None:
    """The library of that name where the loader looks for it (ld.so(8))."""
    places = {place.resolve() for place in wanting.search}
    for each in libraries:
        if each.path.name == name:
            beside = each.path.parent.resolve() in places
            if beside or (
                each.path.parent.name == "lib" and each.path.parents[1].name in layer_names()
            ):
                return each
    return None


def _loaded_with(library: Library, libraries: tuple[Library, ...]) -> list[Library]:
    """The library and all that it needs, and these need, beside the system's."""
    loaded: dict[Path, Library] = {}
    todo = [library]
    while todo:
        each = todo.pop()
        if each.path not in loaded:
            loaded[each.path] = each
            found = [_found(name, each, libraries) for name in each.needed]
            todo += [other for other in found if other is not None]
    return list(loaded.values())


def _cached(source: Path) -> Path:
    return source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
