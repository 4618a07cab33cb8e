"""Open a user's file as text: plain or gzipped, with any byte order mark. Other files are refused."""

import codecs
import gzip
import io
import re
import zlib
from typing import Any, BinaryIO, TextIO

BYTES_MAX = 64 * 1024 * 1024
"""What an import may unpack. A quarter of a year of a region's prices fits."""

CONVERT = "spot-optimizer convert FILE.parquet FILE.csv.gz"
"""The command that converts parquet to what an import reads."""

_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
_PEEKED = 8192
_ENCODINGS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # what `>` writes in Windows PowerShell 5
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")


class UnreadableFile(ValueError):
    """The file cannot be read; one line says what was found and what is allowed."""

    def __init__(self, text: str) -> None:
        line = " ".join(text.split())
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def shown(value: object) -> str:
    """A value of a user's file as short printable text on one line."""
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def open_text(file: BinaryIO, name: str = "", bytes_max: int | None = None) -> TextIO:
    """The text of ``file``. Bytes that are not text in its encoding become escapes such as ``\\xe9``.

    ``name`` may contradict the content (``.gz``, ``.parquet``): then the file is refused. Raises
    UnreadableFile, also while the text is read: damaged gzip, more than ``bytes_max`` bytes unpacked.
    """
    plain = io.BufferedReader(_Unpacked(file, bytes_max), _PEEKED)
    begin = plain.peek(_PEEKED)[:_PEEKED]
    if not begin:
        raise UnreadableFile("the file is empty")
    _refuse_wrong_name(begin, name.lower())
    if begin.startswith(_GZIP):
        packed = gzip.GzipFile(fileobj=plain)
        plain = io.BufferedReader(_Unpacked(packed, bytes_max), _PEEKED)
        begin = plain.peek(_PEEKED)[:_PEEKED]
    encoding = next((e for mark, e in _ENCODINGS if begin.startswith(mark)), "utf-8-sig")
    _refuse_binary(begin, encoding)
    return io.TextIOWrapper(plain, encoding, errors="backslashreplace", newline="")


def _refuse_wrong_name(begin: bytes, name: str) -> None:
    for ending, mark, kind in ((".gz", _GZIP, "gzip"), (".parquet", _PARQUET, "parquet")):
        if name.endswith(ending) and not begin.startswith(mark):
            raise UnreadableFile(f"the file is named {ending} but is not {kind}")


def _refuse_binary(begin: bytes, encoding: str) -> None:
    if begin.startswith(_PARQUET):
        raise UnreadableFile(
            f"the file is parquet; allowed are CSV and JSON: convert it by `{CONVERT}`"
        )
    if begin.startswith(_ZIP):
        raise UnreadableFile(
            "the file is a zip archive or an Excel workbook; allowed are CSV and JSON, plain or gzipped"
        )
    if _NO_TEXT.search(codecs.decode(begin, encoding, "ignore")):
        raise UnreadableFile("the file is not text; allowed are CSV and JSON, plain or gzipped")


class _Unpacked(io.RawIOBase):
    """The bytes of a file, with the errors of unpacking as UnreadableFile, and a limit."""

    def __init__(self, file: Any, bytes_max: int | None) -> None:
        super().__init__()
        self._file, self._bytes_max, self._read = file, bytes_max, 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        try:
            found = self._file.read(len(into))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnreadableFile(f"the file begins like gzip but is damaged: {error}") from error
        self._read += len(found)
        if self._bytes_max is not None and self._read > self._bytes_max:
            raise UnreadableFile(
                f"the file is larger than {self._bytes_max >> 20} MiB unpacked: split it"
            )
        into[: len(found)] = found
        return len(found)
