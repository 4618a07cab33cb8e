"""The product deployed in an embedded account, with a market that stands still and faults on order."""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import boto3

from simulator.account import EmbeddedAccount
from simulator.account.executions import Execution
from simulator.account.lambdas import Runner
from simulator.account.translate import Translation, translate
from simulator.limits import LIMITS, Limits
from simulator.market.history import Pool, PriceHistory
from simulator.market.on_demand import on_demand_prices
from simulator.signals import Signals
from simulator.world import INSTANCE_ROLE_ARN, World
from tests.workflow.faults import ApiCall, Between

SEED = 20_260_302
START = datetime(2026, 3, 2, tzinfo=UTC)
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
STACK = "spot-optimizer"
REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
HOME = "m5.large"
TYPES = (HOME, "m5a.large", "m6i.large", "c6i.xlarge", "m6g.large")
PRICE_USD_PER_HOUR = 0.03
"""Of every pool: so near to each other nothing is worth a switch, and each is acceptable."""

WORKLOADS_MAX = 100
"""StackBreakerWorkloads of a stage on which many workloads fail at once."""

_reference: dict[str, bytes] = {}
"""Catalogue and advisor as the first stage read them: the same in every stage."""
_REFERENCE_KEYS = ("market/catalog.json.gz", "market/advisor.json.gz")


_translations: dict[str, Translation] = {}


def _translate_once(path: Path, parameters: dict[str, str]) -> Translation:
    """A third of a test's time is SAM's translation, which is the same in every stage."""
    key = json.dumps([str(path), parameters], sort_keys=True)
    if key not in _translations:
        _translations[key] = translate(path, parameters)
    return deepcopy(_translations[key])


