"""What all Describe operations share: filters, ids, pages, tags in replies.

Sources: EC2 API reference, "Filter" data type (names are case-sensitive, values OR, filters AND,
wildcards * and ?) and "Pagination" (MaxResults and NextToken).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from botocore.utils import parse_timestamp

from simulator.limits import LIMITS
from simulator.world.errors import AwsError
from simulator.world.operations import Params
from simulator.world.state import WorldState

Row = dict[str, Any]
FilterPaths = Mapping[str, str]

_PAGES_KEPT = 256


def tag_list(state: WorldState, resource_id: str) -> list[dict[str, str]]:
    """Tags of a resource as replies carry them, sorted by key."""
    tags = state.tags.get(resource_id, {})
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def filtered(rows: Iterable[Row], params: Params, paths: FilterPaths) -> list[Row]:
    """Rows that pass `Filters`; `paths` maps filter names to dotted paths within a row.

    tag:<key> and tag-key work wherever rows have `Tags`. Raises InvalidParameterValue for an
    unknown name and FilterLimitExceeded beyond 200 values.
    """
    tests = [_test(item, paths) for item in params.get("Filters", ())]
    if not tests:
        return list(rows)
    return [row for row in rows if all(test(row) for test in tests)]


def _test(item: Params, paths: FilterPaths) -> Callable[[Row], bool]:
    name, values = item.get("Name", ""), item.get("Values", [])
    if len(values) > LIMITS.filter_values:
        raise AwsError("FilterLimitExceeded", f"The filter '{name}' has more than 200 values.")
    match = matcher(tuple(values))
    read = _reader(name, paths)
    return lambda row: any(match(text(value)) for value in read(row))


def _reader(name: str, paths: FilterPaths) -> Callable[[Row], Iterator[Any]]:
    if name.startswith("tag:"):
        key = name[4:]
        return lambda row: (t["Value"] for t in row.get("Tags", ()) if t["Key"] == key)
    if name == "tag-key":
        return lambda row: (t["Key"] for t in row.get("Tags", ()))
    if name not in paths:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    parts = tuple(paths[name].split("."))
    return lambda row: values_at(row, parts)


def values_at(value: Any, parts: Sequence[str]) -> Iterator[Any]:
    """All values at a path; lists on the way are looked through."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from values_at(item, parts)
    elif not parts:
        if value is not None:
            yield value
    elif isinstance(value, dict) and parts[0] in value:
        yield from values_at(value[parts[0]], parts[1:])


def text(value: Any) -> str:
    """A value as filters spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value)


@lru_cache(maxsize=512)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a text fits any pattern; * and ? are wildcards, a backslash takes one literally."""
    plain = {p for p in patterns if not re.search(r"[*?\\]", p)}
    wild = [_wildcard(p) for p in patterns if p not in plain]
    return lambda value: value in plain or any(regex.fullmatch(value) for regex in wild)


def _wildcard(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    special = {"*": ".*", "?": "."}
    return re.compile(
        "".join(special.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL
    )


def page(
    state: WorldState,
    operation: str,
    rows: list[Any],
    params: Params,
    *,
    smallest: int = 5,
    largest: int = 1000,
) -> tuple[list[Any], str | None]:
    """One page of `rows` and the token of the next, None at the end.

    The rest of a listing is kept as it was at the first call, so that pages neither repeat nor
    skip. Raises InvalidParameterValue for MaxResults outside [smallest, largest] and
    InvalidPaginationToken for a token that is unknown, of another operation or too old.
    """
    size = params.get("MaxResults", largest)
    if not smallest <= size <= largest:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. "
            f"Expecting a value between {smallest} and {largest}.",
        )
    if token := params.get("NextToken"):
        rows = remembered(state, operation, token)
    return rows[:size], remember(state, operation, rows[size:])


def remember(state: WorldState, operation: str, rest: list[Any]) -> str | None:
    """Keep the rest of a listing; return its token, None when nothing is left."""
    if not rest:
        return None
    token = state.digest("page", state.count("page")).hex()
    state.pages[token] = (operation, rest)
    while len(state.pages) > _PAGES_KEPT:
        state.pages.popitem(last=False)
    return token


def remembered(state: WorldState, operation: str, token: str) -> list[Any]:
    """The rest of a listing that `token` names."""
    kept = state.pages.get(token)
    if kept is None or kept[0] != operation:
        raise AwsError(
            "InvalidPaginationToken", f"The pagination token '{token}' is not valid or expired."
        )
    return kept[1]


def no_paging_with_ids(params: Params, ids_name: str) -> None:
    """EC2 refuses MaxResults beside explicit ids."""
    if params.get(ids_name) and "MaxResults" in params:
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameter {ids_name[0].lower()}{ids_name[1:]} cannot be used with the "
            "parameter maxResults",
        )


def select(known: Mapping[str, Any], ids: Sequence[str], code: str, noun: str) -> list[Any]:
    """The things with these ids (all when none are given); raises `code` for unknown ones."""
    if not ids:
        return list(known.values())
    missing = [item for item in ids if item not in known]
    if missing:
        plural = len(missing) > 1
        raise AwsError(
            code,
            f"The {noun} ID{'s' if plural else ''} '{', '.join(missing)}' "
            f"{'do' if plural else 'does'} not exist",
        )
    return [known[item] for item in dict.fromkeys(ids)]


def utc(when: Any) -> datetime:
    """A timestamp parameter, in any form that botocore takes, as UTC."""
    moment: datetime = when if isinstance(when, datetime) else parse_timestamp(when)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
