"""One simulation: the real template in the embedded account, on a market, with a scenario's workloads."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import boto3

from simulator.account import EmbeddedAccount
from simulator.account.lambdas import Invocation
from simulator.account.rates import speaks_of_rates
from simulator.faults.aftermath import Aftermath
from simulator.faults.injector import Injector
from simulator.happenings import Happening, Watcher
from simulator.invariants import Auditor
from simulator.ledger_view import LedgerView
from simulator.markets import Market
from simulator.pools import pools_by_price, size
from simulator.scenario import Curve, Scenario, WorkloadSpec
from simulator.scenario_events import PriceSurge, Scripted
from simulator.scripted import happen
from simulator.signals import Signals
from simulator.summary import Summary, summarise
from simulator.tags import MANAGED_TAG, TAG_PREFIX, WORKLOAD_TAG
from simulator.world import INSTANCE_ROLE_ARN, Load, World

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
STACK_NAME = "spot-optimizer"
_TICK = timedelta(minutes=5)
_RECOVERED = timedelta(minutes=21)
"""Of the last fault: two runs of the sweep (invariant 3)."""
_PATIENCE = timedelta(minutes=45)
"""Of the last fault: then what is not settled yet never will be."""


@dataclass(frozen=True)
class Observer:
    """Whom to tell while it runs."""

    on_tick: Callable[[datetime], None]
    on_happening: Callable[[Happening], None]


def silent() -> Observer:
    """Tells nobody."""
    return Observer(lambda _: None, lambda _: None)


def simulate(
    scenario: Scenario, market: Market, *, seed: int, observer: Observer | None = None
) -> Summary:
    """Run ``scenario`` on ``market`` and sum up what the ledger and the account say afterwards.

    The product's invariants are asserted all the while. Two runs with one seed are alike.
    """
    with Simulation(scenario, market, seed=seed, observer=observer or silent()) as simulation:
        return simulation.run()


class Simulation:
    """An account with a deployed stack and running workloads, ready to be run or invoked."""

    def __init__(
        self, scenario: Scenario, market: Market, *, seed: int, observer: Observer
    ) -> None:
        self.scenario = placed(scenario, market)
        self.market, self._observer = with_surges(self.scenario, market), observer
        self.account = EmbeddedAccount(
            start=market.start,
            region=market.region,
            seed=seed,
            limits=scenario.limits,
            rates=scenario.rates,
        )
        self.injector = Injector(self.account)
        self.world = World(
            self.injector.now,
            seed=seed,
            region=market.region,
            prices=self.market.prices,
            on_demand_usd_per_hour=market.on_demand_usd_per_hour,
            limits=scenario.limits,
        )
        for (lifecycle, quota_class), vcpu_count in scenario.quotas_vcpu.items():
            self.world.set_class_quota_vcpu(lifecycle, quota_class, vcpu_count)
        self.first_instances: dict[str, str] = {}
        """Workload name -> the instance that it began on."""
        self.target_groups: dict[str, str] = {}
        """Workload name -> ARN, for those that have one."""
        self.addresses: dict[str, str] = {}
        """Workload name -> allocation id of its elastic address, for those that have one."""

    def __enter__(self) -> "Simulation":
        self.account.__enter__()
        try:
            self._set_up()
        except BaseException:
            self.account.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.account.__exit__(None, None, None)

    def _set_up(self) -> None:
        # Handlers log to their trace entries. moto reports every failed execution as its own error.
        logging.getLogger("moto").setLevel(logging.CRITICAL)
        self.account.attach(self.world)
        parameters = {"InstanceRoleArns": INSTANCE_ROLE_ARN, **self.scenario.parameters}
        self.account.deploy(TEMPLATE, STACK_NAME, parameters)
        self.signals = Signals(self.account, self.world)
        self.auditor = Auditor(
            self.account,
            self.world,
            STACK_NAME,
            excuses=self._may_fail,
        )
        self.aftermath = Aftermath(self.account, self.world, self.injector)
        self.watcher = Watcher(self.account, self.aftermath)
        if self.scenario.faults:
            self.injector.attach(self.world)
            self.account.stand_between(self.injector, self.injector.delays)
            self.injector.arm(self.scenario.faults)
        for spec in self.scenario.workloads:
            self._launch(spec)

    def _may_fail(self, invocation: Invocation) -> bool:
        """Where a fault was let happen in it, or a rate of the scenario's own refused its calls."""
        refused = bool(self.scenario.rates) and speaks_of_rates(invocation.error_message or "")
        return refused or self.injector.excuses(invocation.caller)

    def _launch(self, spec: WorkloadSpec) -> None:
        ours = {f"{TAG_PREFIX}{name}": value for name, value in spec.tags.items()}
        group = self.world.create_target_group(spec.name) if spec.target_group else None
        self.world.loads[spec.name] = Load(
            cpu_vcpu=self._demand(spec.cpu_vcpu),
            memory_gib=self._demand(spec.memory_gib) if spec.memory_gib else None,
        )
        self.first_instances[spec.name] = self.world.launch_instance(
            spec.instance_type,
            self._zone(spec),
            lifecycle=spec.lifecycle,
            tags={
                "Name": spec.name,
                MANAGED_TAG: STACK_NAME,
                WORKLOAD_TAG: spec.name,
                **ours,
                **spec.other_tags,
            },
            target_group_arn=group,
            address=spec.elastic_address,
            persistent=spec.persistent,
            age=timedelta(hours=spec.age_hours),
        )
        if group is not None:
            self.target_groups[spec.name] = group
        if spec.elastic_address:
            asked = [{"Name": "instance-id", "Values": [self.first_instances[spec.name]]}]
            (address,) = boto3.client("ec2").describe_addresses(Filters=asked)["Addresses"]
            self.addresses[spec.name] = address["AllocationId"]

    def _demand(self, curve: Curve) -> Callable[[datetime], float]:
        return lambda when: curve.at(self._hours(when))

    def _zone(self, spec: WorkloadSpec) -> str:
        """The zone that is named; else where the type costs most or least at the start.

        A recorded market may lack a zone: then it is the cheapest.
        """
        zones = [p.availability_zone for p in pools_by_price(self.market, (spec.instance_type,))]
        if spec.placement in zones:
            return spec.placement
        return zones[-1] if spec.placement == "most-expensive" else zones[0]

    def _hours(self, when: datetime) -> float:
        return (when - self.market.start).total_seconds() / 3600

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> Summary:
        """Let the whole time pass, then let running switches end."""
        waiting = sorted(self.scenario.scripted, key=lambda event: event.hour)
        while self.account.clock.now() < self.market.end:
            while waiting and self._due(waiting[0]) <= self.account.clock.now():
                event = waiting.pop(0)
                told = happen(event, self)
                self._observer.on_happening(
                    Happening(self.account.clock.now(), "", "scripted", told)
                )
            self.pass_time(self._next_look(waiting) - self.account.clock.now())
        # Another cycle would start new switches: only what is under way may end.
        self.account.run_until_quiet()
        self._recover()
        self._look()
        self.auditor.check_quiet(self.injector.last_fault)
        return summarise(self)

    def _due(self, event: Scripted) -> datetime:
        return self.market.start + timedelta(hours=event.hour)

    def _next_look(self, waiting: Sequence[Scripted]) -> datetime:
        """The next event, at the latest the next full tick."""
        ticks = (self.account.clock.now() - self.market.start) // _TICK + 1
        tick = min(self.market.start + ticks * _TICK, self.market.end)
        return min(tick, self._due(waiting[0])) if waiting else tick

    def _recover(self) -> None:
        """Give the sweep the time that it has to clear away what the last fault left."""
        last = self.injector.last_fault
        if last is None:
            return
        self.account.run_until(max(last, self.account.clock.now()))
        while self.account.clock.now() < last + (_RECOVERED if self._is_settled() else _PATIENCE):
            self.pass_time(_TICK)

    def _is_settled(self) -> bool:
        ledger = LedgerView(self.account)
        return all(switch.ended_at is not None for switch in ledger.switches()) and not any(
            workload.claim_switch_id for workload in ledger.workloads().values()
        )

    def pass_time(self, duration: timedelta) -> None:
        """Let time run, and look at what happened."""
        self.account.run_for(duration)
        self.world.advance()
        self._look()

    def _look(self) -> None:
        for happening in self.watcher.news():
            self._observer.on_happening(happening)
        self.auditor.check()
        self._observer.on_tick(self.account.clock.now())


