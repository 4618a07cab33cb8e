"""Which candidate to try after EC2 has refused to launch others."""

import re
from collections.abc import Hashable, Sequence
from typing import Protocol

from spot_optimizer.vocabulary import Lifecycle, Scope


class Placement(Protocol):
    """A place to launch in: a decision's candidate."""

    @property
    def instance_type(self) -> str: ...

    @property
    def availability_zone(self) -> str: ...

    @property
    def lifecycle(self) -> Lifecycle: ...

    @property
    def subnet_id(self) -> str: ...


def next_candidate(
    candidates: Sequence[Placement], refused: Sequence[tuple[int, Scope]]
) -> int | None:
    """Index of the first candidate, in rank order, that no refusal so far rules out; None if there is
    none."""
    return next(iter(open_candidates(candidates, refused)), None)


def open_candidates(
    candidates: Sequence[Placement], refused: Sequence[tuple[int, Scope]]
) -> list[int]:
    """Indexes of the candidates that no refusal so far rules out, in rank order.

    Every scope includes the refused candidate, so none is tried twice; TIME and NOTHING include all.
    Spot and on-demand capacity of one type and zone are two pools.
    """
    ruled_out = {(scope, _shared(candidates[index], scope)) for index, scope in refused}
    return [
        index
        for index, candidate in enumerate(candidates)
        if not any((scope, _shared(candidate, scope)) in ruled_out for scope in Scope)
    ]


def _shared(candidate: Placement, scope: Scope) -> Hashable:
    match scope:
        case Scope.POOL:
            return candidate.instance_type, candidate.availability_zone, candidate.lifecycle
        case Scope.SUBNET:
            return candidate.subnet_id
        case Scope.ZONE:
            return candidate.availability_zone
        case Scope.FAMILY:
            return family_class(candidate.instance_type), candidate.lifecycle
        case Scope.LIFECYCLE:
            return candidate.lifecycle
        case _:
            return None


_STANDARD = frozenset({"a", "c", "d", "h", "i", "m", "r", "t", "z"})
_CLASS_OF_LETTERS = {
    "g": "G and VT",
    "gr": "G and VT",
    "vt": "G and VT",
    "im": "Standard",
    "is": "Standard",
    "u": "High memory",
    "mac": "Mac",
}


def family_class(instance_type: str) -> str:
    """The class of families that share one vCPU quota ("Amazon EC2 instance type quotas").

    ``Standard`` for A, C, D, H, I, M, R, T and Z, ``G and VT``, ``High memory``, otherwise the
    family's letters in capitals (P, F, INF, TRN, X, HPC, DL). On-demand and spot each have a quota for
    each class.
    """
    match = re.match(r"[a-z]+", instance_type)
    letters = match.group() if match else instance_type
    return "Standard" if letters in _STANDARD else _CLASS_OF_LETTERS.get(letters, letters.upper())
