"""Where trials take place: the product deployed and acting, on a market that stands still."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import boto3
from moto.sns.models import sns_backends

from simulator.account import EmbeddedAccount
from simulator.account.account import FunctionFailed
from simulator.account.translate import Translation, translate
from simulator.faults.injector import Injector
from simulator.invariants import Auditor
from simulator.ledger_view import LedgerView
from simulator.market.history import Pool, PriceHistory
from simulator.market.on_demand import on_demand_prices
from simulator.signals import Signals
from simulator.world import INSTANCE_ROLE_ARN, World
from spot_optimizer.aws.ledger.codec import instant
from spot_optimizer.aws.ledger.keys import workload_key

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
STACK = "spot-optimizer"
REGION = "us-east-1"
START = datetime(2026, 3, 2, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
HOME = "m5.large"
TYPES = (HOME, "m5a.large", "m6i.large", "c6i.xlarge")
PRICE_USD_PER_HOUR = 0.03
"""Of every pool: so near to each other nothing is worth a switch, and each is acceptable."""

_REFERENCE_KEYS = ("market/catalog.json.gz", "market/advisor.json.gz")
_PARAMETERS: Mapping[str, str | int | float] = {
    "DryRun": "false",
    "CycleMinutes": 60,
    "SnapshotAgeMinutesMax": 61,
    "ConfirmSafeMinutes": 0,
    "InstanceRoleArns": INSTANCE_ROLE_ARN,
}
_ASKS_MAX = 15
"""Once a minute, for longer than a call is refused: nobody leaves the global stop set."""
_reference: dict[str, bytes] = {}
_translations: dict[str, Translation] = {}


@cache
def client(service: str) -> Any:
    """A client for whoever acts beside the product; making one takes longer than its call."""
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


Prices = Callable[[PriceHistory], PriceHistory]


class Ground:
    """One account with the deployed product, and whoever acts there beside it."""

    def __init__(self, account: EmbeddedAccount, world: World, injector: Injector) -> None:
        self.account, self.world, self.injector = account, world, injector
        self.ledger = LedgerView(account)
        self.auditor = Auditor(
            account, world, STACK, excuses=lambda each: injector.excuses(each.caller)
        )
        self.rng = Random(0)
        """What a random trial draws from."""
        self.notes: dict[str, str] = {}
        """What a trial wants to remember from its beginning to its end."""
        self.degraded: list[str] = []
        """Traffic that does not reach its workload any more; see ``verdict``."""
        self.given_up: set[str] = set()
        """Workloads whose machine a person has ended."""
        self.ended: set[str] = set()
        """Replacements that a person has ended; one may become its workload's machine all the same."""

    @property
    def now(self) -> datetime:
        """Virtual time."""
        return self.account.clock.now()

    def launch(
        self,
        workload: str,
        instance_type: str = HOME,
        zone: str = ZONES[0],
        tags: Mapping[str, str] | None = None,
        **details: Any,
    ) -> str:
        """An instance of the user's own that asks to be managed; its id."""
        ours = {
            "spot-optimizer:managed": STACK,
            "spot-optimizer:state": "stateless",
            "spot-optimizer:workload": workload,
        }
        return self.world.launch_instance(
            instance_type, zone, tags={**ours, **(tags or {})}, **details
        )

    def take_in(self) -> None:
        """Adopt what is there and learn the prices of what fits it."""
        self.account.invoke("Decide", {"trigger": "schedule"})
        self.account.invoke("RefreshMarket", {"task": "prices"})

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
        """A manual request; a person whose request fails asks again a minute later."""
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
        """EC2 takes the spot instance of a workload back."""
        instance_id = self.ledger.workloads()[workload].instance_id
        if self.world.instances[instance_id].lifecycle == "spot":
            self.world.interrupt(instance_id, action, warned=warned)

    def recommend_rebalance(self, workload: str) -> None:
        """EC2 says that the spot instance of a workload is at risk."""
        instance_id = self.ledger.workloads()[workload].instance_id
        if self.world.instances[instance_id].lifecycle == "spot":
            self.world.recommend_rebalance(instance_id)

    def is_given_up(self, workload: str) -> bool:
        """Whether a person has ended the machine that a workload is recorded on."""
        recorded_on = self.ledger.workloads()[workload].instance_id
        return workload in self.given_up or recorded_on in self.ended

    def runs(self, workload: str) -> bool:
        """Whether the instance that a workload is recorded on runs."""
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
        """Let the time of a workload's claim be over; nothing where it is not claimed."""
        if self.ledger.workloads()[workload].claim_switch_id is None:
            return
        client("dynamodb").update_item(
            TableName=self.account.outputs["LedgerTable"],
            Key=workload_key(workload),
            UpdateExpression="SET claim_expires_at = :past",
            ExpressionAttributeValues={":past": {"S": instant(self.now - timedelta(minutes=1))}},
        )
        self.auditor.check()

    def stop_executions(self) -> None:
        """Somebody stops whatever runs, in the console."""
        for execution in self.account.executions():
            if execution.status == "RUNNING":
                client("stepfunctions").stop_execution(executionArn=execution.arn)

    def redrive_executions(self) -> None:
        """Somebody has whatever was stopped go on, in the console."""
        for execution in self.account.executions():
            if execution.status == "ABORTED":
                self.account.redrive(execution.name)

    def schedule(self, function: str, *, enabled: bool, holding: str = "") -> None:
        """Switch the schedules of a function whose input holds a word on or off."""
        events = client("events")
        for rule in events.list_rules()["Rules"]:
            targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            if any(f"-{function}-" in t["Arn"] and holding in t.get("Input", "") for t in targets):
                change = events.enable_rule if enabled else events.disable_rule
                change(Name=rule["Name"])

    def alerts(self) -> list[str]:
        """Texts of all alerts that were sent."""
        topic = sns_backends[self.account.account_id][REGION].topics[
            self.account.outputs["AlertTopic"]
        ]
        return [message for _, message, *_ in topic.sent_notifications]

    def running(self, workload: str) -> list[str]:
        """The running instances that bear our tag and a workload's name."""
        return [
            instance_id
            for instance_id in self.world.instances
            if self.world.state_of(instance_id) in ("pending", "running")
            and self.world.tags_of(instance_id).get("spot-optimizer:managed") == STACK
            and self.world.tags_of(instance_id).get("spot-optimizer:workload") == workload
        ]

    def targets(self, group_arn: str) -> dict[str, str]:
        """Instance id -> health, in a target group."""
        reply = client("elbv2").describe_target_health(TargetGroupArn=group_arn)
        rows = reply["TargetHealthDescriptions"]
        return {row["Target"]["Id"]: row["TargetHealth"]["State"] for row in rows}

    def address_holders(self) -> list[str | None]:
        """The instances that bear elastic addresses."""
        rows = client("ec2").describe_addresses()["Addresses"]
        return [row.get("InstanceId") for row in rows]

    def user_data(self, instance_id: str) -> str | None:
        """User data in base64."""
        reply = client("ec2").describe_instance_attribute(
            InstanceId=instance_id, Attribute="userData"
        )
        value: str | None = reply.get("UserData", {}).get("Value")
        return value


