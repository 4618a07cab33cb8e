"""Launch templates and their versions."""

import json
import re
from typing import Any

from simulator.world.errors import AwsError
from simulator.world.model import LaunchTemplate, LaunchTemplateVersion
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered, page, tag_list
from simulator.world.state import WorldState
from simulator.world.tagging import specified_tags
from simulator.world.visibility import hide_template, is_hidden, version_is_hidden

_VERSIONS_PER_CALL = 200
"""API_DeleteLaunchTemplateVersions."""


def find_template(state: WorldState, params: Params) -> LaunchTemplate:
    """The template named by LaunchTemplateId or LaunchTemplateName (exactly one of them)."""
    template_id, name = params.get("LaunchTemplateId"), params.get("LaunchTemplateName")
    if (template_id is None) == (name is None):
        raise AwsError(
            "InvalidParameterCombination" if name else "MissingParameter",
            "Either a launch template ID or a launch template name must be specified in the "
            "request, but not both.",
        )
    if name is not None:
        for template in state.launch_templates.values():
            if template.name == name and not is_hidden(state, template.template_id):
                return template
        raise AwsError(
            "InvalidLaunchTemplateName.NotFoundException",
            f"The specified launch template, with template name {name}, does not exist.",
        )
    if not str(template_id).startswith("lt-"):
        raise AwsError(
            "InvalidLaunchTemplateId.Malformed", f"Invalid launch template id: '{template_id}'"
        )
    if template_id not in state.launch_templates or is_hidden(state, str(template_id)):
        raise AwsError(
            "InvalidLaunchTemplateId.NotFound",
            f"The specified launch template, with template ID {template_id}, does not exist.",
        )
    return state.launch_templates[str(template_id)]


def find_version(
    state: WorldState, template: LaunchTemplate, version: str | None
) -> LaunchTemplateVersion:
    """A version by number, $Latest or $Default (also when none is named).

    A new version is not found yet for a while, and the one before it is the latest.
    """
    latest = template.latest_version
    while latest > 1 and version_is_hidden(state, template.template_id, latest):
        latest -= 1
    number = {
        None: template.default_version,
        "$Default": template.default_version,
        "$Latest": latest,
    }.get(version)
    if number is None:
        number = int(version) if str(version).isdigit() else 0  # type: ignore[arg-type]
    if number not in template.versions or version_is_hidden(state, template.template_id, number):
        raise AwsError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {version} for the launch template with ID "
            f"{template.template_id}.",
        )
    return template.versions[number]


def once(state: WorldState, name: str, params: Params, scope: str | None = None) -> Any:
    """What an earlier request with this client token and these parameters made, None if there
    was none; IdempotentParameterMismatch if its parameters were others."""
    earlier = state.client_tokens.get((name, params.get("ClientToken", ""), scope))
    if earlier is None or not params.get("ClientToken"):
        return None
    if earlier[0] != _fingerprint(params):
        raise AwsError(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in "
            "previous request(s).",
        )
    return earlier[1]


def made(
    state: WorldState, name: str, params: Params, result: Any, scope: str | None = None
) -> None:
    """Remember under the client token what a request made."""
    if token := params.get("ClientToken"):
        state.client_tokens[(name, token, scope)] = (_fingerprint(params), result)


def _fingerprint(params: Params) -> str:
    relevant = {k: v for k, v in params.items() if k != "DryRun"}
    return json.dumps(relevant, sort_keys=True, default=str)


@operation("ec2", "CreateLaunchTemplate")
def create_launch_template(state: WorldState, params: Params) -> Reply:
    """API_CreateLaunchTemplate: names are unique; parameters are not checked until a launch."""
    earlier = once(state, "CreateLaunchTemplate", params)
    if earlier is not None:
        return {"LaunchTemplate": _template_row(state, earlier)}
    name = params["LaunchTemplateName"]
    if not re.fullmatch(r"[a-zA-Z0-9().\-/_]{3,128}", name):
        raise AwsError(
            "InvalidLaunchTemplateName.MalformedException",
            f"The launch template name '{name}' must be 3 to 128 of [a-zA-Z0-9().-/_]",
        )
    if any(template.name == name for template in state.launch_templates.values()):
        raise AwsError(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        )
    most = state.limits.quota_launch_templates
    if len(state.launch_templates) >= most:
        raise AwsError("ResourceLimitExceeded", f"Launch template limit of {most} exceeded.")
    tags = specified_tags(params.get("TagSpecifications", []), frozenset({"launch-template"}))
    template = LaunchTemplate(
        template_id=state.new_id("lt"),
        name=name,
        create_time=state.now().replace(microsecond=0),
        created_by=f"arn:aws:iam::{state.account_id}:root",
    )
    _add_version(state, template, params.get("VersionDescription"), params["LaunchTemplateData"])
    state.launch_templates[template.template_id] = template
    state.tags[template.template_id] = tags.get("launch-template", {})
    made(state, "CreateLaunchTemplate", params, template)
    return {"LaunchTemplate": _template_row(state, template)}


@operation("ec2", "CreateLaunchTemplateVersion")
def create_launch_template_version(state: WorldState, params: Params) -> Reply:
    """API_CreateLaunchTemplateVersion: with SourceVersion, new parameters replace its own. Deleted
    versions leave room for others, but their numbers are not used again."""
    template = find_template(state, params)
    version = once(state, "CreateLaunchTemplateVersion", params)
    if version is None:
        if len(template.versions) >= state.limits.quota_launch_template_versions:
            raise AwsError("VersionLimitExceeded", "Launch template version limit exceeded.")
        data = params["LaunchTemplateData"]
        if "SourceVersion" in params:
            data = {**find_version(state, template, params["SourceVersion"]).data, **data}
        version = _add_version(state, template, params.get("VersionDescription"), data)
        made(state, "CreateLaunchTemplateVersion", params, version)
    return {"LaunchTemplateVersion": _version_row(template, version)}


