"""Calls about many ids, of which AWS refuses the whole if it does not know one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import error_code

_Row = TypeVar("_Row")

IDS_MAX = 200
"""Ids in one describe call: far below every limit, and a bad id makes fewer calls fail."""


def batches(ids: Sequence[str], most: int = IDS_MAX) -> Iterator[list[str]]:
    """The ids in their order, at most ``most`` at a time."""
    for first in range(0, len(ids), most):
        yield list(ids[first : first + most])


def read_known(
    ids: Iterable[str],
    read: Callable[[list[str]], Iterable[_Row]],
    is_unknown: Callable[[str], bool],
    most: int = IDS_MAX,
) -> list[_Row]:
    """What ``read`` returns for the ids that AWS knows; without ids, no call.

    ``is_unknown`` accepts the error codes that say that the call names something that is not there.
    Halving finds each such id in few calls. Where a call has filters, they need no halves: an unknown
    id in a filter only finds nothing. Raises every other error.
    """
    rows: list[_Row] = []
    todo = list(batches(sorted(set(ids)), most))
    while todo:
        some = todo.pop(0)
        try:
            rows += read(some)
        except ClientError as error:
            if not is_unknown(error_code(error)):
                raise
            middle = len(some) // 2
            todo[:0] = [half for half in (some[:middle], some[middle:]) if middle]
    return rows
