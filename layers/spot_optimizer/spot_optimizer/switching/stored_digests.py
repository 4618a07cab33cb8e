"""The digests by which plans and orders recognize an unchanged instance.

==================================  =============================================================
``PlanItem.fingerprint``            what DescribeInstances shows: most of the identity, addresses,
                                    and which devices are deleted on termination
``PlanItem.details``                volumes and credit mode, which other calls show for many
                                    instances at once
``LaunchTemplateRef.machine``       identity and state as a whole
==================================  =============================================================

Their values must stay the same from version to version: otherwise a deployment makes every instance
look changed, and old and new code, which run in turn during a deployment, read every instance again
in each cycle.
"""

from typing import Any

from spot_optimizer.switching.instance_identity import LABELS, InstanceIdentity, identity_of
from spot_optimizer.switching.instance_record import Record, digest
from spot_optimizer.switching.instance_state import InstanceState, state_of

_STORED_NAMES = {**LABELS, "license_arns": "licences"}
"""The names that version 0.1.0 digested."""
_NOT_IN_FINGERPRINT = frozenset({"vpc_id", "user_data_hash"})


def fingerprint(instance: Record) -> str:
    """16 hex digits over what DescribeInstances shows of an instance.

    It changes when a user changes the instance, which is then read again into its launch template. A
    replacement that equals its original has the same fingerprint.
    """
    identity = identity_of(instance)
    shown = {
        name: field for field, name in _STORED_NAMES.items() if field not in _NOT_IN_FINGERPRINT
    }
    values = {name: getattr(identity, field) for name, field in shown.items()}
    deleted_on_termination = {
        mapping["DeviceName"]: mapping.get("Ebs", {}).get("DeleteOnTermination")
        for mapping in instance.get("BlockDeviceMappings") or ()
    }
    addresses = _addresses(state_of(instance, ()))
    return digest([{**values, **addresses, "tags": identity.tags}, deleted_on_termination])


def details_digest(identity: InstanceIdentity, state: InstanceState) -> str:
    """16 hex digits over volumes and credit mode."""
    return digest([_devices(state), identity.cpu_credits])


def instance_digest(identity: InstanceIdentity, state: InstanceState) -> str:
    """16 hex digits over identity and state; user data enters as its hash."""
    values = {name: getattr(identity, field) for field, name in _STORED_NAMES.items()}
    return digest(
        [
            {**values, **_addresses(state)},
            identity.tags,
            _devices(state),
            identity.ebs_optimized,
            identity.cpu_credits,
        ]
    )


def _addresses(state: InstanceState) -> dict[str, Any]:
    return {"public address": state.has_public_address, "IPv6 addresses": state.ipv6_addresses}


def _devices(state: InstanceState) -> dict[str, Any]:
    return {
        device: {**volume.properties, "tags": volume.tags}
        for device, volume in state.devices.items()
    }