def _add_version(
    state: WorldState, template: LaunchTemplate, description: str | None, data: Params
) -> LaunchTemplateVersion:
    template.latest_version += 1
    version = LaunchTemplateVersion(
        number=template.latest_version,
        description=description,
        create_time=state.now().replace(microsecond=0),
        data=json.loads(json.dumps(data, default=str)),
    )
    template.versions[version.number] = version
    hide_template(state, template.template_id, version.number)
    return version


@operation("ec2", "ModifyLaunchTemplate")
def modify_launch_template(state: WorldState, params: Params) -> Reply:
    """API_ModifyLaunchTemplate: sets the default version."""
    template = find_template(state, params)
    if "DefaultVersion" in params:
        template.default_version = find_version(state, template, params["DefaultVersion"]).number
    return {"LaunchTemplate": _template_row(state, template)}


@operation("ec2", "DeleteLaunchTemplate")
def delete_launch_template(state: WorldState, params: Params) -> Reply:
    """API_DeleteLaunchTemplate: all versions go."""
    template = find_template(state, params)
    row = _template_row(state, template)
    del state.launch_templates[template.template_id]
    state.tags.pop(template.template_id, None)
    return {"LaunchTemplate": row}


@operation("ec2", "DeleteLaunchTemplateVersions")
def delete_launch_template_versions(state: WorldState, params: Params) -> Reply:
    """API_DeleteLaunchTemplateVersions: the default version stays; failures are in the reply."""
    template = find_template(state, params)
    if len(params["Versions"]) > _VERSIONS_PER_CALL:
        raise AwsError(
            "InvalidParameterValue",
            f"You can delete at most {_VERSIONS_PER_CALL} launch template versions in a request.",
        )
    deleted: list[Row] = []
    failed: list[Row] = []
    for text in params["Versions"]:
        number = int(text) if text.isdigit() else 0
        row = {
            "LaunchTemplateId": template.template_id,
            "LaunchTemplateName": template.name,
            "VersionNumber": number,
        }
        if number in template.versions and number != template.default_version:
            del template.versions[number]
            deleted.append(row)
            continue
        missing = number not in template.versions
        error = {
            "Code": "launchTemplateVersionDoesNotExist" if missing else "unexpectedError",
            "Message": f"Version {text} {'does not exist' if missing else 'is the default'}.",
        }
        failed.append({**row, "ResponseError": error})
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": deleted,
        "UnsuccessfullyDeletedLaunchTemplateVersions": failed,
    }


@operation("ec2", "DescribeLaunchTemplates")
def describe_launch_templates(state: WorldState, params: Params) -> Reply:
    """API_DescribeLaunchTemplates: MaxResults 1 to 200."""
    wanted = [
        find_template(state, {key: value})
        for name, key in (
            ("LaunchTemplateIds", "LaunchTemplateId"),
            ("LaunchTemplateNames", "LaunchTemplateName"),
        )
        for value in params.get(name, [])
    ]
    paths = {"launch-template-name": "LaunchTemplateName", "create-time": "CreateTime"}
    chosen = wanted or [
        item for item in state.launch_templates.values() if not is_hidden(state, item.template_id)
    ]
    rows = filtered([_template_row(state, item) for item in chosen], params, paths)
    shown, token = page(state, "DescribeLaunchTemplates", rows, params, smallest=1, largest=200)
    return {"LaunchTemplates": shown, "NextToken": token}


@operation("ec2", "DescribeLaunchTemplateVersions")
def describe_launch_template_versions(state: WorldState, params: Params) -> Reply:
    """API_DescribeLaunchTemplateVersions: without a template only $Latest or $Default."""
    versions = params.get("Versions", [])
    if "LaunchTemplateId" in params or "LaunchTemplateName" in params:
        templates = [find_template(state, params)]
    elif versions and set(versions) <= {"$Latest", "$Default"}:
        templates = list(state.launch_templates.values())
    else:
        raise AwsError("MissingParameter", "A launch template ID or name must be specified.")
    low, high = int(params.get("MinVersion", 1)), int(params.get("MaxVersion", 2**31))
    rows = []
    for template in templates:
        found = (
            {find_version(state, template, v).number for v in versions}
            if versions
            else {
                number
                for number in template.versions
                if low <= number <= high
                and not version_is_hidden(state, template.template_id, number)
            }
        )
        rows += [_version_row(template, template.versions[n]) for n in sorted(found, reverse=True)]
    paths = {
        "is-default-version": "DefaultVersion",
        "image-id": "LaunchTemplateData.ImageId",
        "instance-type": "LaunchTemplateData.InstanceType",
    }
    kept = filtered(rows, params, paths)
    shown, token = page(
        state, "DescribeLaunchTemplateVersions", kept, params, smallest=1, largest=200
    )
    return {"LaunchTemplateVersions": shown, "NextToken": token}


def _template_row(state: WorldState, template: LaunchTemplate) -> Row:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.create_time,
        "CreatedBy": template.created_by,
        "DefaultVersionNumber": template.default_version,
        "LatestVersionNumber": template.latest_version,
        "Tags": tag_list(state, template.template_id),
    }


def _version_row(template: LaunchTemplate, version: LaunchTemplateVersion) -> Row:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "VersionNumber": version.number,
        "VersionDescription": version.description,
        "CreateTime": version.create_time,
        "CreatedBy": template.created_by,
        "DefaultVersion": version.number == template.default_version,
        "LaunchTemplateData": dict(version.data),
    }
