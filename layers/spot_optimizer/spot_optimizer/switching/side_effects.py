"""What a switch changes around an instance, though the instance itself is reproduced: warnings."""

from collections.abc import Iterator

from spot_optimizer.switching.instance_record import Record, primary_interface, tags_of

_SCHEDULERS = {
    "schedule": "Instance Scheduler on AWS",
    "scheduler:ec2-startstop": "AWS EC2 Scheduler",
    "maid_offhours": "Cloud Custodian",
    "cloudaware:scheduler": "Cloudaware",
}
"""Tag keys, in lower case, by which start-stop schedulers find instances, unless configured otherwise.

Sources: Instance Scheduler on AWS, "Tag instances for scheduling", and its predecessor's parameter
CustomTagName; Cloud Custodian's ``c7n/filters/offhours.py``; Cloudaware, "AWS EC2/RDS Instance
Schedule".
"""
_TERRAFORM = ("terraform", "opentofu")


def side_effects(instance: Record) -> Iterator[str]:
    """Every warning about what will not be as before after a switch."""
    tags = tags_of(instance)
    for key, value in tags.items():
        scheduler = _SCHEDULERS.get(key.lower())
        if scheduler:
            # EC2's error: "You can only stop Spot Instances associated with persistent Spot Instance
            # requests."
            yield (
                f"its tag {key} = {value} is that of a scheduler ({scheduler}): EC2 does not stop"
                " one-time spot instances, so a spot replacement runs, and costs, around the clock"
            )
    terraform = next(filter(_names_terraform, tags.items()), None)
    if terraform:
        key, value = terraform
        yield (
            f"its tag {key} = {value} says that Terraform created it: Terraform's state will still"
            " reference the original after a switch, and the next apply launches another instance"
        )
    association = primary_interface(instance).get("Association") or {}
    if association.get("IpOwnerId") == "amazon":
        yield (
            "its public IPv4 address is assigned automatically and changes with every switch; an Elastic"
            " IP address would be moved"
        )
    if (instance.get("EnclaveOptions") or {}).get("Enabled"):
        # Nitro Enclaves user guide, "Where to get an enclave's measurements": PCR4 is measured over the
        # id of the parent instance.
        yield (
            "its enclaves' measurement PCR4 is that of the instance id and changes with every switch: no"
            " policy may depend on it"
        )


def _names_terraform(tag: tuple[str, str]) -> bool:
    key, value = tag
    return value.strip().lower() in _TERRAFORM or any(tool in key.lower() for tool in _TERRAFORM)
