"""Which tagged instances become workloads, and why the others do not (spec section 1, Adoption)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from spot_optimizer.decision.guards.windows import Window
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.settings import Settings
from spot_optimizer.switching.instance_record import (
    MANAGED_TAG,
    SWITCH_TAG,
    WORKLOAD_TAG,
    Record,
    tags_of,
)
from spot_optimizer.switching.ownership import owner
from spot_optimizer.switching.unsupported import limits
from spot_optimizer.switching.workload_tags import InvalidTags, WorkloadTags, parse_tags
from spot_optimizer.switching.zones import is_availability_zone
from spot_optimizer.vocabulary import TAG_PREFIX, Mode

_LIVE_STATES = frozenset({"running", "stopping", "stopped"})


@dataclass(frozen=True, slots=True)
class Adopted:
    """An instance that is managed, and what its team allows."""

    workload_id: str
    instance_id: str
    mode: Mode
    type_globs: tuple[str, ...]
    subnets: tuple[str, ...]
    """Ids of the only subnets to launch in; empty: those with the original's route table."""
    settings: Settings
    warnings: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    not_before: datetime | None = None
    image: Image = field(default_factory=Image)


@dataclass(frozen=True, slots=True)
class Refused:
    """An instance that asks to be managed and is not, with every reason in words."""

    instance_id: str
    workload_id: str
    reason: str
    only_stopped: bool = False
    """Nothing speaks against it but that it does not run now."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The verdict on all instances that bear our tag, each list in the order of workload ids."""

    adopted: tuple[Adopted, ...]
    refused: tuple[Refused, ...]


def judge_adoption(
    instances: Iterable[Record],
    *,
    stack: str,
    settings: Settings,
    catalog: Catalog,
    in_switch: frozenset[str] = frozenset(),
    of_another: frozenset[str] = frozenset(),
    own_fleet_ids: frozenset[str] = frozenset(),
) -> Adoption:
    """Judge every instance (DescribeInstances dicts) whose tag ``spot-optimizer:managed`` is
    ``stack``; others are not looked at.

    ``in_switch`` are the instances that a live switch or standby names beside its workload's own:
    they are neither judged nor duplicates. ``of_another`` are those that bear the tag of a switch of
    which the ledger can know nothing. Instances that come up or go down are left out: the next cycle
    sees them. An instance that cannot be judged is refused; it never stops the others.
    """
    ours = [
        instance
        for instance in instances
        if tags_of(instance).get(MANAGED_TAG) == stack
        and instance["State"]["Name"] in _LIVE_STATES
        and instance["InstanceId"] not in in_switch
    ]
    holders = Counter(_workload_id(instance) for instance in ours)
    adopted: list[Adopted] = []
    refused: list[Refused] = []
    for instance in sorted(ours, key=lambda i: (_workload_id(i), i["InstanceId"])):
        workload_id, instance_id = _workload_id(instance), instance["InstanceId"]
        try:
            tags = parse_tags(tags_of(instance), settings)
            reasons = _reasons(instance, tags, catalog, own_fleet_ids)
        except InvalidTags as error:
            reasons = [str(error)]
        except Exception as error:  # one bad instance must not stop the others (spec section 9)
            reasons = [f"it cannot be judged: {type(error).__name__}: {error}"]
        if instance_id in of_another:
            reasons.append(_of_another_owner(instance, stack))
        if holders[workload_id] > 1:
            others = (i["InstanceId"] for i in ours if _workload_id(i) == workload_id)
            reasons.append(
                f"{WORKLOAD_TAG} = '{workload_id}' is borne by {', '.join(sorted(others))};"
                " a workload has one instance"
            )
        if reasons:
            stopped = reasons == _state_reasons(instance)
            refused.append(Refused(instance_id, workload_id, "; ".join(reasons), stopped))
            continue
        adopted.append(
            Adopted(
                workload_id=workload_id,
                instance_id=instance_id,
                mode=tags.mode,
                type_globs=tags.type_globs,
                subnets=tags.subnets,
                settings=tags.settings,
                windows=tags.windows,
                not_before=tags.not_before,
                image=_image(instance),
                warnings=tuple(_warnings(instance, tags)),
            )
        )
    return Adoption(tuple(adopted), tuple(refused))