class Stage(Between):
    """What a scenario does to the account, and what it sees of it."""

    def __init__(self, account: EmbeddedAccount, world: World) -> None:
        super().__init__(account)
        self.world = world

    # --- doing -----------------------------------------------------------------------------------

    def deploy(
        self, parameters: Mapping[str, str | int | float], template: Path = TEMPLATE
    ) -> None:
        """Deploy the template and give it the reference data."""
        defaults: dict[str, str | int | float] = {
            "DryRun": "false",
            "CycleMinutes": 60,
            "SnapshotAgeMinutesMax": 61,
            "ConfirmSafeMinutes": 0,
            "InstanceRoleArns": INSTANCE_ROLE_ARN,
        }
        with mock.patch("simulator.account.deploy.translate", _translate_once):
            self.account.deploy(template, STACK, {**defaults, **parameters})
        self.stop_rules_of("Sweep")  # left-overs stay until a scenario calls ``sweep``
        if not _reference:
            self.account.invoke("RefreshMarket", {"task": "reference"})
            _reference.update({key: self.object(key) for key in _REFERENCE_KEYS})
            return
        for key, body in _reference.items():
            boto3.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def stop_rules_of(self, function: str) -> None:
        """No schedule and no event reaches a function (logical id) from now on."""
        events = boto3.client("events")
        for rule in events.list_rules()["Rules"]:
            targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            if any(f"-{function}-" in target["Arn"] for target in targets):
                events.disable_rule(Name=rule["Name"])

    def launch(
        self,
        workload: str | None = "web",
        instance_type: str = HOME,
        zone: str = ZONES[0],
        tags: Mapping[str, str] | None = None,
        **details: Any,
    ) -> str:
        """An instance of the user's own that asks to be managed; its id."""
        ours = {"spot-optimizer:managed": STACK, "spot-optimizer:state": "stateless"}
        if workload is not None:
            ours["spot-optimizer:workload"] = workload
        return self.world.launch_instance(
            instance_type, zone, tags={**ours, **(tags or {})}, **details
        )

    def take_in(self) -> None:
        """Adopt what is there and learn the prices of what fits it."""
        self.account.invoke("Decide", {"trigger": "schedule"})
        self.refresh()

    def refresh(self) -> dict[str, Any]:
        """Collect prices."""
        counted: dict[str, Any] = self.account.invoke("RefreshMarket", {"task": "prices"})
        return counted

    def cycle(self) -> dict[str, Any]:
        """One scheduled cycle on fresh prices."""
        self.refresh()
        summary: dict[str, Any] = self.account.invoke("Decide", {"trigger": "schedule"})
        return summary

    def sweep(self) -> list[dict[str, str]]:
        """One scheduled sweep; what it found."""
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
        """A switch order as ``decide`` would write it, for candidates of one's own."""
        item, plan = self.workload(workload), self.item("PLANS", workload)
        row = self.describe(item["instance_id"])
        subnets = boto3.client("ec2").describe_subnets()["Subnets"]
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
        reply = boto3.client("stepfunctions").start_execution(
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

    def stop_looking_for_gaps(self) -> None:
        """Gaps stay, and the archive does not grow, until a scenario asks for it."""
        events = boto3.client("events")
        for rule in events.list_rules()["Rules"]:
            targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            if any('"gaps"' in target.get("Input", "") for target in targets):
                events.disable_rule(Name=rule["Name"])

    # --- seeing ----------------------------------------------------------------------------------

    @property
    def bucket(self) -> str:
        return self.account.outputs["DataBucket"]

    def object(self, key: str) -> bytes:
        """An object of the data bucket."""
        body: bytes = boto3.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Objects of the data bucket by key, unpacked where they are gzip."""
        listed = boto3.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        bodies = {row["Key"]: self.object(row["Key"]) for row in listed.get("Contents", ())}
        return {k: gzip.decompress(b) if k.endswith(".gz") else b for k, b in bodies.items()}

    def items(self) -> list[dict[str, Any]]:
        """Every item of the ledger."""
        return [_plain(item) for item in self.account.table_items("Ledger")]

    def item(self, pk: str, sk: str) -> dict[str, Any]:
        """One item of the ledger; empty if there is none."""
        return next((i for i in self.items() if (i["pk"], i["sk"]) == (pk, sk)), {})

    def workload(self, workload: str = "web") -> dict[str, Any]:
        """A workload's hot item."""
        return self.item("WORKLOADS", workload)

    def switches(self, workload: str = "web") -> list[dict[str, Any]]:
        """Records of a workload's switches, the oldest first."""
        found = [
            item
            for item in self.items()
            if item["pk"] == f"WORKLOAD#{workload}" and item["sk"].startswith("SWITCH#")
        ]
        return sorted(found, key=lambda item: str(item["claimed_at"]))

    def history(self, workload: str, kind: str) -> list[dict[str, Any]]:
        """Items of a workload's history (DECISION, COMMAND), the oldest first."""
        pk = f"WORKLOAD#{workload}"
        found = [i for i in self.items() if i["pk"] == pk and i["sk"].startswith(f"{kind}#")]
        return sorted(found, key=lambda item: str(item["sk"]))

    def describe(self, instance_id: str) -> dict[str, Any]:
        """An instance as DescribeInstances shows it."""
        reply = boto3.client("ec2").describe_instances(InstanceIds=[instance_id])
        return dict(reply["Reservations"][0]["Instances"][0])

    def alive(self) -> set[str]:
        """Instances that are not terminated, nor about to be."""
        gone = ("terminated", "shutting-down")
        return {i for i in self.world.instances if self.world.state_of(i) not in gone}

    def targets(self, group_arn: str) -> dict[str, str]:
        """Instance id -> health, in a target group."""
        reply = boto3.client("elbv2").describe_target_health(TargetGroupArn=group_arn)
        rows = reply["TargetHealthDescriptions"]
        return {row["Target"]["Id"]: row["TargetHealth"]["State"] for row in rows}

    def address_holder(self) -> str | None:
        """The instance that bears the one elastic address."""
        holder: str | None = (
            boto3.client("ec2").describe_addresses()["Addresses"][0].get("InstanceId")
        )
        return holder

    def calls_of(self, *operations: str) -> list[ApiCall]:
        """The product's calls of these operations."""
        return [call for call in self.api if call.operation in operations]


def _plain(value: Any) -> Any:
    """DynamoDB's decimals as numbers of Python and JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def still_market(prices: Mapping[tuple[str, str], float]) -> PriceHistory:
    """Every type in every zone at one price since nine days ago; ``prices`` says which differ."""
    pools = [Pool(instance_type, zone) for instance_type in TYPES for zone in ZONES]
    since = int((START - timedelta(days=9)).timestamp())
    return PriceHistory.from_rows(
        pools,
        list(range(len(pools))),
        [since] * len(pools),
        [
            prices.get((pool.instance_type, pool.availability_zone), PRICE_USD_PER_HOUR)
            for pool in pools
        ],
        end=START + timedelta(days=30),
    )


@contextmanager
def open_stage(
    prices: Mapping[tuple[str, str], float] | None = None,
    market: PriceHistory | None = None,
    limits: Limits = LIMITS,
    template: Path = TEMPLATE,
    runner: Runner | None = None,
    **parameters: str | int | float,
) -> Iterator[Stage]:
    """A deployed product that acts. ``parameters`` are the template's; ``runner`` runs its functions,
    otherwise this process does."""
    on_demand = on_demand_prices(TYPES)
    with EmbeddedAccount(start=START, region=REGION, seed=SEED, limits=limits) as account:
        world = World(
            account.clock.now,
            seed=SEED,
            prices=market or still_market(prices or {}),
            on_demand_usd_per_hour=on_demand,
            advisor_buckets=dict.fromkeys(TYPES, 0),
            limits=limits,
        )
        account.attach(world)
        Signals(account, world)
        stage = Stage(account, world)
        with stage.in_between():
            if runner is not None:
                account.lambdas.run_by(runner)
            stage.deploy(parameters, template)
            stage.stop_looking_for_gaps()
            yield stage