def _translate_once(path: Path, parameters: dict[str, str]) -> Translation:
    """SAM's translation takes longer than a whole trial and is the same for each."""
    key = json.dumps(parameters, sort_keys=True)
    if key not in _translations:
        _translations[key] = translate(path, parameters)
    return deepcopy(_translations[key])


def still_market() -> PriceHistory:
    """Every type in every zone at one price since nine days ago."""
    pools = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
    since = int((START - timedelta(days=9)).timestamp())
    return PriceHistory.from_rows(
        pools,
        list(range(len(pools))),
        [since] * len(pools),
        [PRICE_USD_PER_HOUR] * len(pools),
        end=START + timedelta(days=30),
    )


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
        world = World(
            injector.now,
            seed=seed,
            prices=prices(still_market()),
            on_demand_usd_per_hour=on_demand_prices(TYPES),
            advisor_buckets=dict.fromkeys(TYPES, 0),
        )
        account.attach(world)
        injector.attach(world)
        Signals(account, world)
        account.stand_between(injector, injector.delays)
        with mock.patch("simulator.account.deploy.translate", _translate_once):
            account.deploy(TEMPLATE, STACK, {**_PARAMETERS, **(parameters or {})})
        _give_reference_data(account)
        ground = Ground(account, world, injector)
        # A market that stands still has no gaps.
        ground.schedule("RefreshMarket", enabled=False, holding="gaps")
        yield ground


def _give_reference_data(account: EmbeddedAccount) -> None:
    bucket, s3 = account.outputs["DataBucket"], client("s3")
    if not _reference:
        account.invoke("RefreshMarket", {"task": "reference"})
        for key in _REFERENCE_KEYS:
            _reference[key] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return
    for key, body in _reference.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
