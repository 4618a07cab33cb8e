"""Which tagged instances are adopted as workloads, and why the others are refused."""

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
from spot_optimizer.switching.irreproducible import unsupported_features, unsupported_type
from spot_optimizer.switching.ownership_by_services import other_owner
from spot_optimizer.switching.side_effects import side_effects
from spot_optimizer.switching.workload_tags import InvalidTags, WorkloadTags, parse_tags
from spot_optimizer.switching.zones import is_availability_zone
from spot_optimizer.vocabulary import TAG_PREFIX, Mode

_LIVE_STATES = frozenset({"running", "stopping", "stopped"})


@dataclass(frozen=True, slots=True)
class Adopted:
    """An instance that is managed, and what its tags allow."""

    workload_id: str
    instance_id: str
    mode: Mode
    type_globs: tuple[str, ...]
    subnets: tuple[str, ...]
    """Ids of the only subnets to launch in; empty for those with the original's route table."""
    settings: Settings
    warnings: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()
    not_before: datetime | None = None
    stateless_by_tag: bool = False
    """Whether the tag ``state`` is there."""
    image: Image = field(default_factory=Image)
    launch_problem: str = ""
    """Why planned switches wait: see ``PlanItem``."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A tagged instance that is not managed, with every reason."""

    instance_id: str
    workload_id: str
    reason: str
    only_stopped: bool = False
    """Its only obstacle: it is not running."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The verdict on all tagged instances, each list in the order of workload ids."""

    adopted: tuple[Adopted, ...]
    refused: tuple[Refused, ...]


def judge_adoption(
    instances: Iterable[Record],
    *,
    stack: str,
    settings: Settings,
    catalog: Catalog,
    owned_by_switches: frozenset[str] = frozenset(),
    owned_by_another_stack: frozenset[str] = frozenset(),
    own_fleet_ids: frozenset[str] = frozenset(),
) -> Adoption:
    """Judge every instance (from DescribeInstances) whose tag ``spot-optimizer:managed`` is ``stack``.

    ``owned_by_switches``: instances that a live switch or standby owns in addition to its workload's
    own; they are neither judged nor duplicates. ``owned_by_another_stack``: instances with the tag of
    a switch that this ledger cannot know. Instances that are starting or ending
    are skipped until the next cycle. An instance that cannot be judged is refused and never stops the
    others.
    """
    candidates = [
        instance
        for instance in instances
        if tags_of(instance).get(MANAGED_TAG) == stack
        and instance["State"]["Name"] in _LIVE_STATES
        and instance["InstanceId"] not in owned_by_switches
    ]
    by_workload: dict[str, list[str]] = {}
    for instance in candidates:
        by_workload.setdefault(_workload_id(instance), []).append(instance["InstanceId"])
    adopted: list[Adopted] = []
    refused: list[Refused] = []
    for instance in sorted(candidates, key=lambda i: (_workload_id(i), i["InstanceId"])):
        workload_id, instance_id = _workload_id(instance), instance["InstanceId"]
        tags, reasons = _judge(instance, settings, catalog, own_fleet_ids)
        if instance_id in owned_by_another_stack:
            reasons.append(_owned_by_another_stack(instance, stack))
        if len(by_workload[workload_id]) > 1:
            reasons.append(_duplicate(workload_id, by_workload[workload_id]))
        if tags is None or reasons:
            only_stopped = reasons == _state_reasons(instance)
            refused.append(Refused(instance_id, workload_id, "; ".join(reasons), only_stopped))
        else:
            adopted.append(_adopted(instance, tags))
    return Adoption(tuple(adopted), tuple(refused))


def _judge(
    instance: Record,
    settings: Settings,
    catalog: Catalog,
    own_fleet_ids: frozenset[str],
) -> tuple[WorkloadTags | None, list[str]]:
    """The instance's tags, None if they are not valid, and the reasons to refuse it."""
    wrong: list[str] = []
    tags: WorkloadTags | None = None
    try:
        try:
            valid = tags = parse_tags(tags_of(instance), settings)
        except InvalidTags as error:
            wrong, valid = [str(error)], error.valid
        return tags, [*wrong, *_reasons(instance, valid, catalog, own_fleet_ids)]
    except Exception as error:  # one malformed instance must not stop the others
        return None, [*wrong, f"it cannot be judged: {type(error).__name__}: {error}"]


