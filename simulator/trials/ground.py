"""Where trials happen: a deployed product on a still market, faults, and people who act."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

from moto.sns.models import sns_backends

from simulator.account import EmbeddedAccount
from simulator.account.account import FunctionFailed
from simulator.deployed import (
    REGION,
    STACK,
    START,
    ZONES,
    Deployed,
    client,
    deploy,
    still_market,
    store_reference_data,
    world_of,
)
from simulator.faults.injector import Injector
from simulator.invariants import Auditor
from simulator.ledger_view import LedgerView
from simulator.market.history import PriceHistory
from simulator.signals import Signals
from simulator.world import World

_ASKS_MAX = 15
"""Once a minute, for longer than a call is refused: nobody leaves the global stop set."""

Prices = Callable[[PriceHistory], PriceHistory]


class TrialFailed(AssertionError):
    """The run ended in a state in which it must not end."""


class Ground(Deployed):
    """One account with the deployed product, and the people who act there beside it."""

    def __init__(self, account: EmbeddedAccount, world: World, injector: Injector) -> None:
        super().__init__(account, world)
        self.injector = injector
        self.ledger = LedgerView(account)
        self.auditor = Auditor(
            account, world, STACK, excuses=lambda each: injector.excuses(each.caller)
        )
        self.rng = Random(0)
        """What a random trial draws from."""
        self.notes: dict[str, str] = {}
        """What a trial remembers from its beginning to its end."""
        self.given_up: set[str] = set()
        """Workloads whose instance a person has terminated."""
        self.ended: set[str] = set()
        """Replacements that a person has terminated; one may become its workload's instance even so."""

    @property
    def now(self) -> datetime:
        """Virtual time."""
        return self.account.clock.now()

    def cycle(self) -> None:
        """What the schedules of a cycle do: collect prices, then decide."""
        for function, event in (
            ("RefreshMarket", {"task": "prices"}),
            ("Decide", {"trigger": "schedule"}),
        ):
            self.invoke_later(function, event)
            self.account.run_for(timedelta(seconds=1))

    def invoke_later(self, function: str, event: Mapping[str, str]) -> None:
        """An asynchronous invocation, with Lambda's retries."""
        found = self.account.lambdas.find(function)
        self.account.events.invoke_later(found, json.dumps(event).encode())

    def ask(self, **request: Any) -> None:
        """A manual request; if it fails, it is repeated a minute later."""
        for _ in range(_ASKS_MAX):
            try:
                self.account.invoke("Command", {"asked_by": "ann", **request})
                return
            except FunctionFailed:
                self.account.run_for(timedelta(minutes=1))

    def force(
        self,
        workload: str = "web",
        instance_type: str = "m5a.large",
        zone: str = ZONES[1],
        lifecycle: str = "spot",
    ) -> None:
        """A person orders a switch."""
        self.ask(
            command="decide",
            workload=workload,
            instance_type=instance_type,
            availability_zone=zone,
            lifecycle=lifecycle,
        )

    def interrupt(self, workload: str, action: str = "terminate", *, warned: bool = True) -> None:
        """EC2 interrupts the spot instance of a workload."""
        instance_id = self.ledger.workloads()[workload].instance_id
        if self.world.instances[instance_id].lifecycle == "spot":
            self.world.interrupt(instance_id, action, warned=warned)

    def recommend_rebalance(self, workload: str) -> None:
        """EC2 sends a rebalance recommendation for the spot instance of a workload."""
        instance_id = self.ledger.workloads()[workload].instance_id
        if self.world.instances[instance_id].lifecycle == "spot":
            self.world.recommend_rebalance(instance_id)

    def is_given_up(self, workload: str) -> bool:
        """Whether a person has terminated the instance on which the ledger has a workload."""
        recorded_on = self.ledger.workloads()[workload].instance_id
        return workload in self.given_up or recorded_on in self.ended

    def runs(self, workload: str) -> bool:
        """Whether the instance on which the ledger has a workload runs."""
        return self.world.state_of(self.ledger.workloads()[workload].instance_id) == "running"

    def run_until_entered(self, state: str) -> None:
        """Run until the newest execution has entered ``state``, or ends without it."""
        while executions := self.account.executions():
            newest = executions[-1]
            due = self.account.clock.next_deadline()
            if state in newest.states or newest.status != "RUNNING" or due is None:
                return
            self.account.run_until(due)

    def expire_claim(self, workload: str) -> None:
        """Let a workload's claim expire, if it is claimed."""
        if self.ledger.workloads()[workload].claim_switch_id is None:
            return
        past = f"{self.now - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}.000Z"
        client("dynamodb").update_item(
            TableName=self.account.outputs["LedgerTable"],
            Key={"pk": {"S": "WORKLOADS"}, "sk": {"S": workload}},
            UpdateExpression="SET claim_expires_at = :past",
            ExpressionAttributeValues={":past": {"S": past}},
        )
        self.auditor.check()

    def stop_executions(self) -> None:
        """A person stops all running executions in the console."""
        for execution in self.account.executions():
            if execution.status == "RUNNING":
                client("stepfunctions").stop_execution(executionArn=execution.arn)

    def redrive_executions(self) -> None:
        """A person redrives all stopped executions in the console."""
        for execution in self.account.executions():
            if execution.status == "ABORTED":
                self.account.redrive(execution.name)

    def alerts(self) -> list[str]:
        """Texts of all alerts that were sent."""
        topic = sns_backends[self.account.account_id][REGION].topics[
            self.account.outputs["AlertTopic"]
        ]
        return [message for _, message, *_ in topic.sent_notifications]

    def running(self, workload: str) -> list[str]:
        """The running instances that have our tag and a workload's name."""
        return [
            instance_id
            for instance_id in self.world.instances
            if self.world.state_of(instance_id) in ("pending", "running")
            and self.world.tags_of(instance_id).get("spot-optimizer:managed") == STACK
            and self.world.tags_of(instance_id).get("spot-optimizer:workload") == workload
        ]

    def user_data(self, instance_id: str) -> str | None:
        """User data in base64."""
        reply = client("ec2").describe_instance_attribute(
            InstanceId=instance_id, Attribute="userData"
        )
        value: str | None = reply.get("UserData", {}).get("Value")
        return value


@contextmanager
def open_ground(
    prices: Prices = lambda market: market,
    parameters: Mapping[str, str | int | float] | None = None,
    *,
    seed: int,
) -> Iterator[Ground]:
    """A deployed product that acts. ``prices`` changes the still market."""
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    with EmbeddedAccount(start=START, region=REGION, seed=seed) as account:
        injector = Injector(account)
        world = world_of(injector.now, prices(still_market()), seed=seed)
        account.attach(world)
        injector.attach(world)
        Signals(account, world)
        account.stand_between(injector, injector.delays)
        deploy(account, parameters)
        store_reference_data(account)
        ground = Ground(account, world, injector)
        # A market that stands still has no gaps.
        ground.schedule("RefreshMarket", enabled=False, holding="gaps")
        yield ground
