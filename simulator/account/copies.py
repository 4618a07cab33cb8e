"""Copies of JSON data, which moto's Step Functions interpreter makes at every step.

Patches of moto 5.2.5: what a state is given, gives and keeps for its frame is
copied by ``copy.deepcopy``, which looks for what is held twice; JSON holds nothing twice.
"""

import copy
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import state_parallel
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
)
from moto.stepfunctions.parser.asl.eval import states

from simulator.account.modules import Replacements

__all__ = ["apply_copies", "plain_copy"]

_WHOLE = frozenset({str, int, float, bool, type(None)})


def apply_copies(replacements: Replacements) -> None:
    """Let the interpreter copy by :func:`plain_copy`."""
    quick = SimpleNamespace(deepcopy=plain_copy)
    for module in (
        execute_state,
        result_path,
        state_parallel,
        state_task_service,
        states,
        string_expression,
    ):
        replacements.set(module, "copy", quick)


def plain_copy(value: Any) -> Any:
    """``copy.deepcopy``, many times as fast for what JSON can hold; anything else is left to that.

    What is held twice becomes two, as if it had been written and read again.
    """
    kind = type(value)
    if kind in _WHOLE:
        return value
    if kind is dict:
        return {
            key: inner if type(inner) in _WHOLE else plain_copy(inner)
            for key, inner in value.items()
        }
    if kind is list:
        return [inner if type(inner) in _WHOLE else plain_copy(inner) for inner in value]
    return copy.deepcopy(value)