def _adopted(instance: Record, tags: WorkloadTags) -> Adopted:
    return Adopted(
        workload_id=_workload_id(instance),
        instance_id=instance["InstanceId"],
        mode=tags.mode,
        type_globs=tags.type_globs,
        subnets=tags.subnets,
        settings=tags.settings,
        windows=tags.windows,
        not_before=tags.not_before,
        stateless_by_tag=tags.stateless_by_tag,
        image=_image(instance),
        warnings=tuple(_warnings(instance)),
    )


def _owned_by_another_stack(instance: Record, stack: str) -> str:
    return (
        f"delete the other stack that manages '{stack}' in this region (its name or its parameter"
        f" ManagedAs), or give it another value; then remove the tag {SWITCH_TAG} from the instance:"
        f" switch '{tags_of(instance)[SWITCH_TAG]}' of another stack, or of an earlier one with another"
        " ledger, launched it, and two stacks must not manage one instance"
    )


def _duplicate(workload_id: str, instance_ids: Iterable[str]) -> str:
    return (
        f"give each instance its own {WORKLOAD_TAG}: a workload has one instance, but"
        f" '{workload_id}' is on {', '.join(sorted(instance_ids))}"
    )


def _image(instance: Record) -> Image:
    """The image's requirements; without a boot mode of its own, the one that the instance booted with."""
    return Image(
        boot_mode=instance.get("BootMode") or instance.get("CurrentInstanceBootMode") or "",
        ena=instance.get("EnaSupport"),
        virtualization=instance.get("VirtualizationType") or "",
        enclave=bool((instance.get("EnclaveOptions") or {}).get("Enabled")),
    )


def _workload_id(instance: Record) -> str:
    return tags_of(instance).get(WORKLOAD_TAG, "").strip() or str(instance["InstanceId"])


def _state_reasons(instance: Record) -> list[str]:
    state = instance["State"]["Name"]
    return [] if state == "running" else [f"it is {state}; only a running instance can be switched"]


def _reasons(
    instance: Record,
    tags: WorkloadTags,
    catalog: Catalog,
    own_fleet_ids: frozenset[str],
) -> list[str]:
    reasons = _state_reasons(instance)
    owner = other_owner(instance, own_fleet_ids)
    if owner:
        reasons.append(owner)
    instance_type = catalog.types.get(instance["InstanceType"])
    unsupported = unsupported_type(instance["InstanceType"], instance_type)
    if unsupported:
        reasons.append(unsupported)
    elif instance_type and instance_type.instance_store and not tags.instance_store_may_be_lost:
        reasons.append(
            f"tag it {TAG_PREFIX}instance-store-may-be-lost = true if that is acceptable: a switch loses"
            f" the data on the instance store of {instance_type.name}"
        )
    for glob in tags.type_globs:
        if not catalog.matching(glob):
            reasons.append(f"{TAG_PREFIX}types: '{glob}' matches no type in the region")
    reasons += unsupported_features(instance, instance_type)
    reasons += _disks(instance, tags)
    return reasons


def _disks(instance: Record, tags: WorkloadTags) -> list[str]:
    """A switch may delete a volume only if DeleteOnTermination is set and, unless it is the root, the
    tag ``state = stateless`` is set explicitly."""
    reasons = []
    for mapping in instance.get("BlockDeviceMappings") or ():
        device, ebs = mapping["DeviceName"], mapping.get("Ebs") or {}
        volume = f"volume {ebs.get('VolumeId')} at {device}"
        if not ebs.get("DeleteOnTermination"):
            reasons.append(
                f"{volume} is kept when the instance is terminated, so a switch would leave it behind;"
                " the state 'volumes' is not supported yet"
            )
        elif device != instance.get("RootDeviceName") and not tags.stateless_by_tag:
            reasons.append(
                f"tag it {TAG_PREFIX}state = stateless if you accept that: {volume} is a data volume, and"
                " a switch loses its data; the state 'volumes' is not supported yet"
            )
    return reasons


def _warnings(instance: Record) -> Iterable[str]:
    all_tags = tags_of(instance)
    cloudformation = all_tags.get("aws:cloudformation:stack-name")
    if cloudformation:
        yield (
            f"the CloudFormation stack {cloudformation} created it and will still reference the original"
            " after a switch"
        )
    if (instance.get("Placement") or {}).get("Tenancy") == "dedicated":
        yield "it is a dedicated instance, whose surcharge is not in our prices"
    zone = (instance.get("Placement") or {}).get("AvailabilityZone", "")
    if zone and not is_availability_zone(zone):
        yield (
            f"it is switched within its Local Zone {zone} only, and compared with the Region's on-demand"
            " prices: those of the Local Zone, which may be higher, are not read"
        )
    yield from side_effects(instance)
