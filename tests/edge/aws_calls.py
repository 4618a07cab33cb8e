"""Which AWS actions a function's code can reach, found by reading the code from its handler on."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from botocore import xform_name
from botocore.session import Session

from tests.house.repository import PACKAGE

_IAM_PREFIX = {
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "stepfunctions": "states",
}
"""boto3's name of a service -> its IAM prefix, where they differ (Service Authorization Reference)."""

_COMMON_METHODS = frozenset({*dir(dict), *dir(list), *dir(set), *dir(str), *dir(bytes)})

_TRANSACTION_PARTS = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}
"""A transaction needs the actions of its parts, none of its own (DynamoDB developer guide, "Using
IAM with DynamoDB transactions")."""


class Symbol(NamedTuple):
    """A function, a class or a method (``Class.method``) of a module."""

    module: str
    name: str


class _Module:
    """What a module defines at its top, and what its imported names stand for."""

    def __init__(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.defined: dict[str, ast.AST] = {}
        self.imported: dict[str, Symbol] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.defined |= {t.id: node for t in targets if isinstance(t, ast.Name)}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = Symbol(node.module, alias.name)


@cache
def _module(name: str) -> _Module | None:
    base = PACKAGE.parent.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return _Module(path)
    return None


def actions_of(handler: Path) -> set[str]:
    """IAM actions of the AWS calls that ``handler`` can reach, such as ``ec2:RunInstances``.

    A name leads to what it stands for; an attribute leads to every method of that name in the
    classes that are used, for the code's types are not looked at. Only where dicts and their like
    have such a method too (``update``), the object must have the name of the class.
    """
    found: set[str] = set()
    for node in _reached(handler):
        for each in ast.walk(node):
            found |= set(_actions(each))
    return found - {"dynamodb:TransactWriteItems"}


def _reached(handler: Path) -> list[ast.AST]:
    top = _Module(handler)
    todo: list[tuple[_Module, ast.AST]] = [(top, node) for node in top.defined.values()]
    seen: set[int] = set()
    reached: list[ast.AST] = []
    methods: dict[str, list[tuple[_Module, ast.AST]]] = {}
    used: set[str] = set()
    while todo:
        module, node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and not part.name.startswith("__"):
                    key = part.name
                    if key in _COMMON_METHODS:
                        key = f"{node.name.lower()}.{key}"
                    methods.setdefault(key, []).append((module, part))
                else:
                    todo.append((module, part))
            todo += [(module, base) for base in node.bases]
        else:
            reached.append(node)
            todo += _named(module, node)
            used |= {name for each in ast.walk(node) for name in _attribute(each)}
        todo += [each for name in used & methods.keys() for each in methods[name]]
    return reached


def _attribute(node: ast.AST) -> Iterator[str]:
    """``self.ledger.update`` as ``update`` and ``ledger.update``."""
    if isinstance(node, ast.Attribute):
        yield node.attr
        of = node.value
        if isinstance(of, ast.Name | ast.Attribute):
            yield f"{of.id if isinstance(of, ast.Name) else of.attr}.{node.attr}"


def _named(module: _Module, node: ast.AST) -> Iterator[tuple[_Module, ast.AST]]:
    """What the names in a piece of code stand for, as far as it is code of the package."""
    for each in ast.walk(node):
        symbol = None
        if isinstance(each, ast.Name):
            if each.id in module.defined:
                yield module, module.defined[each.id]
            symbol = module.imported.get(each.id)
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            outer = module.imported.get(each.value.id)
            symbol = outer and Symbol(f"{outer.module}.{outer.name}", each.attr)
        home = _module(symbol.module) if symbol else None
        if symbol and home and symbol.name in home.defined:
            yield home, home.defined[symbol.name]


def _actions(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Dict):
        keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
        if len(keys) == 1:
            yield from (action for part, action in _TRANSACTION_PARTS.items() if part in keys)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return
    made, method = node.func.value, node.func.attr
    if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id == "client":
        if method == "get_paginator":
            method = _text(node.args[0])
        yield _action(_text(made.args[0]), method)


def _text(node: ast.expr) -> str:
    assert isinstance(node, ast.Constant)
    return str(node.value)


@cache
def _operations(service: str) -> dict[str, str]:
    names = Session().get_service_model(service).operation_names
    return {xform_name(name): name for name in names}


def _action(service: str, method: str) -> str:
    operation = _operations(service)[method]
    operation = _ACTIONS.get((service, operation), operation)
    return f"{_IAM_PREFIX.get(service, service)}:{operation}"


_ACTIONS = {("lambda", "Invoke"): "InvokeFunction", ("s3", "ListObjectsV2"): "ListBucket"}
"""Operations whose action has another name (Service Authorization Reference)."""
