"""Read a user's CSV or JSON as records whose columns are found by their meaning.

Case, ``_``, ``-`` and spaces of a column's name make no difference. CSV may be separated by commas,
semicolons, tabs or bars, may begin with lines that are no header (AWS's bulk price list), and may
repeat its header (joined files). JSON may be several documents: lines, or pages in a row.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, TextIO

from spot_optimizer.market.file_text import UnreadableFile, shown

Rows = Iterable[Mapping[str, Any]]

_SEPARATORS = (",", ";", "\t", "|")
_HEADER_WITHIN = 20
"""Lines: AWS's bulk price list has five before its header."""
_NAMES_SHOWN = 12
_NO_DIFFERENCE = re.compile(r"[\s_-]")
_SPACE = re.compile(r"[ \t\r\n]*")
_AS_TEXT = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
"""Numbers stay text, as in CSV: no number is too long."""
_CLI_TEXT = "spotpricehistory"
"""What each row of ``aws ec2 describe-spot-price-history --output text`` begins with."""


class Records:
    """Iterates over a file's records: for each, the text of every meaning in their order, "" if it has
    none."""

    def __init__(
        self,
        text: TextIO,
        meanings: Mapping[str, Sequence[str]],
        required: Sequence[Sequence[str]],
        json_rows: Callable[[Any], Rows],
    ) -> None:
        """``meanings``: meaning -> spellings. ``required``: of each group one meaning must be there.
        ``json_rows`` gives the rows of a JSON document."""
        self._text, self._meanings, self._required = text, meanings, required
        self._json_rows = json_rows
        self._meaning_of = {_plain(s): m for m, spellings in meanings.items() for s in spellings}
        self.columns: dict[str, str] = {}
        """Meaning -> name of its column, of all records so far."""
        self.ignored: set[str] = set()
        """Names of columns without a meaning."""
        self.repeated_headers = 0

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Raises UnreadableFile: neither CSV nor JSON, or columns that are missing or there twice."""
        lines = iter(self._text)
        first = next((line for line in lines if line.strip()), "")
        if first.lstrip()[:1] in ("{", "["):
            return self._of_json(first + self._text.read())
        return self._of_csv(chain([first], lines))

    def _of_csv(self, lines: Iterator[str]) -> Iterator[tuple[str, ...]]:
        head = list(islice(lines, _HEADER_WITHIN))
        separator, before = self._find_header(head)
        reader = csv.reader(chain(head[before:], lines), delimiter=separator, strict=True)
        try:
            header = next(reader, [])
            pick, width, names = self._pick(header), len(header), set(header)
            for row in reader:
                if not row:
                    continue
                row += [""] * max(1, width - len(row) + 1)
                texts = pick(row)
                if texts[0] in names and self._is_header(row):
                    self.repeated_headers += 1
                    header = row[: len(row) - 1]
                    pick, width = self._pick(header), len(header)
                else:
                    yield texts
        except csv.Error as error:
            line = reader.line_num + before
            raise UnreadableFile(f"the file is not CSV: line {line}: {error}") from error

    def _find_header(self, head: list[str]) -> tuple[str, int]:
        """The separator, and the number of lines before the header; the first line if none is one."""
        best = (0, _SEPARATORS[0], 0)
        for separator in _SEPARATORS:
            reader = csv.reader(head, delimiter=separator)
            before = 0
            try:
                for row in reader:
                    if self._is_header(row):
                        return separator, before
                    if not before:
                        best = max(best, (len(self._found(row)), separator, 0), key=lambda b: b[0])
                    before = reader.line_num
            except csv.Error:
                continue
        return best[1:]

    def _of_json(self, text: str) -> Iterator[tuple[str, ...]]:
        plans: dict[tuple[str, ...], list[str | None]] = {}
        for document in _documents(text):
            for row in self._json_rows(document):
                plan = plans.get(tuple(row))
                if plan is None:
                    self._add(row)
                    named = {m: names[0] for m, names in self._found(row).items()}
                    plan = plans[tuple(row)] = [named.get(meaning) for meaning in self._meanings]
                yield tuple("" if name is None else _text_of(row[name]) for name in plan)
        if plans:
            self._require()

    def _pick(self, header: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
        """What takes the cell of each meaning from a row that ends with an empty cell."""
        self.columns.clear()
        self._add(header)
        self._require()
        return itemgetter(
            *(
                header.index(self.columns[meaning]) if meaning in self.columns else -1
                for meaning in self._meanings
            )
        )

    def _add(self, names: Iterable[str]) -> None:
        """Add columns, each of another meaning."""
        self.ignored.update(name for name in names if _plain(name) not in self._meaning_of)
        for meaning, found in self._found(names).items():
            first, second = self.columns.get(meaning, found[0]), found[-1]
            if len(found) > 1 or first != second:
                raise UnreadableFile(
                    f"two columns for the {meaning}: {shown(first)} and {shown(second)}; keep one"
                )
            self.columns[meaning] = first

    def _found(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Meaning -> the columns that have it."""
        found: dict[str, list[str]] = {}
        for name in names:
            meaning = self._meaning_of.get(_plain(name))
            if meaning is not None:
                found.setdefault(meaning, []).append(name)
        return found

    def _is_header(self, row: Sequence[str]) -> bool:
        found = self._found(row)
        return all(any(meaning in found for meaning in group) for group in self._required)

    def _require(self) -> None:
        missing = [
            f"{group[0]} (allowed: {', '.join(s for m in group for s in self._meanings[m])})"
            for group in self._required
            if not any(meaning in self.columns for meaning in group)
        ]
        if not missing:
            return
        there = sorted({*self.ignored, *self.columns.values()})
        if any(name.casefold().startswith(_CLI_TEXT + "\t") for name in there):
            raise UnreadableFile(
                "the file is text output of the AWS CLI, which has no column names: use --output json"
            )
        listed = ", ".join(shown(name) for name in there[:_NAMES_SHOWN]) or "nothing"
        more = f" and {len(there) - _NAMES_SHOWN} more" if len(there) > _NAMES_SHOWN else ""
        raise UnreadableFile(
            f"no column for the {' and the '.join(missing)}; there is {listed}{more}"
        )


def _documents(text: str) -> Iterator[Any]:
    """The JSON documents of a text, one after the other."""
    position = _end_of_space(text, 0)
    while position < len(text):
        try:
            document, position = _AS_TEXT.raw_decode(text, position)
        except RecursionError as error:
            raise UnreadableFile("the JSON is nested too deeply") from error
        except ValueError as error:
            raise UnreadableFile(f"the file is not JSON: {error}") from error
        yield document
        position = _end_of_space(text, position)


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return f"({'an object' if isinstance(value, dict) else 'a list'})"
    return "" if value is None else str(value)


def _plain(name: str) -> str:
    return _NO_DIFFERENCE.sub("", name).casefold()
