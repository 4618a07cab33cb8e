"""Right-sizing on the real catalog: image, network, disks, burstable, GPUs, instance store."""

from dataclasses import replace
from functools import cache

import pytest

from simulator.world.catalog import instance_types
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.image_requirements import Image
from spot_optimizer.decision.world import World
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.instance_types import parse_instance_types
from spot_optimizer.usage.usage import Usage
from spot_optimizer.vocabulary import (
    DecisionKind,
    Lifecycle,
    Pool,
)
from tests.decision.worlds import ACTING, NOW, REGION, ZONES, market, workload

B = ZONES[1]


@cache
def real_catalog() -> Catalog:
    """All types that EC2 describes, at 0.05 USD per vCPU, offered in every zone."""
    types, _ = parse_instance_types(instance_types().values())
    prices = {name: 0.05 * t.vcpu for name, t in types.items()}
    return Catalog(types, prices, {name: frozenset(ZONES) for name in types})


def _offer(home: str, *offers: str, **changes: object) -> Decision:
    """The decision on an on-demand workload; each offer costs a tenth of its price."""
    catalog = real_catalog()
    price = catalog.on_demand_usd_per_hour[home] / 10
    pools = {Pool(name, B): price for name in offers}
    view = workload(instance_type=home, home_type=home, lifecycle=Lifecycle.ON_DEMAND, **changes)
    return decide(World((view,), market(pools), catalog), NOW, region=REGION)[0]


def _taken(decision: Decision) -> set[str]:
    return {c.instance_type for c in decision.candidates}


LEGACY = Image("legacy-bios", True, "hvm")
OLD = Image("legacy-bios", False, "hvm")
PARAVIRTUAL = Image("legacy-bios", False, "paravirtual")


@pytest.mark.parametrize(
    ("home", "offer", "changes", "reason"),
    [
        ("m5.large", "m6g.large", {}, "architecture"),
        ("m5.large", "t3.large", {}, "burstable"),
        ("m4.large", "m5.large", {}, "hypervisor"),
        ("m5.large", "m5d.large", {}, "instance store"),
        ("m5d.large", "m5.large", {}, "instance store"),
        ("i3.2xlarge", "i3en.2xlarge", {}, "hypervisor"),
        ("m1.xlarge", "m3.2xlarge", {}, "size of the instance store"),
        ("g4dn.xlarge", "g5.xlarge", {}, "accelerators"),
        ("m5.large", "m5.metal", {}, "bare metal"),
        ("m4.large", "m4.16xlarge", {"image": OLD}, ""),
        ("c3.large", "m3.xlarge", {"image": PARAVIRTUAL}, ""),
        ("r4.large", "r4.xlarge", {"image": PARAVIRTUAL}, "paravirtual image, the type runs hvm"),
        ("m5.large", "m6i.large", {"image": LEGACY}, ""),
        ("m5.large", "m6i.large", {"image": OLD}, "the type needs ENA"),
        ("m6i.large", "m8i.large", {"image": LEGACY}, ""),
    ],
)
def test_a_type_that_cannot_run_the_workload_is_no_target(
    home: str, offer: str, changes: dict[str, object], reason: str
) -> None:
    """The record names the fact that rules it out."""
    decision = _offer(home, offer, **changes)
    if not reason:
        assert _taken(decision) == {offer}
        return
    assert decision.kind is DecisionKind.STAY
    assert reason in decision.rejected[0].reason


@pytest.mark.parametrize(
    ("mode", "fits"), [("uefi", True), ("legacy-bios", False), ("uefi-preferred", True), ("", True)]
)
def test_the_boot_mode_of_the_image_is_one_of_the_types(mode: str, fits: bool) -> None:
    """A type that boots UEFI only takes what can; an image that says nothing is not judged."""
    only_uefi = next(
        t
        for t in real_catalog().types.values()
        if t.boot_modes == "uefi" and t.architecture == "arm64" and t.name == "m6g.xlarge"
    )
    assert (Image(mode).incompatibility(only_uefi) == "") == fits


