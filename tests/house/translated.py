"""The template as the account receives it: plain CloudFormation, with everything that SAM adds."""

import os
from functools import cache
from typing import Any
from unittest import mock

from simulator.account.translate import translate
from tests.house.repository import ROOT


@cache
def translated() -> dict[str, Any]:
    """The whole translated template; do not change it."""
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": "us-east-1"}):
        return translate(ROOT / "template.yaml", {}).template


def resources_of(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id to resource (with its policies of deletion) of one type."""
    rows: dict[str, dict[str, Any]] = translated()["Resources"]
    return {name: row for name, row in rows.items() if row["Type"] == kind}


def properties_of(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id to properties of one type."""
    return {name: row["Properties"] for name, row in resources_of(kind).items()}


def reference(value: Any) -> str | None:
    """The logical id that a Ref or GetAtt names, or None."""
    if isinstance(value, dict) and "Ref" in value:
        return str(value["Ref"])
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return str(value["Fn::GetAtt"][0])
    return None


def function_of(value: Any) -> str | None:
    """The function whose alias or version a Ref names; else what it names."""
    name = reference(value)
    for kind in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
        if name in properties_of(kind):
            return reference(properties_of(kind)[name]["FunctionName"])
    return name
