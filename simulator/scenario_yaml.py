"""YAML 1.2's booleans and numbers, and no key twice.

PyYAML follows YAML 1.1, where ``off`` is false (a workload's mode may be ``off``), ``1:30`` is ninety,
and the second of two equal keys silently wins.
"""

import re
from typing import Any

import yaml

_CHANGED = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

_SHOWN_MAX = 40


class UnreadableYaml(ValueError):
    """The text is not YAML; the message names the place."""


class _Loader(yaml.SafeLoader):
    """A SafeLoader with its own resolvers."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are all different."""
        keys = [str(key.value) for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)

    def construct_scalar_value(self, node: yaml.ScalarNode) -> Any:
        """A number or a time; an error with its place if the text only looks like one."""
        made = yaml.SafeLoader.yaml_constructors[node.tag]
        try:
            return made(self, node)
        except ValueError as error:
            text = node.value if len(node.value) <= _SHOWN_MAX else f"{node.value[:_SHOWN_MAX]}..."
            raise yaml.constructor.ConstructorError(
                None, None, f"{text!r} cannot be: {error}", node.start_mark
            ) from error


for _tag in ("timestamp", "int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_scalar_value)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _CHANGED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _firsts in (
    (_CHANGED[0], r"true|false", "tf"),
    (_CHANGED[1], r"[-+]?[0-9]+", "-+0123456789"),
    (_CHANGED[2], r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?)", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_firsts))


def load_yaml(text: str) -> Any:
    """The one document in ``text``.

    Raises:
        UnreadableYaml: not YAML, several documents, or a key given twice.
    """
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UnreadableYaml(f"{place}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise UnreadableYaml(str(error).replace("\n", " ")) from error
