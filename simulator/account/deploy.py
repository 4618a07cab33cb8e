"""A translated template becomes a stack: CloudFormation in moto, and nothing left out."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.s3.models import s3_backends

from simulator.account import resources
from simulator.account.lambdas import Function
from simulator.account.parameters import check_parameters
from simulator.account.translate import (
    STAND_IN_BUCKET,
    STAND_IN_KEY,
    Translation,
    translate,
)
from simulator.limits import LIMITS

__all__ = ["DeploymentError", "Stack", "delete_stack", "deploy_stack"]


class DeploymentError(Exception):
    """The stack, or a resource of it, could not be created."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Attributes:
        physical_ids: logical id of each created resource to what ``Ref`` yields.
        properties: logical id to the properties, every reference resolved.
        types: logical id to the CloudFormation type.
        outputs: the template's outputs.
        functions: the Lambda functions with their code.
    """

    name: str
    physical_ids: Mapping[str, str]
    properties: Mapping[str, dict[str, Any]]
    types: Mapping[str, str]
    outputs: Mapping[str, str]
    functions: tuple[Function, ...]


def deploy_stack(
    path: Path, name: str, parameters: Mapping[str, str], account_id: str, region: str
) -> Stack:
    """Deploy the SAM template at ``path``.

    Raises:
        TemplateError: the template cannot be translated.
        ParameterError: a parameter is refused.
        DeploymentError: a resource was not created; the message lists all of them.
    """
    given = {key: str(value) for key, value in parameters.items()}
    translation = translate(path, given)
    template = translation.template
    values = check_parameters(template, given)
    _put_stand_in(account_id, region)
    backend = cloudformation_backends[account_id][region]
    try:
        stack = backend.create_stack(
            name=name, template=json.dumps(_as_moto_knows_it(template)), parameters=values
        )
    except Exception as error:
        raise DeploymentError(f"stack {name}: {type(error).__name__}: {error}") from error
    created = {
        logical_id: stack.resource_map[logical_id]
        for logical_id, resource in template["Resources"].items()
        if stack.resource_map.lazy_condition_map.get(resource.get("Condition"), True)
    }
    missing = [
        f"{key} ({template['Resources'][key]['Type']})"
        for key, resource in created.items()
        if resource is None
    ]
    if missing:
        raise DeploymentError(f"stack {name}: not created: {', '.join(sorted(missing))}")
    return _describe(name, translation, stack, created, region)


def _as_moto_knows_it(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template without the policy RetainExceptOnCreate, which moto takes for Delete. A stack that
    could not be created is not looked at again here, so that it retains is all that there is to it."""
    declared = {
        key: {**resource, "DeletionPolicy": "Retain"}
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate"
        else resource
        for key, resource in template["Resources"].items()
    }
    return {**template, "Resources": declared}


def delete_stack(stack: Stack, account_id: str, region: str) -> None:
    """Delete a stack but for retained resources; layer versions, which moto keeps, are deleted too."""
    backend = cloudformation_backends[account_id][region]
    backend.delete_stack(stack.name)
    for logical_id, kind in stack.types.items():
        if kind == "AWS::Lambda::LayerVersion":
            *_, name, version = stack.physical_ids[logical_id].split(":")
            lambda_backends[account_id][region].delete_layer_version(name, version)


def _describe(
    name: str, translation: Translation, stack: Any, created: dict[str, Any], region: str
) -> Stack:
    declared = translation.template["Resources"]
    physical_ids = {key: str(item.physical_resource_id) for key, item in created.items()}
    types = {key: declared[key]["Type"] for key in created}
    properties = {
        key: clean_json(declared[key].get("Properties", {}), stack.resource_map) for key in created
    }
    for key in created:
        resources.complete(types[key], physical_ids[key], properties[key], region)
    invoke_configs = {
        item["FunctionName"]: item
        for key, item in properties.items()
        if types[key] == "AWS::Lambda::EventInvokeConfig"
    }
    layers = {
        physical_ids[key]: directory
        for key, directory in translation.code.items()
        if types.get(key) == "AWS::Lambda::LayerVersion"
    }
    functions = tuple(
        _function(
            key,
            created[key],
            properties[key],
            translation.code[key],
            layers,
            invoke_configs.get(physical_ids[key], {}),
        )
        for key in created
        if types[key] == "AWS::Lambda::Function"
    )
    outputs = {item.key: str(item.value) for item in stack.output_map.values() if item is not None}
    return Stack(name, physical_ids, properties, types, outputs, functions)


def _function(
    logical_id: str,
    resource: Any,
    properties: dict[str, Any],
    code: Path,
    layers: Mapping[str, Path],
    invoke_config: dict[str, Any],
) -> Function:
    variables = properties.get("Environment", {}).get("Variables", {})
    failure = invoke_config.get("DestinationConfig", {}).get("OnFailure", {})
    used = (layers[arn] for arn in properties.get("Layers", []) if arn in layers)
    return Function(
        logical_id=logical_id,
        name=resource.function_name,
        arn=resource.function_arn,
        handler=properties["Handler"],
        code=code,
        layers=tuple(_import_directory(layer) for layer in used),
        environment={key: _text(value) for key, value in variables.items()},
        timeout_s=int(properties.get("Timeout", LIMITS.lambda_timeout_s)),
        memory_mb=int(properties.get("MemorySize", LIMITS.lambda_memory_mb)),
        runtime=properties["Runtime"],
        role_arn=properties["Role"],
        retries_max=int(invoke_config.get("MaximumRetryAttempts", LIMITS.lambda_async_retries)),
        event_age_s=int(invoke_config.get("MaximumEventAgeInSeconds", LIMITS.lambda_async_age_s)),
        on_failure_arn=failure.get("Destination"),
        dead_letter_arn=properties.get("DeadLetterConfig", {}).get("TargetArn"),
    )


def _import_directory(layer: Path) -> Path:
    """A layer's modules lie in ``python/``, or at its root when the build puts them there."""
    python = layer / "python"
    return python if python.is_dir() else layer


def _text(value: Any) -> str:
    """CloudFormation passes booleans as ``true`` and ``false``, numbers as written."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put_stand_in(account_id: str, region: str) -> None:
    """moto looks for packaged code in S3; an empty archive takes its place."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    backend = s3_backends[account_id]["aws"]
    if STAND_IN_BUCKET not in backend.buckets:
        backend.create_bucket(STAND_IN_BUCKET, region)
    backend.put_object(STAND_IN_BUCKET, STAND_IN_KEY, archive.getvalue())
