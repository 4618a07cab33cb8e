"""Every name that users or stored data hold, from the code's own models, as docs/compatibility.md lists
them.

    python -m tests.compatibility.public_names

writes the tables of that page again, for a name that is new or that the code calls by another one.
"""

import ast
import dataclasses
import gzip
import importlib
import io
import json
import pkgutil
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from samtranslator.yaml_helper import yaml_parse

import spot_optimizer.contracts
from spot_optimizer.aws import announcements, data_bucket
from spot_optimizer.aws.ledger import items, models
from spot_optimizer.decision.decision import Candidate, Decision
from spot_optimizer.decision.decision_record import plain_record
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.outcome import Outcome
from spot_optimizer.decision.situation import Situation
from spot_optimizer.settings import Settings
from spot_optimizer.switching import instance_record
from spot_optimizer.switching.workload_tags import TAGS, setting_rows
from spot_optimizer.vocabulary import TAG_PREFIX, DecisionKind, Rule
from spot_optimizer.workflow.engines import GROUP
from tests.compatibility import fixtures
from tests.compatibility.old_version import old_version
from tests.house.repository import FUNCTIONS, PACKAGE, ROOT

PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"

Names = Mapping[str, str]
"""Stored or public name -> name in the code."""
Table = Mapping[str, Names]
"""What holds the names -> the names."""

ENGINE_NAMES = (
    *(
        "Candidate",
        "DecisionKind",
        "Found",
        "Lifecycle",
        "MarketTable",
        "Outcome",
        "Pool",
        "Reason",
    ),
    *("Rejection", "Situation", "Stage", "StagedEngine", "Want", "WorkloadView"),
)
"""Classes that an engine of a user imports."""

RENAMED_IN_RECORDS = {"rescue": "urgent"}
"""Attribute of a decision's record -> field of ``Decision``: records are written without a model."""

_WITHOUT_A_MODEL = {
    "WORKLOAD#id / DECISION#": "decision",
    "WORKLOAD#id, STACK / COMMAND#": "manual request",
    "MODELS / CHANGE#": "change of a model",
    "FORECASTS / day#hours#model": "scores of forecasts",
    "STACK / LEASE#": "lease",
    "INSTANCE#id / POINTER": "pointer: events that were answered",
    "WORKLOAD#id, POOL#pool / SIGNAL#": "signal",
}
_METRIC = re.compile(r"(?:add_metric|publish)\(\s*(?:name=)?\"(\w+)\"")


def tables() -> dict[str, Table]:
    """Heading -> table."""
    return {
        "Ledger: keys": {"partition and sort keys": _same(_key_forms())},
        "Ledger: attributes of items that have a model": _models_of(items.Item, items, models),
        "Ledger: attributes of items that are written as they are": _plain_items(),
        "Data bucket: keys": {"objects": _same(_bucket_keys())},
        "Data bucket: names in objects": _names_in_objects(),
        "Requests, execution inputs, answers of steps and events": _contracts(),
        "Template": _of_template(),
        "Tags, thresholds, metrics, events": _of_users(),
        "Engines": _of_engines(),
    }


def write() -> None:
    """Write the tables into the page."""
    before, rest = page_text().split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{rendered()}\n{END}{after}", encoding="utf-8")


def page_text() -> str:
    """The page as it is."""
    return PAGE.read_text(encoding="utf-8")


def rendered() -> str:
    """The tables as Markdown; a renamed name is shown with its name in the code."""
    parts = []
    for heading, table in tables().items():
        parts += [f"### {heading}", "", "| where | names |", "|---|---|"]
        parts += [f"| {where} | {', '.join(_shown(names))} |" for where, names in table.items()]
        parts.append("")
    parts += [
        "### Modules that an engine imports from",
        "",
        "| name | version 0.1.0 | today |",
        "|---|---|---|",
    ]
    for name, modules in engine_modules().items():
        parts += [f"| `{name}` | `{old}` | `{new}` |" for old, new in modules.items()]
    return "\n".join(parts)


def _shown(names: Names) -> Iterator[str]:
    for stored, code in names.items():
        yield f"`{stored}`" if stored == code else f"`{stored}` (in the code `{code}`)"