def _of_another_owner(instance: Record, stack: str) -> str:
    return (
        f"switch '{tags_of(instance)[SWITCH_TAG]}' of another stack launched it, or of an earlier one"
        f" whose ledger is another: two must not manage one machine. If a second stack manages"
        f" '{stack}' in this region (its name, or its parameter ManagedAs), delete one of them or give"
        f" it a value of its own; then take the tag {SWITCH_TAG} off the instance"
    )


def _image(instance: Record) -> Image:
    """An image without a boot mode of its own has been proven with the one that it was booted with."""
    return Image(
        boot_mode=instance.get("BootMode") or instance.get("CurrentInstanceBootMode") or "",
        ena=instance.get("EnaSupport"),
        virtualization=instance.get("VirtualizationType") or "",
    )


def _workload_id(instance: Record) -> str:
    return tags_of(instance).get(WORKLOAD_TAG, "").strip() or str(instance["InstanceId"])


def _state_reasons(instance: Record) -> list[str]:
    state = instance["State"]["Name"]
    return [] if state == "running" else [f"it is {state}; only a running instance can be moved"]


def _reasons(
    instance: Record,
    tags: WorkloadTags,
    catalog: Catalog,
    own_fleet_ids: frozenset[str],
) -> list[str]:
    reasons = _state_reasons(instance)
    belongs = owner(instance, own_fleet_ids)
    if belongs:
        reasons.append(belongs)
    instance_type = catalog.types.get(instance["InstanceType"])
    if instance_type is None:
        reasons.append(f"its type {instance['InstanceType']} is not in the catalogue of the region")
    elif instance_type.instance_store and not tags.instance_store_may_be_lost:
        reasons.append(
            f"its type {instance_type.name} has an instance store, whose data a switch loses:"
            f" tag it {TAG_PREFIX}instance-store-may-be-lost = true if it may"
        )
    for glob in tags.type_globs:
        if not catalog.matching(glob):
            reasons.append(f"{TAG_PREFIX}types: '{glob}' matches no type of the region")
    reasons += limits(instance, instance_type)
    reasons += _disks(instance, tags)
    return reasons


def _disks(instance: Record, tags: WorkloadTags) -> list[str]:
    """A volume goes with its instance only if its team has said so twice: by DeleteOnTermination,
    and, unless it is the root, by writing the tag ``state = stateless``."""
    reasons = []
    for mapping in instance.get("BlockDeviceMappings") or ():
        device, ebs = mapping["DeviceName"], mapping.get("Ebs") or {}
        volume = f"volume {ebs.get('VolumeId')} at {device}"
        if not ebs.get("DeleteOnTermination"):
            reasons.append(
                f"{volume} is kept when the instance ends, and a switch would leave it behind:"
                " state 'volumes' is not supported yet"
            )
        elif device != instance.get("RootDeviceName") and not tags.stateless_by_tag:
            reasons.append(
                f"{volume} is a data volume, whose data a switch loses: state 'volumes' is not"
                f" supported yet; tag it {TAG_PREFIX}state = stateless if it may be lost"
            )
    return reasons


def _warnings(instance: Record, tags: WorkloadTags) -> Iterable[str]:
    all_tags = tags_of(instance)
    cloudformation = all_tags.get("aws:cloudformation:stack-name")
    if cloudformation:
        yield (
            f"CloudFormation stack {cloudformation} made it and will still name the original"
            " after a switch"
        )
    if (instance.get("Placement") or {}).get("Tenancy") == "dedicated":
        yield "it is a dedicated instance, whose surcharge our prices do not show"
    zone = (instance.get("Placement") or {}).get("AvailabilityZone", "")
    if zone and not is_availability_zone(zone):
        yield (
            f"it is moved within its Local Zone {zone} only, and judged by the Region's on-demand"
            " prices, for the Local Zone's, which may be higher, are not read"
        )
    if not tags.stateless_by_tag:
        yield (
            "nothing on its root disk survives a switch: the state is stateless by default; write"
            f" {TAG_PREFIX}state = stateless to say that this is meant"
        )
