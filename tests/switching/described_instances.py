"""Instances and volumes as boto3 returns them, for the tests of this folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.vocabulary import Lifecycle

STACK = "optimizer"
USER_DATA = "IyEvYmluL3NoCmVjaG8gc2VjcmV0Cg=="
"""``#!/bin/sh``, ``echo secret``"""


@dataclass(frozen=True)
class Place:
    """A candidate."""

    instance_type: str
    availability_zone: str
    lifecycle: Lifecycle = Lifecycle.SPOT
    subnet_id: str = "subnet-0000000b"


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 returns them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def instance(
    number: int = 1, *, tags: Mapping[str, str] | None = None, **changes: Any
) -> dict[str, Any]:
    """A running on-demand m5.large with a root volume, a public address and IMDSv2."""
    name = f"{number:017x}"
    return {
        "InstanceId": f"i-{name}",
        "InstanceType": "m5.large",
        "ImageId": "ami-00000001",
        "KeyName": "ops",
        "State": {"Code": 16, "Name": "running"},
        "LaunchTime": f"2025-01-{number % 28 + 1:02d}T00:00:00Z",
        "Placement": {"AvailabilityZone": "us-east-1a", "GroupName": "", "Tenancy": "default"},
        "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/web", "Id": "A"},
        "Monitoring": {"State": "disabled"},
        "EbsOptimized": True,
        "VpcId": "vpc-1",
        "SubnetId": "subnet-0000000a",
        "PrivateIpAddress": f"10.0.0.{number}",
        "PublicIpAddress": f"198.51.100.{number}",
        "PlatformDetails": "Linux/UNIX",
        "RootDeviceName": "/dev/xvda",
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "VolumeId": f"vol-{name}",
                    "DeleteOnTermination": True,
                    "Status": "attached",
                },
            }
        ],
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": f"eni-{name}",
                "Attachment": {"DeviceIndex": 0, "DeleteOnTermination": True},
                "Association": {"PublicIp": f"198.51.100.{number}", "IpOwnerId": "amazon"},
                "Groups": [{"GroupId": "sg-2", "GroupName": "b"}, {"GroupId": "sg-1"}],
                "PrivateIpAddresses": [{"Primary": True}],
                "InterfaceType": "interface",
                "SourceDestCheck": True,
            }
        ],
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
            "HttpProtocolIpv6": "disabled",
            "InstanceMetadataTags": "disabled",
        },
        "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2},
        "PrivateDnsNameOptions": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "MaintenanceOptions": {"AutoRecovery": "default", "RebootMigration": "default"},
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "HibernationOptions": {"Configured": False},
        "EnclaveOptions": {"Enabled": False},
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False, "HiddenByDefault": False},
        "SecondaryInterfaces": [],
        "Tags": tag_list(
            {"Name": "web", "spot-optimizer:managed": STACK} if tags is None else tags
        ),
        **changes,
    }


def volume(
    number: int = 1, *, tags: Mapping[str, str] | None = None, **changes: Any
) -> dict[str, Any]:
    """The root volume of ``instance(number)``: encrypted gp3."""
    return {
        "VolumeId": f"vol-{number:017x}",
        "Size": 30,
        "VolumeType": "gp3",
        "Iops": 4000,
        "Throughput": 250,
        "Encrypted": True,
        "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/1",
        "SnapshotId": "snap-of-the-image",
        "State": "in-use",
        "Tags": tag_list(tags or {"Backup": "daily"}),
        **changes,
    }


def source(**changes: Any) -> dict[str, Any]:
    """GetLaunchTemplateData's response for ``instance()``, with every unused option."""
    return {
        "ImageId": "ami-00000001",
        "InstanceType": "m5.large",
        "KeyName": "ops",
        "UserData": USER_DATA,
        "EbsOptimized": True,
        "InstanceInitiatedShutdownBehavior": "stop",
        "DisableApiTermination": False,
        "DisableApiStop": False,
        "Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "default"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-0000000a"}],
        "HibernationOptions": {"Configured": False},
        "MetadataOptions": {"State": "applied", "HttpTokens": "required"},
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "EnclaveOptions": {"Enabled": False},
        "MaintenanceOptions": {"AutoRecovery": "default"},
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False, "HiddenByDefault": False},
        "ElasticGpuSpecifications": [],
        "ElasticInferenceAccelerators": [],
        "SecondaryInterfaces": [],
        **changes,
    }


def device(name: str, volume_id: str, *, delete: bool = True) -> dict[str, Any]:
    """A block device mapping of an instance."""
    return {
        "DeviceName": name,
        "Ebs": {"VolumeId": volume_id, "DeleteOnTermination": delete, "Status": "attached"},
    }


def _type(name: str, vcpu: int, *, instance_store: bool = False) -> InstanceType:
    return InstanceType(
        name=name,
        vcpu=vcpu,
        memory_gib=4.0 * vcpu,
        architecture="x86_64",
        burstable=name.startswith("t3"),
        bare_metal=False,
        hypervisor="nitro",
        gpus=0,
        instance_store=instance_store,
        spot=True,
        current_generation=True,
    )


CATALOG = Catalog(
    types={
        t.name: t
        for t in (
            _type("m5.large", 2),
            _type("m5d.large", 2, instance_store=True),
            _type("t3.large", 2),
            _type("c6i.xlarge", 4),
        )
    },
    on_demand_usd_per_hour={},
    zones={},
)
