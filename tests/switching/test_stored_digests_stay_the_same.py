"""The stored digests of an unchanged instance are the same in every version."""

from typing import Any

import pytest

from spot_optimizer.switching.instance_identity import LABELS, identity_of
from spot_optimizer.switching.instance_state import state_of
from spot_optimizer.switching.stored_digests import details_digest, fingerprint, instance_digest
from tests.switching.described_instances import device, instance, volume


def with_interface(**changes: Any) -> dict[str, Any]:
    """An instance with a changed network interface."""
    row = instance()
    row["NetworkInterfaces"][0] |= changes
    return row


def bare() -> dict[str, Any]:
    """An instance of which DescribeInstances shows almost nothing."""
    shown = ("InstanceId", "InstanceType", "ImageId", "Placement")
    return {name: value for name, value in instance().items() if name in shown}


CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]] = {
    "plain": (instance(), [volume()], {}),
    "bare": (bare(), [], {"user_data_hash": ""}),
    "image": (instance(ImageId="ami-2"), [volume()], {}),
    "key": (instance(KeyName=None), [volume()], {}),
    "instance profile": (instance(IamInstanceProfile={"Arn": "arn:other"}), [volume()], {}),
    "security groups": (with_interface(Groups=[{"GroupId": "sg-9"}]), [volume()], {}),
    "metadata endpoint off": (
        instance(MetadataOptions={"HttpEndpoint": "disabled", "HttpTokens": "optional"}),
        [volume()],
        {},
    ),
    "detailed monitoring": (instance(Monitoring={"State": "pending"}), [volume()], {}),
    "dedicated tenancy": (
        instance(Placement={"AvailabilityZone": "us-east-1a", "Tenancy": "dedicated"}),
        [volume()],
        {},
    ),
    "no public address": (
        with_interface(Association={}) | {"PublicIpAddress": None},
        [volume()],
        {},
    ),
    "IPv6": (with_interface(Ipv6Addresses=[{"Ipv6Address": "2001:db8::1"}]), [volume()], {}),
    "connection tracking": (
        with_interface(ConnectionTrackingConfiguration={"UdpTimeout": 30}),
        [volume()],
        {},
    ),
    "source/destination check off": (with_interface(SourceDestCheck=False), [volume()], {}),
    "DNS name": (instance(PrivateDnsNameOptions={"HostnameType": "resource-name"}), [volume()], {}),
    "enclave": (instance(EnclaveOptions={"Enabled": True}), [volume()], {}),
    "licenses": (
        instance(Licenses=[{"LicenseConfigurationArn": "b"}, {"LicenseConfigurationArn": "a"}]),
        [volume()],
        {},
    ),
    "no automatic recovery": (
        instance(MaintenanceOptions={"AutoRecovery": "disabled"}),
        [volume()],
        {},
    ),
    "tags": (
        instance(
            tags={
                "Name": "shop",
                "aws:x": "y",
                "spot-optimizer:switch": "s",
                "spot-optimizer:mode": "auto",
            }
        ),
        [volume()],
        {},
    ),
    "not EBS-optimized": (instance(EbsOptimized=False), [volume()], {}),
    "VPC": (instance(VpcId="vpc-2"), [volume()], {}),
    "user data": (instance(), [volume()], {"user_data_hash": "h2"}),
    "burstable": (instance(InstanceType="t3.large"), [volume()], {"cpu_credits": "standard"}),
    "credits of a type without": (instance(), [volume()], {"cpu_credits": "standard"}),
    "shutdown and protection": (
        instance(),
        [volume()],
        {"shutdown_behavior": "stop", "termination_protection": True},
    ),
    "spot": (instance(InstanceLifecycle="spot"), [volume()], {}),
    "two volumes": (
        instance(
            BlockDeviceMappings=[device("/dev/xvda", "a"), device("/dev/sdf", "b", delete=False)]
        ),
        [
            volume(VolumeId="a"),
            volume(
                VolumeId="b",
                Encrypted=False,
                KmsKeyId=None,
                VolumeType="gp2",
                Throughput=None,
                tags={"Backup": "never"},
            ),
        ],
        {},
    ),
    "unseen volume": (instance(), [], {}),
    "attaching volume": (
        instance(
            BlockDeviceMappings=[
                {
                    "DeviceName": "/dev/xvda",
                    "Ebs": {
                        "VolumeId": volume()["VolumeId"],
                        "DeleteOnTermination": True,
                        "Status": "attaching",
                    },
                }
            ]
        ),
        [volume()],
        {},
    ),
}
"""An instance with one changed property: DescribeInstances, DescribeVolumes, other calls."""