def test_an_enclave_moves_only_to_types_that_can_run_one() -> None:
    """Neither small sizes nor types without Nitro support: EC2 would refuse their launch."""
    decision = _offer("m5.xlarge", "m5.large", "m6i.xlarge", "m5.xlarge", image=Image(enclave=True))
    assert _taken(decision) == {"m5.xlarge", "m6i.xlarge"}
    alone = Image(enclave=True).incompatibility(real_catalog().types["m5.large"])
    assert alone == "the type cannot run a Nitro Enclave"


def test_a_burstable_type_is_taken_where_the_workload_says_so() -> None:
    """By setting, or because it is one itself."""
    allowed = {"settings": replace(ACTING, allow_burstable=True)}
    assert _taken(_offer("m5.large", "t3.large", **allowed)) == {"t3.large"}
    assert _taken(_offer("t3.large", "t3a.large", "m5.large")) == {"t3a.large", "m5.large"}


def test_every_gpu_is_matched() -> None:
    """Same number, same kind; more CPU is welcome."""
    decision = _offer("g4dn.xlarge", "g4dn.2xlarge", "g4dn.12xlarge", "g5.xlarge", "m5.4xlarge")
    assert _taken(decision) == {"g4dn.2xlarge"}


BUSY = Usage(NOW, 1.0, 4.0, 168.0)
"""A quarter of an m5.xlarge: a fit for m5.large in CPU and memory."""


def _sized(usage: Usage, *offers: str, home: str = "m5.xlarge") -> set[str]:
    return _taken(_offer(home, *offers, usage=usage))


@pytest.mark.parametrize(
    ("network", "ebs", "fits"),
    [
        (0.6, 50.0, True),
        (0.7, 50.0, False),
        (0.6, 80.0, False),
        (9.0, 50.0, False),
        (None, 50.0, False),
        (0.6, None, False),
    ],
)
def test_a_smaller_type_is_no_slower_than_what_is_used(
    network: float | None, ebs: float | None, fits: bool
) -> None:
    """m5.large has a baseline of 0.75 Gbit/s and 81 MB/s, m5.xlarge of 1.25 and 144: use times 1.2
    must fit, and unknown use counts as the whole baseline of the instance."""
    usage = replace(BUSY, network_used_gbps=network, ebs_used_mbps=ebs)
    decision = _offer("m5.xlarge", "m5.large", usage=usage)
    assert (_taken(decision) == {"m5.large"}) == fits
    if not fits:
        assert "slower network or disks than used: 0.75 Gbit/s, 81" in decision.rejected[0].reason
        assert decision.rejected_counts == {"slower network or disks than used": 1}


def test_a_type_of_the_same_size_is_no_slower_than_what_is_used_either() -> None:
    """Use beyond the baseline is a burst: another type of the same baseline bursts as well."""
    used = replace(BUSY, network_used_gbps=1.1)
    assert _sized(used, "m5a.xlarge", "m6in.xlarge", home="m5n.xlarge") == {"m6in.xlarge"}
    bursting = replace(BUSY, network_used_gbps=9.0, ebs_used_mbps=10.0)
    assert _sized(bursting, "m5a.xlarge") == {"m5a.xlarge"}
    assert _sized(BUSY, "m5n.xlarge", "m5a.xlarge") == {"m5n.xlarge"}


def test_an_urgent_switch_accepts_a_slower_type() -> None:
    """An urgent switch requires the known use, not the whole baseline of the instance."""
    here = Pool("m5n.xlarge", ZONES[0])
    for usage, targets in (
        (BUSY, {"m5a.xlarge", "m5n.xlarge"}),
        (replace(BUSY, network_used_gbps=2.0), set()),
    ):
        view = workload(
            instance_type="m5n.xlarge", home_type="m5n.xlarge", usage=usage, signals={here: NOW}
        )
        world = World((view,), market({here: 0.1, Pool("m5a.xlarge", B): 0.02}), real_catalog())
        decision = decide(world, NOW, region=REGION)[0]
        assert _taken(decision) == targets, usage
        assert decision.urgent == ("m5a.xlarge" in targets)


def test_memory_that_is_unknown_is_never_less() -> None:
    """The same memory with fewer vCPU is all that a quiet CPU earns."""
    quiet = Usage(NOW, 0.5, None, 168.0, network_used_gbps=0.1, ebs_used_mbps=1.0)
    assert _sized(quiet, "m5.large", "r5.large") == {"r5.large"}
