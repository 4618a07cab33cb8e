"""What shared libraries require of the system that loads them, read from their files (ELF)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

__all__ = ["Library", "libraries_in", "read_library"]

_ARCHITECTURES = {"EM_AARCH64": "arm64", "EM_X86_64": "x86_64"}


@dataclass(frozen=True)
class Library:
    """One shared library.

    Attributes:
        architecture: arm64 or x86_64.
        name: what others call it (``DT_SONAME``), else the file's name.
        needed: names of the libraries that it requires.
        versions: library to required versions of its symbols.
        defined: symbols that it provides.
        undefined: symbols without a version that another library must provide; weak ones may be missing.
        search: where the loader searches first (``DT_RUNPATH``, ``DT_RPATH``).
    """

    path: Path
    architecture: str
    name: str
    needed: frozenset[str]
    versions: dict[str, frozenset[str]]
    defined: frozenset[str]
    undefined: frozenset[str]
    search: tuple[Path, ...]


def libraries_in(folder: Path) -> Iterator[Library]:
    """Every shared library below a folder."""
    for path in sorted(folder.rglob("*.so*")):
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            yield read_library(path)


def read_library(path: Path) -> Library:
    """One file, as the dynamic loader reads it."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynamic")
        assert isinstance(dynamic, DynamicSection), path
        needed, search, name = set(), [], path.name
        tag: Any  # its attributes have the names of the tags
        for tag in dynamic.iter_tags():
            if tag.entry.d_tag == "DT_NEEDED":
                needed.add(tag.needed)
            elif tag.entry.d_tag == "DT_SONAME":
                name = tag.soname
            elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                text = getattr(tag, "runpath", None) or tag.rpath
                search += [Path(x.replace("$ORIGIN", str(path.parent))) for x in text.split(":")]
        versions: dict[str, set[str]] = {}
        wanted = elf.get_section_by_name(".gnu.version_r")
        if isinstance(wanted, GNUVerNeedSection):
            for library, symbols in wanted.iter_versions():
                assert library.name is not None
                versions.setdefault(library.name, set()).update(s.name for s in symbols)
        defined, undefined = _symbols(elf)
        return Library(
            path,
            _ARCHITECTURES[elf.header.e_machine],
            name,
            frozenset(needed),
            {library: frozenset(found) for library, found in versions.items()},
            frozenset(defined),
            frozenset(undefined),
            tuple(search),
        )


def _symbols(elf: ELFFile) -> tuple[set[str], set[str]]:
    """Names that are provided, and those without a version that are required.

    The symbol table is read at once: pyelftools takes a second for those of OpenBLAS. Layout of an
    ``Elf64_Sym`` and its ``st_info``: elf(5).
    """
    table = elf.get_section_by_name(".dynsym")
    assert isinstance(table, SymbolTableSection)
    names = elf.get_section(table["sh_link"]).data()
    version = elf.get_section_by_name(".gnu.version")
    data = table.data()
    count = len(data) // 24
    indexes = (
        struct.unpack(f"<{count}H", version.data()[: 2 * count])
        if isinstance(version, GNUVerSymSection)
        else (1,) * count
    )
    defined, undefined = set(), set()
    for number, (at, info, _, section, _, _) in enumerate(struct.iter_unpack("<IBBHQQ", data)):
        if number == 0:
            continue
        symbol = names[at : names.index(b"\0", at)].decode()
        if section:
            defined.add(symbol)
        elif info >> 4 == 1 and indexes[number] & 0x7FFF <= 1:  # STB_GLOBAL, of no version
            undefined.add(symbol)
    return defined, undefined
