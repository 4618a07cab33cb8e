"""Images (AMIs)."""

from simulator.world.errors import AwsError
from simulator.world.model import Image
from simulator.world.operations import Params, Reply, operation
from simulator.world.queries import Row, filtered, no_paging_with_ids, page, select, tag_list
from simulator.world.state import WorldState


def launchable_image(state: WorldState, image_id: str) -> Image:
    """The image, or the error that RunInstances gives for it."""
    if not image_id.startswith("ami-"):
        raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    image = state.images.get(image_id)
    if image is None:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if image.deregistered:
        raise AwsError(
            "InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is no longer available"
        )
    return image


@operation("ec2", "DescribeImages")
def describe_images(state: WorldState, params: Params) -> Reply:
    """API_DescribeImages: a deregistered image is not listed, and not found by its id."""
    no_paging_with_ids(params, "ImageIds")
    images = {key: image for key, image in state.images.items() if not image.deregistered}
    chosen = select(images, params.get("ImageIds", []), "InvalidAMIID.NotFound", "image")
    owners = set(params.get("Owners", [])) - {"self", state.account_id}
    rows = [] if owners and not set(params["Owners"]) - owners else chosen
    paths = {
        "image-id": "ImageId",
        "name": "Name",
        "architecture": "Architecture",
        "state": "State",
        "platform": "Platform",
        "owner-id": "OwnerId",
        "root-device-type": "RootDeviceType",
        "root-device-name": "RootDeviceName",
        "virtualization-type": "VirtualizationType",
        "ena-support": "EnaSupport",
        "block-device-mapping.snapshot-id": "BlockDeviceMappings.Ebs.SnapshotId",
    }
    kept = filtered([_row(state, image) for image in rows], params, paths)
    shown, token = page(state, "DescribeImages", kept, params)
    return {"Images": shown, "NextToken": token}


def _row(state: WorldState, image: Image) -> Row:
    windows = image.platform == "windows"
    return {
        "ImageId": image.image_id,
        "Name": image.name,
        "ImageLocation": f"{state.account_id}/{image.name}",
        "ImageType": "machine",
        "Architecture": image.architecture,
        "CreationDate": image.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "OwnerId": state.account_id,
        "Public": False,
        "Platform": image.platform,
        "PlatformDetails": "Windows" if windows else "Linux/UNIX",
        "UsageOperation": "RunInstances:0002" if windows else "RunInstances",
        "State": "available",
        "EnaSupport": image.ena_support,
        "BootMode": image.boot_mode,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [
            {
                "DeviceName": image.root_device_name,
                "Ebs": {
                    "DeleteOnTermination": True,
                    "SnapshotId": image.snapshot_id,
                    "VolumeSize": image.root_size_gib,
                    "VolumeType": "gp3",
                    "Iops": 3000,
                    "Throughput": 125,
                    "Encrypted": False,
                },
            },
            *({"DeviceName": name, "Ebs": dict(ebs)} for name, ebs in image.devices.items()),
            *(
                {"DeviceName": name, "VirtualName": f"ephemeral{number}"}
                for number, name in enumerate(image.instance_store_devices)
            ),
        ],
        "Tags": tag_list(state, image.image_id),
    }