def placed(scenario: Scenario, market: Market) -> Scenario:
    """The scenario with types that the market knows.

    A recorded market may lack a type: then the workload runs on the next larger one in it, of its
    list of types if possible; the list is lifted where nothing would be left of it.
    """
    known = {pool.instance_type for pool in pools_by_price(market, _all_types(market))}
    return replace(scenario, workloads=tuple(_placed(spec, known) for spec in scenario.workloads))


def _all_types(market: Market) -> tuple[str, ...]:
    return tuple({pool.instance_type for pool in market.prices.pools})


def _placed(spec: WorkloadSpec, known: set[str]) -> WorkloadSpec:
    instance_type, tags = spec.instance_type, dict(spec.tags)
    globs = spec.tags.get("types", "*").split(",")
    listed = {name for name in known if any(fnmatchcase(name, glob) for glob in globs)}
    if not listed:
        tags["types"] = "*"
    if instance_type not in known:
        wanted = size(instance_type)
        larger = [name for name in known if size(name) >= wanted] or sorted(known)
        instance_type = min(larger, key=lambda name: (name not in listed, size(name), name))
    return spec.model_copy(update={"instance_type": instance_type, "tags": tags})


def with_surges(scenario: Scenario, market: Market) -> Market:
    """The market with the scenario's price surges laid over it, as far as they fall into its time."""
    prices = market.prices
    for event in scenario.scripted:
        if not isinstance(event, PriceSurge):
            continue
        start = market.hour(event.hour)
        end = market.hour(event.until_hour)
        pools = [
            pool
            for pool in prices.pools
            if fnmatchcase(pool.instance_type, event.instance_type)
            and fnmatchcase(pool.availability_zone, event.availability_zone)
        ]
        if pools and start < end:
            prices = prices.with_price_surge(pools, start, end, event.factor)
    return replace(market, prices=prices)
