"""The product deployed in an embedded account, on a market whose prices stand still."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import boto3

from simulator.account import EmbeddedAccount
from simulator.account.translate import Translation, translate
from simulator.limits import LIMITS, Limits
from simulator.market.history import Pool, PriceHistory
from simulator.market.on_demand import on_demand_prices
from simulator.world import INSTANCE_ROLE_ARN, World

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
STACK = "spot-optimizer"
REGION = "us-east-1"
START = datetime(2026, 3, 2, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
HOME = "m5.large"
TYPES = (HOME, "m5a.large", "m6i.large", "c6i.xlarge")
PRICE_USD_PER_HOUR = 0.03
"""Of every pool: none saves enough for a switch, and each is acceptable."""

_PARAMETERS: Mapping[str, str | int | float] = {
    "DryRun": "false",
    "CycleMinutes": 60,
    "SnapshotAgeMinutesMax": 61,
    "ConfirmSafeMinutes": 0,
    "InstanceRoleArns": INSTANCE_ROLE_ARN,
}
_REFERENCE_KEYS = ("market/catalog.json.gz", "market/advisor.json.gz")
_KEPT_CATALOGS = "inputs/catalogs/"
"""Copies by ETag: decisions are explained from them when the catalog has changed."""
_references: dict[tuple[str, ...], dict[str, bytes]] = {}
"""Types of a market -> catalog and advisor as the product stored them: the same in every account."""
_translations: dict[str, Translation] = {}


@cache
def client(service: str) -> Any:
    """A client for whoever acts beside the product; making one takes longer than its call."""
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


class Deployed:
    """An account with the deployed product: what users do there, and what can be seen."""

    def __init__(self, account: EmbeddedAccount, world: World) -> None:
        self.account, self.world = account, world

    # --- doing -----------------------------------------------------------------------------------

    def launch(
        self,
        workload: str | None = "web",
        instance_type: str = HOME,
        zone: str = ZONES[0],
        tags: Mapping[str, str] | None = None,
        **details: Any,
    ) -> str:
        """Launch an instance of the user's that asks to be managed; its id."""
        ours = {"spot-optimizer:managed": STACK, "spot-optimizer:state": "stateless"}
        if workload is not None:
            ours["spot-optimizer:workload"] = workload
        return self.world.launch_instance(
            instance_type, zone, tags={**ours, **(tags or {})}, **details
        )

    def adopt(self) -> None:
        """Adopt the workloads and collect the prices of the types that fit them."""
        self.account.invoke("Decide", {"trigger": "schedule"})
        self.refresh()

    def refresh(self) -> dict[str, Any]:
        """Collect prices."""
        counted: dict[str, Any] = self.account.invoke("RefreshMarket", {"task": "prices"})
        return counted

    def schedule(self, function: str, *, enabled: bool, holding: str = "") -> None:
        """Switch the rules of a function (logical id) whose input contains a word on or off."""
        events = client("events")
        for rule in events.list_rules()["Rules"]:
            targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            if any(f"-{function}-" in t["Arn"] and holding in t.get("Input", "") for t in targets):
                change = events.enable_rule if enabled else events.disable_rule
                change(Name=rule["Name"])

    def stop_rules_of(self, function: str) -> None:
        """No schedule and no event reaches a function (logical id) from now on."""
        self.schedule(function, enabled=False)

    # --- seeing ----------------------------------------------------------------------------------

    @property
    def bucket(self) -> str:
        """Name of the data bucket."""
        return self.account.outputs["DataBucket"]

    def object(self, key: str) -> bytes:
        """An object of the data bucket."""
        body: bytes = client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Objects of the data bucket by key; those in gzip are unpacked."""
        listed = client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        bodies = {row["Key"]: self.object(row["Key"]) for row in listed.get("Contents", ())}
        return {k: gzip.decompress(b) if k.endswith(".gz") else b for k, b in bodies.items()}

    def items(self) -> list[dict[str, Any]]:
        """Every item of the ledger."""
        return [_plain(item) for item in self.account.table_items("Ledger")]

    def item(self, pk: str, sk: str) -> dict[str, Any]:
        """One item of the ledger; empty if it does not exist."""
        return next((i for i in self.items() if (i["pk"], i["sk"]) == (pk, sk)), {})

    def workload(self, workload: str = "web") -> dict[str, Any]:
        """A workload's hot item."""
        return self.item("WORKLOADS", workload)

    def switches(self, workload: str = "web") -> list[dict[str, Any]]:
        """Records of a workload's switches, oldest first."""
        return sorted(self.history(workload, "SWITCH"), key=lambda item: str(item["claimed_at"]))

    def history(self, workload: str, kind: str) -> list[dict[str, Any]]:
        """Items of a workload's history (SWITCH, DECISION, COMMAND), oldest first."""
        pk = f"WORKLOAD#{workload}"
        found = [i for i in self.items() if i["pk"] == pk and i["sk"].startswith(f"{kind}#")]
        return sorted(found, key=lambda item: str(item["sk"]))

    def describe(self, instance_id: str) -> dict[str, Any]:
        """An instance in the reply of DescribeInstances."""
        reply = client("ec2").describe_instances(InstanceIds=[instance_id])
        row: dict[str, Any] = reply["Reservations"][0]["Instances"][0]
        return row

    def alive(self) -> set[str]:
        """Instances that are neither terminated nor shutting down."""
        gone = ("terminated", "shutting-down")
        return {i for i in self.world.instances if self.world.state_of(i) not in gone}

    def targets(self, group_arn: str) -> dict[str, str]:
        """Instance id -> health, in a target group."""
        reply = client("elbv2").describe_target_health(TargetGroupArn=group_arn)
        rows = reply["TargetHealthDescriptions"]
        return {row["Target"]["Id"]: row["TargetHealth"]["State"] for row in rows}

    def address_holders(self) -> list[str | None]:
        """The instance of each elastic address, in the order of EC2's reply."""
        rows = client("ec2").describe_addresses()["Addresses"]
        return [row.get("InstanceId") for row in rows]

    def address_holder(self) -> str | None:
        """The instance of the only elastic address."""
        return self.address_holders()[0]


