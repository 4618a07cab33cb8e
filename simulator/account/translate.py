"""SAM template to plain CloudFormation, offline.

What ``sam package`` and the SAM transform do in an account, without uploading anything: code is run
from the checkout, so the translated template carries a stand-in where the code would be, and
:class:`Translation` says where each function's and layer's code lies.
"""

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from samtranslator.metrics.method_decorator import MetricsMethodWrapperSingleton
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

__all__ = ["STAND_IN_BUCKET", "STAND_IN_KEY", "TemplateError", "Translation", "translate"]

STAND_IN_BUCKET, STAND_IN_KEY = "embedded-account", "code.zip"
_SUBSTITUTION = re.compile(r"\$\{(\w+)\}")


# Without AWS's own configuration it says for each function that a preview of SAM is off.
logging.getLogger("samtranslator.feature_toggle").setLevel(logging.ERROR)


class TemplateError(Exception):
    """The template cannot be deployed; the message names the logical id and the fault."""


@dataclass(frozen=True)
class Translation:
    """A CloudFormation template and the code that it refers to.

    Attributes:
        template: plain CloudFormation, no ``Transform``.
        code: logical id of a function or layer version to the directory with its code.
    """

    template: dict[str, Any]
    code: dict[str, Path]


class _OfflineManagedPolicies:
    """SAM asks for managed policies by name only when a template uses such a name."""

    def load(self) -> dict[str, str]:
        return {}


def translate(path: Path, parameters: dict[str, str]) -> Translation:
    """Translate the SAM template at ``path`` as the AWS::Serverless transform does.

    ``parameters`` are the values given; the transform uses them to resolve references.

    Raises:
        TemplateError: a code directory or definition file is missing, or SAM refuses the template.
    """
    sam = yaml_parse(path.read_text(encoding="utf-8"))
    code = _detach_code(sam, path.parent)
    _inline_definitions(sam, path.parent)
    try:
        template: dict[str, Any] = transform(sam, dict(parameters), _OfflineManagedPolicies())
    except Exception as error:
        raise TemplateError(f"{path.name}: {_causes(error)}") from error
    # SAM times itself and complains on exit when nobody asked for the result.
    MetricsMethodWrapperSingleton.get_instance().publish()
    template = json.loads(json.dumps(template, default=str))
    _locate_layers(template, code)
    for resource in template["Resources"].values():
        _substitute_definition(resource)
    return Translation(template, code)


def _detach_code(sam: dict[str, Any], base: Path) -> dict[str, Path]:
    """Replace every local code path by a stand-in, as packaging replaces it by an S3 address."""
    default = sam.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    places = {
        "AWS::Serverless::Function": "CodeUri",
        "AWS::Serverless::LayerVersion": "ContentUri",
    }
    code = {}
    for logical_id, resource in sam["Resources"].items():
        place = places.get(resource["Type"])
        if place is None:
            continue
        properties = resource.setdefault("Properties", {})
        local = properties.get(place, default if place == "CodeUri" else None)
        if not isinstance(local, str):
            raise TemplateError(f"{logical_id}: {place} must be a local directory, not {local!r}")
        directory = (base / local).resolve()
        if not directory.is_dir():
            raise TemplateError(f"{logical_id}: {place} {local!r} is not a directory")
        code[logical_id] = directory
        properties[place] = f"s3://{STAND_IN_BUCKET}/{STAND_IN_KEY}"
    return code


def _inline_definitions(sam: dict[str, Any], base: Path) -> None:
    for logical_id, resource in sam["Resources"].items():
        if resource["Type"] != "AWS::Serverless::StateMachine":
            continue
        properties = resource["Properties"]
        if not isinstance(properties.get("DefinitionUri"), str):
            continue
        file = base / properties.pop("DefinitionUri")
        if not file.is_file():
            raise TemplateError(f"{logical_id}: DefinitionUri {str(file)!r} is not a file")
        text = file.read_text(encoding="utf-8")
        properties["Definition"] = (
            json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
        )


def _locate_layers(template: dict[str, Any], code: dict[str, Path]) -> None:
    """SAM gives a layer version a logical id with a hash; find its directory again."""
    layers = [
        logical_id
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::LayerVersion"
    ]
    for logical_id in layers:
        source = re.sub(r"[0-9a-f]{10}$", "", logical_id)
        if source in code:
            code[logical_id] = code.pop(source)


def _substitute_definition(resource: dict[str, Any]) -> None:
    """Do what Step Functions does with ``DefinitionSubstitutions``, which moto ignores.

    ``Fn::Join`` and not ``Fn::Sub``: moto's ``Fn::Sub`` turns the ``$$.`` of a context path into
    ``$.``; the real one leaves it.
    """
    if resource["Type"] != "AWS::StepFunctions::StateMachine":
        return
    properties = resource["Properties"]
    substitutions = properties.pop("DefinitionSubstitutions", {})
    definition = properties.get("DefinitionString", properties.pop("Definition", None))
    if isinstance(definition, dict) and "Fn::Join" in definition:
        separator, parts = definition["Fn::Join"]
        definition = separator.join(parts)
    if not isinstance(definition, str):
        definition = json.dumps(definition)
    pieces = _SUBSTITUTION.split(definition)
    joined = [
        substitutions.get(piece, f"${{{piece}}}") if index % 2 else piece
        for index, piece in enumerate(pieces)
    ]
    properties["DefinitionString"] = {"Fn::Join": ["", joined]}


def _causes(error: Exception) -> str:
    causes = getattr(error, "causes", None)
    return "; ".join(str(cause.message) for cause in causes) if causes else str(error)
