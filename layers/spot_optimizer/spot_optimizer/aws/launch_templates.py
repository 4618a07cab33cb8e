"""Launch templates: one per workload, created from its instance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.switching.instance_record import MANAGED_TAG, WORKLOAD_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import RequestLaunchTemplateDataTypeDef

_NAME_CHARACTERS_MAX = 128


def template_name(stack_name: str, workload_id: str) -> str:
    """A name of 3 to 128 characters of ``[0-9A-Za-z().-/_]`` (CreateLaunchTemplate API reference);
    a hash distinguishes ids that differ only in other characters."""
    digest = sha256(workload_id.encode()).hexdigest()[:8]
    slug = re.sub(r"[^0-9A-Za-z_-]+", "-", workload_id)
    room = _NAME_CHARACTERS_MAX - len(stack_name) - len(digest) - 2
    return f"{stack_name}-{slug[:room]}-{digest}"


def write_template(
    stack_name: str, workload_id: str, data: Mapping[str, Any], template_id: str | None
) -> tuple[str, int]:
    """Write ``data`` as a new version of the workload's template, which is created if there is none.

    Returns template id and version. If an earlier run created a template of that name and was
    interrupted, that template is used.
    """
    if not template_id:
        try:
            return _create(stack_name, workload_id, data)
        except ClientError as error:
            if error_code(error) != "InvalidLaunchTemplateName.AlreadyExistsException":
                raise
            template_id = _find(template_name(stack_name, workload_id))
    reply = client("ec2").create_launch_template_version(
        LaunchTemplateId=template_id,
        LaunchTemplateData=cast("RequestLaunchTemplateDataTypeDef", data),
    )
    return template_id, int(reply["LaunchTemplateVersion"]["VersionNumber"])


def _create(stack_name: str, workload_id: str, data: Mapping[str, Any]) -> tuple[str, int]:
    tags = {MANAGED_TAG: stack_name, WORKLOAD_TAG: workload_id}
    reply = client("ec2").create_launch_template(
        LaunchTemplateName=template_name(stack_name, workload_id),
        LaunchTemplateData=cast("RequestLaunchTemplateDataTypeDef", data),
        TagSpecifications=[
            {
                "ResourceType": "launch-template",
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            }
        ],
    )
    template = reply["LaunchTemplate"]
    return template["LaunchTemplateId"], int(template["LatestVersionNumber"])


def _find(name: str) -> str:
    reply = client("ec2").describe_launch_templates(LaunchTemplateNames=[name])
    return str(reply["LaunchTemplates"][0]["LaunchTemplateId"])


VERSIONS_PER_CALL = 200
"""EC2 API reference, DeleteLaunchTemplateVersions."""


def delete_versions(template_id: str, versions: Sequence[int]) -> None:
    """Delete up to ``VERSIONS_PER_CALL`` versions. Unknown ones and the default one are passed over."""
    client("ec2").delete_launch_template_versions(
        LaunchTemplateId=template_id, Versions=[str(each) for each in versions]
    )


def read_template_data(template_id: str, version: int) -> Mapping[str, Any]:
    """Data of one version; EC2 never changes a version. Never logged, because it has the user data."""
    reply = client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template_id, Versions=[str(version)]
    )
    return reply["LaunchTemplateVersions"][0]["LaunchTemplateData"]
