"""Looks up which of the resources that launches name are gone."""

from collections.abc import Callable, Iterable

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.batches import batches, read_known
from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.switching.launch_resources import LaunchResources
from spot_optimizer.telemetry import logger, metrics


def find_gone(named: LaunchResources, visible_images: Iterable[str]) -> LaunchResources:
    """Those of the resources that the account does not have, or no longer may use.

    ``visible_images``: ids that DescribeImages has returned. What cannot be looked up counts as there:
    a launch will tell.
    """
    return LaunchResources(
        images=named.images - frozenset(visible_images),
        snapshots=_gone(named.snapshots, _snapshots),
        security_groups=_gone(named.security_groups, _security_groups),
        key_pairs=_gone(named.key_pairs, _key_pairs),
        instance_profiles=_gone(named.instance_profiles, _instance_profiles),
        kms_keys=_gone(named.kms_keys, _usable_keys),
    )


def _gone(named: frozenset[str], read: Callable[[list[str]], set[str]]) -> frozenset[str]:
    if not named:
        return frozenset()
    try:
        return named - read(sorted(named))
    except (BotoCoreError, ClientError):
        logger.exception("resources of launches not looked up", resources=sorted(named)[:20])
        metrics.add_metric("InstancesNotRead", "Count", 1)
        return frozenset()


def _snapshots(ids: list[str]) -> set[str]:
    """By ids: with a filter alone, EC2 would search all public snapshots."""
    rows = read_known(
        ids,
        lambda some: client("ec2").describe_snapshots(SnapshotIds=some)["Snapshots"],
        lambda code: code.startswith("InvalidSnapshot"),
    )
    return {row["SnapshotId"] for row in rows}


def _security_groups(ids: list[str]) -> set[str]:
    """A group of another account that is shared with this one is described too (EC2 API reference,
    DescribeSecurityGroups)."""
    return {
        row["GroupId"]
        for some in batches(ids)
        for row in client("ec2").describe_security_groups(
            Filters=[{"Name": "group-id", "Values": some}]
        )["SecurityGroups"]
    }


def _key_pairs(names: list[str]) -> set[str]:
    return {
        row["KeyName"]
        for some in batches(names)
        for row in client("ec2").describe_key_pairs(Filters=[{"Name": "key-name", "Values": some}])[
            "KeyPairs"
        ]
    }


def _instance_profiles(arns: list[str]) -> set[str]:
    """One call each: IAM has none for several."""
    found = set()
    for arn in arns:
        try:
            client("iam").get_instance_profile(InstanceProfileName=arn.rpartition("/")[2])
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
        else:
            found.add(arn)
    return found


_UNUSABLE_KEYS = frozenset({"Disabled", "PendingDeletion", "PendingImport", "Unavailable"})
"""AWS KMS developer guide, "Key states of AWS KMS keys": what fails for keys in these states."""


def _usable_keys(arns: list[str]) -> set[str]:
    """One call each: KMS has none for several."""
    found = set()
    for arn in arns:
        try:
            key = client("kms").describe_key(KeyId=arn)["KeyMetadata"]
        except ClientError as error:
            if error_code(error) == "AccessDeniedException":
                found.add(arn)  # a key of another account, whose policy does not let us look
            elif error_code(error) != "NotFoundException":
                raise
        else:
            if key.get("KeyState") not in _UNUSABLE_KEYS:
                found.add(arn)
    return found