def _same(names: Iterable[str]) -> Names:
    return {name: name for name in sorted(set(names))}


# --- the ledger ----------------------------------------------------------------------------------


def _key_forms() -> Iterator[str]:
    for moment in fixtures.ledger().values():
        for row in moment:
            yield _key_form(row["pk"]["S"], row["sk"]["S"])


def _key_form(pk: str, sk: str) -> str:
    partition, _, rest = pk.partition("#")
    partition += (
        {"INSTANCE": "#instance", "POOL": "#type/zone"}.get(partition, "#workload") if rest else ""
    )
    kind = sk.partition("#")[0]
    if pk in ("WORKLOADS", "PLANS"):
        kind = "workload"
    elif pk == "FORECASTS":
        kind = "day#hours#model"
    elif sk.startswith("LEASE#"):
        kind = sk
    elif "#" in sk:
        kind += {
            "SWITCH": "#switch",
            "MODEL": "#version",
            "DECISION": "#time#decision",
            "COMMAND": "#time#command",
            "CHANGE": "#time#version#status",
            "SIGNAL": "#time#kind#instance",
        }.get(kind, "#time#type/zone#detail")
    return f"{partition} / {kind}"


def _models_of(base: type[BaseModel], *modules: Any) -> Table:
    found = {
        model.__name__: stored_names(model)
        for module in modules
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, base)
        and model.__module__ == module.__name__
    }
    return {name: names for name, names in found.items() if names and not name.startswith("_")}


def stored_names(model: type[BaseModel]) -> Names:
    """Names under which a model is written -> names of its fields."""
    return {
        field.serialization_alias or field.alias or name: name
        for name, field in model.model_fields.items()
    }


def _plain_items() -> Table:
    found: dict[str, set[str]] = {}
    for moment in fixtures.ledger().values():
        for row in moment:
            for form, what in _WITHOUT_A_MODEL.items():
                beginning = form.split(" / ")[1].split("#")[0]
                in_partition = row["pk"]["S"].split("#")[0] in form.split(" / ")[0]
                if in_partition and (beginning == "day" or row["sk"]["S"].startswith(beginning)):
                    found.setdefault(f"{what} (`{form}`)", set()).update(row)
    found[next(what for what in found if what.startswith("decision "))] |= set(_record_names())
    keys = {"pk", "sk"}
    return {
        what: {name: RENAMED_IN_RECORDS.get(name, name) for name in sorted(names - keys)}
        for what, names in found.items()
    }


def _record_names() -> Iterable[str]:
    """Attributes of a decision's record, as today's code writes it."""
    decision = Decision("", "", "", datetime.min, DecisionKind.STAY, Rule.NONE, "")
    return plain_record(decision)


# --- the data bucket -----------------------------------------------------------------------------


def _bucket_keys() -> Iterator[str]:
    for name, value in vars(data_bucket).items():
        if name.isupper() and not name.startswith("_") and isinstance(value, str):
            yield value
    yield from map(_object_form, fixtures.objects())


def _object_form(key: str) -> str:
    key = re.sub(r"dt=[0-9-]+/\d{6}", "dt=DATE/TIME", key)
    key = re.sub(r"\d{4}-\d{2}(?=\.npz)", "MONTH", key)
    key = re.sub(r"history-\d+", "history-SECONDS", key)
    key = re.sub(r"(lessons|kept|uploads)/(small|twin)", r"\1/VERSION", key)
    return re.sub(r"[0-9a-f]{32}", "ETAG", key)


def _names_in_objects() -> Table:
    found: dict[str, set[str]] = {}
    for key, body in fixtures.objects().items():
        if key.startswith("models/uploads/"):
            continue  # of the same form as those that are kept
        names = set(_names_in(key, body))
        if names:
            found.setdefault(f"`{_object_form(key)}`", set()).update(names)
    return {key: _renamed(key, names) for key, names in sorted(found.items())}


def _renamed(key: str, names: Iterable[str]) -> Names:
    code = RENAMED_IN_RECORDS if key.startswith("`decisions/") else {}
    return {name: code.get(name, name) for name in sorted(names)}


