"""Pools of a market as a scenario's workloads see them."""

from fnmatch import fnmatchcase

from simulator.market.history import Pool
from simulator.markets import Market
from simulator.scenario import WorkloadSpec
from simulator.world.catalog import instance_types


def pools_by_price(market: Market, types: tuple[str, ...]) -> list[Pool]:
    """The pools of these types that have a price at the start, the cheapest first."""
    priced = [
        (price, pool)
        for pool in market.prices.pools
        if pool.instance_type in types
        and (price := market.prices.price_at(pool, market.start)) is not None
    ]
    return [pool for _, pool in sorted(priced)]


def fitting_types(spec: WorkloadSpec, market: Market) -> tuple[str, ...]:
    """Types of the market that the workload's tag allows and that are no smaller than its own."""
    globs = spec.tags.get("types", "*").split(",")
    vcpu, memory_mib = size(spec.instance_type)
    return tuple(
        name
        for name in sorted({pool.instance_type for pool in market.prices.pools})
        if any(fnmatchcase(name, glob) for glob in globs)
        and size(name)[0] >= vcpu
        and size(name)[1] >= memory_mib
    )


def size(name: str) -> tuple[int, int]:
    """(vCPU, memory in MiB) of a type."""
    row = instance_types()[name]
    return row["VCpuInfo"]["DefaultVCpus"], row["MemoryInfo"]["SizeInMiB"]
