"""References of the site, made from the code's own tables when the site is built.

A page asks for one by a directive, such as::

    ```{reference} parameters
    ```
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from pydantic import TypeAdapter

from cli.main import COMMANDS, app
from simulator.deployed import TEMPLATE
from spot_optimizer.contracts import announcements
from spot_optimizer.switching.workload_tags import TAGS, setting_rows


class _Intrinsic(yaml.SafeLoader):
    """Reads CloudFormation's short forms, whose values no reference shows."""


_Intrinsic.add_multi_constructor("!", lambda _loader, tag, _node: tag)


def template() -> dict[str, Any]:
    """The template as it is written."""
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Intrinsic)
    return loaded


def tags() -> Iterator[str]:
    """Every tag of an instance."""
    yield "| tag | allowed | default | meaning |"
    yield "|---|---|---|---|"
    for tag in (*TAGS, *setting_rows()):
        yield f"| `{tag.name}` | {tag.allowed} | {tag.default or '-'} | {tag.meaning} |"


def parameters() -> Iterator[str]:
    """Every parameter of the template, in the groups of CloudFormation's console."""
    source = template()
    for group in source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        yield from (f"**{group['Label']['default']}**", "")
        yield "| parameter | allowed | default | meaning |"
        yield "|---|---|---|---|"
        for name in group["Parameters"]:
            rows = source["Parameters"][name]
            default = f"`{rows['Default']}`" if rows["Default"] != "" else "empty"
            meaning = " ".join(rows["Description"].split())
            yield f"| `{name}` | {_allowed(rows)} | {default} | {meaning} |"
        yield ""


def _allowed(parameter: dict[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(str(value) for value in parameter["AllowedValues"])
    if "MinValue" in parameter:
        return f"{parameter['MinValue']} to {parameter['MaxValue']}"
    return " ".join(parameter.get("ConstraintDescription", "a name").split())


def outputs() -> Iterator[str]:
    """Every output of the stack."""
    yield "| output | what |"
    yield "|---|---|"
    for name, rows in template()["Outputs"].items():
        yield f"| `{name}` | {' '.join(rows['Description'].split())} |"


def alarms() -> dict[str, str]:
    """Alarm -> what its description in CloudWatch says, without the link to its runbook."""
    return {
        name: " ".join(rows["Properties"]["AlarmDescription"].split()).partition(" Runbook: ")[0]
        for name, rows in template()["Resources"].items()
        if rows["Type"] == "AWS::CloudWatch::Alarm"
    }


def alarm_table() -> Iterator[str]:
    """Every alarm."""
    yield "| alarm | what it says |"
    yield "|---|---|"
    for name, text in alarms().items():
        yield f"| [`{name}`](#{name.lower()}) | {text} |"


def commands() -> Iterator[str]:
    """Every command with its options."""
    import typer

    group: Any = typer.main.get_command(app)
    for command in COMMANDS:
        click = group.commands[command.name]
        text = " ".join((click.help or "").split())
        yield from (f"## {command.name}", "", text, "")
        yield from ("```", f"spot-optimizer {command.example}", "```", "")
        yield "| option | meaning |"
        yield "|---|---|"
        for param in click.params:
            names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
            yield f"| {names} | {' '.join((param.help or '').split())} |"
        yield ""


def events() -> Iterator[str]:
    """Every event on the stack's bus, with the fields of its detail."""
    contracts = vars(announcements).values()
    for contract in contracts:
        if not (isinstance(contract, type) and contract.__module__ == announcements.__name__):
            continue
        detail_type = re.findall(r"``(.+?)``", contract.__doc__ or "")[0]
        yield from (f"## {detail_type}", "", "| field | type |", "|---|---|")
        for name, field in TypeAdapter(contract).json_schema()["properties"].items():
            yield f"| `{name}` | {_type(field)} |"
        yield ""


def _type(field: dict[str, Any]) -> str:
    """A field of a JSON schema in a word or two."""
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return {"DecisionKind": "kind of decision"}.get(field["$ref"].rpartition("/")[2], "object")
    return {"string": "text", "date-time": "time, ISO 8601"}.get(
        str(field.get("format", field.get("type"))), str(field.get("type"))
    )


def _escaped(line: str) -> str:
    """In a table a star is a star: patterns of types have some."""
    return line.replace("*", r"\*") if line.startswith("|") else line


REFERENCES: dict[str, Callable[[], Iterator[str]]] = {
    "tags": tags,
    "parameters": parameters,
    "outputs": outputs,
    "alarms": alarm_table,
    "commands": commands,
    "events": events,
}


class Reference(Directive):
    """Puts the lines of a reference in its place."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Raises the directive's error for an unknown name."""
        name = self.arguments[0]
        if name not in REFERENCES:
            raise self.error(f"reference {name}: allowed are {', '.join(REFERENCES)}")
        lines = StringList([_escaped(line) for line in REFERENCES[name]()])
        holder = nodes.container()
        self.state.nested_parse(lines, self.content_offset, holder, match_titles=True)
        return holder.children


_OUTSIDE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)\s]+)\)")
_RECORDS = """

```{toctree}
:hidden:
:glob:

[0-9]*
```
"""


def for_the_site(_site: Any, page: str, source: list[str]) -> None:
    """A link to a file of the repository, which is not on the site, becomes its path; the index of
    decisions names all records."""
    if page == "decisions/README":
        source[0] += _RECORDS
        return

    def path(link: re.Match[str]) -> str:
        target = (TEMPLATE.parent / "docs" / page).parent / link[2].partition("#")[0]
        inside = target.resolve().relative_to(TEMPLATE.parent)
        return f"{link[1]} (`{inside}`)"

    if "/" not in page:
        source[0] = _OUTSIDE.sub(path, source[0])


def setup(site: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    site.add_directive("reference", Reference)
    site.connect("source-read", for_the_site)
    return {"parallel_read_safe": True}