DIGESTS = {
    "plain": ("99743670d3313030", "b7cff4001f428b32", "d9b901b31e1d17b9"),
    "bare": ("00b871d9e499a84f", "f430e673d93ac3f8", "0182d7e0669de4a3"),
    "image": ("9d19879c811655a9", "b7cff4001f428b32", "be552994937fe9c2"),
    "key": ("45e949c5dd65e3ae", "b7cff4001f428b32", "a1d388a4490d2134"),
    "instance profile": ("446c910e008f304a", "b7cff4001f428b32", "2462f1044125385c"),
    "security groups": ("8118c5a1fd291372", "b7cff4001f428b32", "a23dd49fa21d8760"),
    "metadata endpoint off": ("b431b1d71bb6aa6d", "b7cff4001f428b32", "6ee1851e5576af2a"),
    "detailed monitoring": ("62c37a2e69723dbf", "b7cff4001f428b32", "67ca53f8dbf9e5f3"),
    "dedicated tenancy": ("6750229dbcdbd904", "b7cff4001f428b32", "348447221bbd5617"),
    "no public address": ("0626f28aa2bd438e", "b7cff4001f428b32", "a819adcf7c535cb4"),
    "IPv6": ("710e6bc4b18ea1d8", "b7cff4001f428b32", "f641024d27f6c17e"),
    "connection tracking": ("097ee15b998e0aa3", "b7cff4001f428b32", "58d20a2bc8405a10"),
    "source/destination check off": ("900dea39c2294c62", "b7cff4001f428b32", "1158eae052383a02"),
    "DNS name": ("233ad9d6c2145763", "b7cff4001f428b32", "1fdc03b8780b57d1"),
    "enclave": ("cc8b159ac80149e0", "b7cff4001f428b32", "002df7adea533ac1"),
    "licenses": ("e1f861758995e695", "b7cff4001f428b32", "a38a9b59de309fa1"),
    "no automatic recovery": ("fdf4f254828c7090", "b7cff4001f428b32", "fd76c66d179a72e1"),
    "tags": ("5e7c07fc1099f114", "b7cff4001f428b32", "148b18d6bbc7352e"),
    "not EBS-optimized": ("99743670d3313030", "b7cff4001f428b32", "73a577daf180a4db"),
    "VPC": ("99743670d3313030", "b7cff4001f428b32", "c42e5d017ab16f40"),
    "user data": ("99743670d3313030", "b7cff4001f428b32", "b6a919de4b4ffa7c"),
    "burstable": ("99743670d3313030", "e434de04f99d856b", "d29cc00937192b39"),
    "credits of a type without": ("99743670d3313030", "b7cff4001f428b32", "d9b901b31e1d17b9"),
    "shutdown and protection": ("99743670d3313030", "b7cff4001f428b32", "d9b901b31e1d17b9"),
    "spot": ("99743670d3313030", "b7cff4001f428b32", "d9b901b31e1d17b9"),
    "two volumes": ("f76d5fd1a7aeca1f", "27604acb436358e4", "50c705a845dbefe6"),
    "unseen volume": ("99743670d3313030", "f430e673d93ac3f8", "671249216ccd75cb"),
    "attaching volume": ("99743670d3313030", "f430e673d93ac3f8", "671249216ccd75cb"),
}
"""Fingerprint, details and instance digest of each, as version 0.1.0 computed them."""


@pytest.mark.parametrize("name", CASES)
def test_stored_digests_are_those_of_version_0_1_0(name: str) -> None:
    """A deployment makes no instance look changed, and old and new code agree while both run."""
    row, volumes, more = CASES[name]
    identity = identity_of(row, **{"user_data_hash": "h1", **more})
    state = state_of(row, volumes)
    assert DIGESTS[name] == (
        fingerprint(row),
        details_digest(identity, state),
        instance_digest(identity, state),
    )


def test_cases_change_every_property_that_is_digested() -> None:
    """No property of the identity is left out of the comparison with version 0.1.0."""
    plain = identity_of(instance(), user_data_hash="h1")
    found = [
        identity_of(row, **{"user_data_hash": "h1", **more}) for row, _, more in CASES.values()
    ]
    names = {*LABELS, "tags", "ebs_optimized", "cpu_credits"}
    assert {n for n in names if all(getattr(i, n) == getattr(plain, n) for i in found)} == set()
