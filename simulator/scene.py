"""What a simulation runs on: the real template in the embedded account, on a market, with workloads."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

import boto3

from simulator.account import EmbeddedAccount
from simulator.account.lambdas import Invocation
from simulator.account.rates import speaks_of_rates
from simulator.faults.aftermath import Aftermath
from simulator.faults.injector import Injector
from simulator.invariants import Auditor
from simulator.markets import Market
from simulator.pools import pools_by_price, size
from simulator.scenario import Curve, Scenario, WorkloadSpec
from simulator.scenario_events import PriceSurge
from simulator.signals import Signals
from simulator.tags import MANAGED_TAG, TAG_PREFIX, WORKLOAD_TAG
from simulator.world import Load, World

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
STACK_NAME = "spot-optimizer"


class Scene:
    """An account with a deployed stack and running workloads."""

    def __init__(self, scenario: Scenario, market: Market, *, seed: int) -> None:
        self.scenario = placed(scenario, market)
        self.market = with_surges(self.scenario, market)
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
            account_id=self.account.account_id,
            region=market.region,
            prices=self.market.prices,
            on_demand_usd_per_hour=market.on_demand_usd_per_hour,
            limits=scenario.limits,
        )
        for (lifecycle, quota_class), vcpu_count in scenario.quotas_vcpu.items():
            self.world.set_class_quota_vcpu(lifecycle, quota_class, vcpu_count)
        for number in range((scenario.subnets - 1) * len(self.world.zones)):
            zone = self.world.zones[number % len(self.world.zones)]
            self.world.add_subnet(zone, f"172.31.{96 + number}.0/24")
        self.first_instances: dict[str, str] = {}
        """Workload name -> the instance that it began on."""
        self.target_groups: dict[str, str] = {}
        """Workload name -> ARN, for those that have one."""
        self.addresses: dict[str, str] = {}
        """Workload name -> allocation id of its elastic address, for those that have one."""

    def __enter__(self) -> Self:
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
        parameters = {"InstanceRoleArns": self.world.instance_role_arn, **self.scenario.parameters}
        self.account.deploy(TEMPLATE, STACK_NAME, parameters)
        self.signals = Signals(self.account, self.world)
        self.auditor = Auditor(
            self.account,
            self.world,
            STACK_NAME,
            excuses=self._may_fail,
        )
        self.aftermath = Aftermath(self.account, self.world, self.injector)
        if self.scenario.faults:
            self.injector.attach(self.world)
            self.account.stand_between(self.injector, self.injector.delays)
            self.injector.arm(self.scenario.faults)
        for spec in self.scenario.workloads:
            self._launch(spec)

    def _may_fail(self, invocation: Invocation) -> bool:
        """Whether a fault was injected into it, or a rate of the scenario refused its calls."""
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
            own = [self.first_instances[spec.name]]
            (address,) = boto3.client("ec2").describe_addresses(
                Filters=[{"Name": "instance-id", "Values": own}]
            )["Addresses"]
            self.addresses[spec.name] = address["AllocationId"]

    def _demand(self, curve: Curve) -> Callable[[datetime], float]:
        return lambda when: curve.at(self._hours(when))

    def _zone(self, spec: WorkloadSpec) -> str:
        """The named zone; else the one in which the type costs most or least at the start.

        If the market lacks the zone, the cheapest one.
        """
        zones = [p.availability_zone for p in pools_by_price(self.market, (spec.instance_type,))]
        if spec.placement in zones:
            return spec.placement
        return zones[-1] if spec.placement == "most-expensive" else zones[0]

    def _hours(self, when: datetime) -> float:
        return (when - self.market.start).total_seconds() / 3600


def placed(scenario: Scenario, market: Market) -> Scenario:
    """The scenario with types that the market knows.

    If a recorded market lacks a type, the workload runs on the next larger one, from its list of types
    if possible. A list of which the market has no type no longer limits the workload.
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
    """The market with the scenario's price surges, as far as they fall into its time."""
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