def still_market(
    types: Sequence[str] = TYPES, prices: Mapping[tuple[str, str], float] | None = None
) -> PriceHistory:
    """Every type in every zone at one price since nine days ago; ``prices`` lists those that differ."""
    pools = [Pool(instance_type, zone) for instance_type in types for zone in ZONES]
    since = int((START - timedelta(days=9)).timestamp())
    return PriceHistory.from_rows(
        pools,
        list(range(len(pools))),
        [since] * len(pools),
        [
            (prices or {}).get((pool.instance_type, pool.availability_zone), PRICE_USD_PER_HOUR)
            for pool in pools
        ],
        end=START + timedelta(days=30),
    )


def world_of(
    now: Callable[[], datetime],
    market: PriceHistory,
    *,
    types: Sequence[str] = TYPES,
    seed: int,
    limits: Limits = LIMITS,
) -> World:
    """A world with this market, in which the Spot Advisor calls every type safe."""
    return World(
        now,
        seed=seed,
        prices=market,
        on_demand_usd_per_hour=on_demand_prices(types),
        advisor_buckets=dict.fromkeys(types, 0),
        limits=limits,
    )


def deploy(
    account: EmbeddedAccount,
    parameters: Mapping[str, str | int | float] | None = None,
    template: Path = TEMPLATE,
) -> None:
    """Deploy the template as a product that acts; ``parameters`` change the defaults of here."""
    with mock.patch("simulator.account.deploy.translate", _translate_once):
        account.deploy(template, STACK, {**_PARAMETERS, **(parameters or {})})


def _translate_once(path: Path, parameters: dict[str, str]) -> Translation:
    """SAM's translation takes longer than a whole trial and is the same for each."""
    key = json.dumps([str(path), parameters], sort_keys=True)
    if key not in _translations:
        _translations[key] = translate(path, parameters)
    return deepcopy(_translations[key])


def store_reference_data(account: EmbeddedAccount, types: Sequence[str] = TYPES) -> None:
    """Store catalog and advisor as the product does; it does so itself for the first account."""
    bucket, s3 = account.outputs["DataBucket"], client("s3")
    known = _references.get(tuple(types))
    if known is None:
        account.invoke("RefreshMarket", {"task": "reference"})
        kept = s3.list_objects_v2(Bucket=bucket, Prefix=_KEPT_CATALOGS).get("Contents", ())
        _references[tuple(types)] = {
            key: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            for key in (*_REFERENCE_KEYS, *(row["Key"] for row in kept))
        }
        return
    for key, body in known.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def _plain(value: Any) -> Any:
    """DynamoDB's decimals as numbers of Python and JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
