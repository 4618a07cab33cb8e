"""docs/compatibility.md lists every stored or public name, and no name of version 0.1.0 is gone."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import spot_optimizer
from spot_optimizer.aws import data_bucket
from spot_optimizer.aws.ledger.items import Item
from spot_optimizer.contracts.boundary import Boundary
from tests.compatibility import public_names
from tests.compatibility.old_version import old_version
from tests.compatibility.public_names import (
    BEGIN,
    END,
    metrics_in,
    page_text,
    rendered,
    stored_names,
    tables,
    template_of,
)
from tests.house.repository import ROOT
from tests.house.test_operations_are_in_place import RENAMED

ITEMS = ("aws.ledger.items", "aws.ledger.models")
"""Modules of version 0.1.0 with the ledger's items."""


def test_the_page_lists_the_names_of_the_code() -> None:
    """All of them, under the names that are stored, with the name in the code where that differs."""
    page = page_text()
    listed = page[page.index(BEGIN) + len(BEGIN) : page.index(END)].strip().splitlines()
    changed = set(rendered().splitlines()) ^ set(listed)
    assert not changed, "write the tables again: python -m tests.compatibility.public_names"


@pytest.mark.parametrize("base", [Item, Boundary])
def test_every_model_is_in_a_table(base: type[BaseModel]) -> None:
    """Wherever in the package it is defined; so none is stored or sent without being listed."""
    listed = {where for table in tables().values() for where in table}
    for row in pkgutil.walk_packages(spot_optimizer.__path__, "spot_optimizer."):
        importlib.import_module(row.name)
    for model in _subclasses(base):
        if model.__module__.startswith("spot_optimizer.") and stored_names(model):
            assert model.__name__ in listed, model


def _subclasses(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _subclasses(model)


def test_every_attribute_of_old_items_and_contracts_is_still_written() -> None:
    """Every class of version 0.1.0 has a class of today that writes at least the same names."""
    today = [set(names) for table in tables().values() for names in table.values()]
    old = old_version().module
    models = [model for name in (*ITEMS, "contracts") for model in _models_in(old(name))]
    assert len(models) > 70
    for model in models:
        names = set(stored_names(model))
        assert any(names <= written for written in today), (model, names)


def _models_in(module: Any) -> Iterator[type[BaseModel]]:
    for value in vars(module).values():
        of_it = isinstance(value, type) and issubclass(value, BaseModel)
        if of_it and value.__module__ == module.__name__:
            yield value


@pytest.mark.parametrize("section", ["Parameters", "Outputs", "Conditions"])
def test_no_name_of_the_old_template_is_gone(section: str) -> None:
    """An update by the same command line works, and who reads an output finds it."""
    old = template_of(old_version().root)
    assert old[section].keys() - template_of(ROOT)[section].keys() == set()


RENAMED_RESOURCES = {("LeftOverFound", "AWS::CloudWatch::Alarm")}
"""Resources without data, which an update deletes and makes again under another name."""


def test_no_resource_of_the_old_template_is_replaced() -> None:
    """Without its logical id a resource is deleted: a table with its items, a topic."""
    kept = {
        name: row["Type"]
        for name, row in template_of(old_version().root)["Resources"].items()
        if row["Type"] not in ("AWS::Serverless::LayerVersion",)
    }
    today = {name: row["Type"] for name, row in template_of(ROOT)["Resources"].items()}
    assert kept.items() - today.items() == RENAMED_RESOURCES


def test_no_metric_of_the_old_version_is_gone() -> None:
    """Dashboards and alarms of users go on showing it, except the few that the changelog renames."""
    old = old_version()
    gone = metrics_in(old.package, old.root / "functions") - public_names.metrics()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert gone == set(RENAMED)
    for name, today in RENAMED.items():
        assert f"`{name}`" in changelog, name
        assert today in public_names.metrics()


def test_no_key_of_the_old_bucket_is_gone() -> None:
    """Objects stay where both versions look for them."""
    without_use = {"IMPORT_FOLDER"}
    old = _keys(old_version().module("aws.archive"))
    kept = {value for name, value in old.items() if name not in without_use}
    assert kept <= set(_keys(data_bucket).values())


def _keys(module: Any) -> dict[str, str]:
    rows = vars(module).items()
    return {k: v for k, v in rows if k.isupper() and k[0] != "_" and isinstance(v, str)}


def test_no_tag_threshold_or_event_of_the_old_version_is_gone() -> None:
    """What users have tagged, set, subscribed to or stored is understood."""
    old = old_version().module
    today = {name for table in tables().values() for names in table.values() for name in names}
    prefix = old("words").TAG_PREFIX
    tags = old("switching.workload_tags")
    assert {prefix + tag.name for tag in (*tags.TAGS, *tags.setting_rows())} <= today
    assert set(old("settings").Settings.__dataclass_fields__) <= today
    events = old("aws.announce")
    assert {events.SOURCE, events.DECISION, events.SWITCH, events.MODEL, events.FORECAST} <= today
    assert {old("services.engines").GROUP, *old("decision.engines.registry").BUILT_IN} <= today
