"""A workload's adoption, switch and failover, with every function as it was built."""

from dataclasses import dataclass
from datetime import timedelta
from statistics import median

import numpy as np

from simulator.account.executions import Execution
from simulator.account.lambdas import Function, Invocation
from simulator.deployed import START, ZONES
from simulator.market.history import Pool, PriceHistory
from simulator.stage import TYPES, open_stage
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.market.snapshot_file import snapshot_from_bytes
from tests.runtime.built import built, local_architecture
from tests.runtime.emulation import Emulated, Emulation

DAYS = 20
"""Days of prices: more than the forecast uses."""


@dataclass(frozen=True)
class Seen:
    """An environment at the end.

    Attributes:
        init_s: from the start of its process until it requested its first event.
        first_s: its first invocation, without the time in which the test answered its calls.
        median_s: the median of all later ones; None if there was none.
        peak_mb: peak memory.
        libraries: paths of the shared libraries that it has loaded.
    """

    function: str
    init_s: float
    first_s: float
    median_s: float | None
    peak_mb: float
    libraries: frozenset[str]


@dataclass(frozen=True)
class Life:
    """The result.

    Attributes:
        instances: instance ids of the workload: at first, after the switch, after the failover.
        snapshot: the market of the decision.
        segments: what was sent to X-Ray.
    """

    functions: tuple[Function, ...]
    environments: tuple[Seen, ...]
    trace: tuple[Invocation, ...]
    executions: tuple[Execution, ...]
    instances: tuple[str, str, str]
    alive: frozenset[str]
    address_holder: str | None
    targets: dict[str, str]
    swept: list[dict[str, str]]
    snapshot: MarketSnapshot
    segments: tuple[bytes, ...]


def live() -> Life:
    """An instance with an address and a target group is adopted, switched by force, and fails over."""
    architecture = local_architecture()
    template = built(architecture) / "template.yaml"
    with (
        Emulation() as emulation,
        open_stage(
            market=_moving_market(),
            template=template,
            runner=emulation,
            Architecture=architecture,
            CooldownMinutes=1440,  # only forced switches and failovers
        ) as stage,
    ):
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.adopt()
        stage.account.invoke("RefreshMarket", {"task": "fill"})
        stage.force()
        stage.finish()
        replacement: str = stage.workload()["instance_id"]
        snapshot = snapshot_from_bytes(stage.object("market/snapshot.npz"))
        stage.cycle()
        stage.world.interrupt(replacement)
        stage.finish()
        return Life(
            functions=stage.account.stack.functions,
            swept=stage.sweep(),
            environments=tuple(_seen(each) for each in emulation.environments),
            trace=tuple(stage.account.trace),
            executions=tuple(stage.account.executions()),
            instances=(original, replacement, stage.workload()["instance_id"]),
            alive=frozenset(stage.alive()),
            address_holder=stage.address_holder(),
            targets=stage.targets(group),
            snapshot=snapshot,
            segments=tuple(emulation.segments),
        )


def _seen(environment: Emulated) -> Seen:
    return Seen(
        environment.function.logical_id,
        environment.init_s,
        environment.own_s[0] - environment.init_s,
        median(environment.own_s[1:]) if environment.own_s[1:] else None,
        environment.peak_mb(),
        frozenset(environment.loaded()),
    )


def _moving_market() -> PriceHistory:
    """Each pool changes every six hours at its own time, up and down."""
    pools = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
    first = int((START - timedelta(days=DAYS)).timestamp())
    times = np.arange(first, first + (DAYS + 2) * 86_400, 6 * 3600) + 3 * 3600
    index = np.repeat(np.arange(len(pools)), len(times))
    prices = np.tile(0.03 + 0.0001 * np.abs((np.arange(len(times)) % 10) - 5), len(pools))
    return PriceHistory.from_rows(pools, index, np.tile(times, len(pools)) + 1500 * index, prices)
