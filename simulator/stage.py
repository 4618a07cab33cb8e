"""A stage for tests: the deployed product, whose calls are recorded and fail on order."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from simulator.account import EmbeddedAccount
from simulator.account.executions import Execution
from simulator.account.lambdas import Runner
from simulator.call_log import ApiCall, CallLog, Fault
from simulator.deployed import (
    PRICE_USD_PER_HOUR,
    REGION,
    START,
    TEMPLATE,
    ZONES,
    Deployed,
    client,
    deploy,
    still_market,
    store_reference_data,
    world_of,
)
from simulator.deployed import TYPES as X86_TYPES
from simulator.limits import LIMITS, Limits
from simulator.market.history import PriceHistory
from simulator.signals import Signals
from simulator.world import World

SEED = 20_260_302
TYPES = (*X86_TYPES, "m6g.large")
WORKLOADS_MAX = 100
"""StackBreakerWorkloads of a stage on which many workloads fail at once."""


class Stage(Deployed):
    """An account with the deployed product, and what a test does there."""

    def __init__(self, account: EmbeddedAccount, world: World) -> None:
        super().__init__(account, world)
        log = CallLog(account)
        account.stand_between(log, lambda *_: (timedelta(0),))
        self.api: list[ApiCall] = log.api
        """The product's calls so far."""
        self.faults: list[Fault] = log.faults
        """What shall fail."""
        self.before_call: dict[str, Callable[[], object]] = log.before_call
        """Operation -> what to do just before the product calls it."""

    def calls_of(self, *operations: str) -> list[ApiCall]:
        """The product's calls of these operations."""
        return [call for call in self.api if call.operation in operations]

    def cycle(self) -> dict[str, Any]:
        """One scheduled cycle on fresh prices."""
        self.refresh()
        summary: dict[str, Any] = self.account.invoke("Decide", {"trigger": "schedule"})
        return summary

    def sweep(self) -> list[dict[str, str]]:
        """One scheduled sweep; its findings."""
        answer: dict[str, Any] = self.account.invoke("Sweep", {"trigger": "schedule"})
        found: list[dict[str, str]] = answer["found"]
        return found

    def command(self, **request: Any) -> dict[str, Any]:
        """A manual request by ann."""
        answer: dict[str, Any] = self.account.invoke("Command", {"asked_by": "ann", **request})
        return answer

    def force(
        self,
        workload: str = "web",
        instance_type: str = "m5a.large",
        zone: str = ZONES[1],
        lifecycle: str = "spot",
    ) -> dict[str, Any]:
        """Force a switch on fresh prices."""
        self.refresh()
        return self.command(
            command="decide",
            workload=workload,
            instance_type=instance_type,
            availability_zone=zone,
            lifecycle=lifecycle,
        )

    def order(
        self, workload: str, *candidates: tuple[str, str, str], name: str = "by-hand", **over: Any
    ) -> dict[str, Any]:
        """A switch order as ``Decide`` would write it, for candidates of one's own."""
        item, plan = self.workload(workload), self.item("PLANS", workload)
        row = self.describe(item["instance_id"])
        subnets = client("ec2").describe_subnets()["Subnets"]
        subnet = {each["AvailabilityZone"]: each["SubnetId"] for each in subnets}
        return {
            "switch_id": f"{workload}-{name}",
            "workload_id": workload,
            "decision_id": f"{workload}-{name}",
            "decided_at": self.account.clock.now().isoformat(),
            "kind": "SWITCH",
            "row": 3,
            "reason": "by hand",
            "original": {
                "instance_id": item["instance_id"],
                "instance_type": row["InstanceType"],
                "availability_zone": row["Placement"]["AvailabilityZone"],
                "lifecycle": row.get("InstanceLifecycle", "on-demand"),
                "price_usd_per_hour": 0.05,
            },
            "candidates": [
                {
                    "instance_type": instance_type,
                    "availability_zone": zone,
                    "lifecycle": lifecycle,
                    "subnet_id": subnet[zone],
                    "price_usd_per_hour": PRICE_USD_PER_HOUR,
                }
                for instance_type, zone, lifecycle in candidates
            ],
            "launch_template": plan["launch_template"],
            "standing_traffic": plan.get("traffic"),
            "home_type_after": item["home_type"],
            "auto_terminate": True,
            "guard": {
                "cooldown_minutes": 10,
                "breaker_failures": 3,
                "backoff_minutes": 15,
                "backoff_minutes_max": 360,
            },
            **over,
        }

    def start(self, order: Mapping[str, Any]) -> str:
        """Start SwitchInstance with an order; its execution's ARN."""
        reply = client("stepfunctions").start_execution(
            stateMachineArn=self.account.stack.physical_ids["SwitchInstance"],
            name=order["switch_id"],
            input=json.dumps(order),
        )
        return str(reply["executionArn"])

    def finish(self) -> Execution:
        """Run until nothing is under way; the newest execution."""
        self.account.run_until_quiet(within=timedelta(hours=3))
        return self.account.executions()[-1]

    def run_until_entered(self, state: str) -> None:
        """Run until the newest execution has entered ``state``."""
        while state not in [s for e in self.account.executions()[-1:] for s in e.states]:
            due = self.account.clock.next_deadline()
            assert due is not None, f"{state} is never entered: {self.account.executions()[-1:]}"
            self.account.run_until(due)


@contextmanager
def open_stage(
    prices: Mapping[tuple[str, str], float] | None = None,
    market: PriceHistory | None = None,
    types: Sequence[str] = TYPES,
    limits: Limits = LIMITS,
    template: Path = TEMPLATE,
    runner: Runner | None = None,
    **parameters: str | int | float,
) -> Iterator[Stage]:
    """A deployed product that acts; leftovers and gaps stay until a test calls for them.

    ``types`` are those of the market, ``parameters`` those of the template; ``runner`` runs the
    functions, otherwise this process does.
    """
    with EmbeddedAccount(start=START, region=REGION, seed=SEED, limits=limits) as account:
        world = world_of(
            account.clock.now,
            market or still_market(types, prices),
            types=types,
            seed=SEED,
            limits=limits,
        )
        account.attach(world)
        Signals(account, world)
        stage = Stage(account, world)
        if runner is not None:
            account.lambdas.run_by(runner)
        deploy(account, parameters, template)
        stage.stop_rules_of("Sweep")
        store_reference_data(account, types)
        stage.schedule("RefreshMarket", enabled=False, holding='"gaps"')
        yield stage