def _names_in(key: str, body: bytes) -> Iterator[str]:
    if key.endswith(".npz"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            yield from (name.removesuffix(".npy") for name in archive.namelist())
    elif ".json" in key and not key.startswith(("models/", "receipts/")):
        text = gzip.decompress(body) if key.endswith(".gz") else body
        rows = text.splitlines() if ".jsonl" in key else [text]
        for row in rows:
            value = json.loads(row)
            value = list(value.values()) if key.endswith("throughput.json") else value
            for each in value if isinstance(value, list) else [value]:
                yield from _names_of_row(each)


def _names_of_row(row: Mapping[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        yield name
        for inner in value if isinstance(value, list) else ():
            if isinstance(inner, dict):
                yield from (f"{name}[].{each}" for each in inner)


# --- requests, inputs, answers, events -----------------------------------------------------------


def contract_modules() -> list[Any]:
    """The modules of the package of contracts."""
    package = spot_optimizer.contracts
    names = [row.name for row in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in sorted(names)]


def _contracts() -> Table:
    return _models_of(BaseModel, *contract_modules())


# --- the template --------------------------------------------------------------------------------


def _of_template() -> Table:
    rows = template_of(ROOT)
    resources: dict[str, list[str]] = {}
    for name, resource in rows["Resources"].items():
        resources.setdefault(resource["Type"], []).append(name)
    kinds = ("AWS::CloudWatch::Alarm", "AWS::Serverless::StateMachine", "AWS::Serverless::Function")
    kept = {f"resources of type `{kind}`": _same(resources[kind]) for kind in kinds}
    return {"parameters": _same(rows["Parameters"]), "outputs": _same(rows["Outputs"]), **kept}


def template_of(root: Path) -> dict[str, Any]:
    """The template of a repository."""
    parsed: dict[str, Any] = yaml_parse((root / "template.yaml").read_text(encoding="utf-8"))
    return parsed


# --- what users set and read ---------------------------------------------------------------------


def _of_users() -> Table:
    own = (instance_record.MANAGED_TAG, instance_record.WORKLOAD_TAG, instance_record.SWITCH_TAG)
    tags = [f"{TAG_PREFIX}{tag.name}" for tag in (*TAGS, *setting_rows())]
    kinds = (
        announcements.DECISION,
        announcements.SWITCH,
        announcements.MODEL,
        announcements.FORECAST,
    )
    return {
        "tags": _same([*tags, *own]),
        "names of `set-threshold`, which `overrides` on the ledger hold": _same(
            field.name for field in dataclasses.fields(Settings)
        ),
        "metrics": _same(metrics()),
        "source of events": _same([announcements.SOURCE]),
        "detail types of events": _same(kinds),
    }


@cache
def metrics() -> frozenset[str]:
    """Metrics that today's code sends under a constant name."""
    return metrics_in(PACKAGE, FUNCTIONS)


def metrics_in(*folders: Path) -> frozenset[str]:
    """Metrics that the code under these folders sends under a constant name."""
    files = [file for folder in folders for file in folder.rglob("*.py")]
    return frozenset(name for file in files for name in _METRIC.findall(file.read_text("utf-8")))


def _of_engines() -> Table:
    return {
        "group of entry points": _same([GROUP]),
        "names": _same(BUILT_IN),
        "what an engine is asked: `Situation`": _fields(Situation),
        "what it answers: `Outcome`": _fields(Outcome),
        "a target: `Candidate`": _fields(Candidate),
    }


def _fields(kind: Any) -> Names:
    return {field.name: field.name for field in dataclasses.fields(kind)}


def engine_modules() -> Table:
    """What an engine may import: name -> its module in version 0.1.0 -> its module today."""
    old, new = _classes(old_version().package), _classes(PACKAGE)
    return {name: {old[name]: new.get(name, "renamed")} for name in ENGINE_NAMES}


@cache
def _classes(package: Path) -> Mapping[str, str]:
    """Class -> the module that defines it; modules of ``decision/`` and the vocabulary."""
    files = [*package.glob("*.py"), *sorted(package.glob("decision/**/*.py"))]
    return {
        node.name: ".".join(file.relative_to(package).with_suffix("").parts)
        for file in files
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }


if __name__ == "__main__":
    write()
