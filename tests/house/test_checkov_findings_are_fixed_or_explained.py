"""A finding of checkov is fixed or has a reason, and a reason without a finding fails."""

import importlib.util
from types import ModuleType

import pytest
import yaml

from tests.house.repository import ROOT
from tests.house.translated import resources_of


@pytest.fixture(scope="module")
def checking() -> ModuleType:
    """The step of ``make check`` that runs checkov."""
    found = importlib.util.spec_from_file_location(
        "checking", ROOT / ".ci" / "check_with_checkov.py"
    )
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


EXCEPTIONS = {"CKV_1": {"resources": ["AWS::A.*", "AWS::B.One"], "reason": "a reason"}}


def test_a_finding_without_a_reason_fails(checking: ModuleType) -> None:
    """An exception covers no other check of its resource and no other resource."""
    excepted = checking.Finding("CKV_1", "AWS::A.Any", "")
    others = [
        checking.Finding("CKV_2", "AWS::A.Any", ""),
        checking.Finding("CKV_1", "AWS::B.Two", ""),
    ]
    assert checking.unexplained([excepted, *others], EXCEPTIONS) == others


def test_a_reason_without_a_finding_fails(checking: ModuleType) -> None:
    """An exception whose finding was fixed must be removed."""
    found = [checking.Finding("CKV_1", "AWS::A.Any", "")]
    assert checking.superfluous(found, EXCEPTIONS) == ["CKV_1 on AWS::B.One"]


def test_every_exception_has_a_reason_and_resources_of_the_template() -> None:
    """No exception covers all resources of all types."""
    rows = yaml.safe_load((ROOT / ".ci" / "checkov_exceptions.yaml").read_text(encoding="utf-8"))
    for check, row in rows.items():
        assert len(row["reason"]) > 40, check
        for resource in row["resources"]:
            kind, _, name = resource.partition(".")
            assert resources_of(kind), resource
            assert name == "*" or name in resources_of(kind), resource
