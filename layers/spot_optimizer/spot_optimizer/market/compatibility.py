"""Which instance types can run a workload's image in place of its home type.

The rule is stricter than EC2's own (user guide, "Compatibility for changing the instance type"): a
replacement must boot, and must not lose data or CPU that the home type would have kept.
"""

from collections.abc import Iterable

from spot_optimizer.market.catalog import Catalog, InstanceType

OVERSIZE_FACTOR_MAX = 4.0
"""Prices of a type are not collected if its on-demand price is above this many times the home type's:
spot prices are seldom below a quarter of on-demand, so it would not cost less than the home type's
own pools."""


def incompatibility(candidate: InstanceType, home: InstanceType, *, may_burst: bool = False) -> str:
    """Why ``candidate`` cannot run an image that runs on ``home``, in words; empty if it can.

    - The architecture, the GPUs and other accelerators are the same; no bare metal.
    - Burstable types replace burstable types only, unless ``may_burst``: others would lose CPU when
      their credits are spent.
    - Nitro replaces Nitro only: the image is known to have the ENA and NVMe drivers there.
    - An instance store replaces an instance store that is no larger: data that is written to a new
      one would be lost at the next switch.
    """
    if candidate.architecture != home.architecture:
        return "architecture"
    if not candidate.spot:
        return "not sold as spot"
    if candidate.bare_metal:
        return "bare metal"
    if candidate.gpus != home.gpus:
        return "number of GPUs"
    if candidate.accelerators != home.accelerators:
        return "accelerators"
    if candidate.burstable and not (home.burstable or may_burst):
        return "burstable"
    if candidate.hypervisor != home.hypervisor:
        return "hypervisor"
    if candidate.instance_store != home.instance_store:
        return "instance store"
    if candidate.instance_store_gb < home.instance_store_gb:
        return "size of the instance store"
    return ""


def types_to_collect(catalog: Catalog, homes: Iterable[str]) -> frozenset[str]:
    """The types whose spot prices are worth collecting for workloads with these home types."""
    types: set[str] = set()
    for home_name in set(homes):
        home = catalog.types.get(home_name)
        home_price = catalog.on_demand_usd_per_hour.get(home_name)
        if home is None or home_price is None:
            continue
        types.update(
            name
            for name, price in catalog.on_demand_usd_per_hour.items()
            if price <= OVERSIZE_FACTOR_MAX * home_price
            and name in catalog.types
            # Tags say which workloads may use burstable types; the few such types cost little.
            and not incompatibility(catalog.types[name], home, may_burst=True)
        )
    return frozenset(types)
