"""Real boto3 clients whose calls a world answers, and a small market to start from."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import boto3
import numpy as np
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from simulator.limit_table import changed
from simulator.limits import Limits
from simulator.world import World, WorldEvent

SEED = 20_240_301
START = datetime(2024, 3, 1, 12, tzinfo=UTC)
AT_ONCE = changed(
    {f"visible_{what}_s": [0, 0] for what in ("by_id", "in_lists", "tags", "template")}
)
"""New resources are visible at once."""
SERVICES = {
    "ec2": "ec2",
    "elb": "elastic-load-balancing",
    "elbv2": "elastic-load-balancing-v2",
    "cloudwatch": "cloudwatch",
    "pricing": "pricing",
}


class Pool(NamedTuple):
    """An instance type in an availability zone."""

    instance_type: str
    availability_zone: str


class Market:
    """A price history of one change every six hours in every pool, for ten days."""

    def __init__(self, pools: dict[Pool, float]) -> None:
        self.pools = tuple(pools)
        first = int((START - timedelta(days=10)).timestamp())
        self._changes = {}
        for number, (pool, price) in enumerate(pools.items()):
            times = np.arange(first + 60 * number, first + 11 * 86_400, 6 * 3600, dtype=np.int64)
            self._changes[pool] = (times, price * (1 + 0.001 * np.arange(len(times))))

    def changes(self, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        """All changes of a pool."""
        return self._changes[pool]

    def price_at(self, pool: Pool, when: datetime) -> float | None:
        """The price in force."""
        times, prices = self._changes[pool]
        number = int(np.searchsorted(times, when.timestamp(), side="right"))
        return float(prices[number - 1]) if number else None


class Account:
    """A world with its clock, its clients and its events."""

    def __init__(self, clients: dict[str, Any], limits: Limits) -> None:
        self.now = START
        self.on_demand = {"m5.large": 0.096, "m5.xlarge": 0.192, "t3.micro": 0.0104}
        self.on_demand |= {"c5.large": 0.085, "m6g.large": 0.077}
        zones = ("us-east-1a", "us-east-1b", "us-east-1c")
        types = ("m5.large", "m5.xlarge", "c5.large", "t3.micro", "m6g.large")
        self.market = Market({Pool(t, z): 0.4 * self.on_demand[t] for t in types for z in zones})
        print(f"seed {SEED}")
        self.world = World(
            lambda: self.now,
            seed=SEED,
            prices=self.market,
            on_demand_usd_per_hour=self.on_demand,
            limits=limits,
        )
        self.events: list[WorldEvent] = []
        self.world.subscribe(self.events.append)
        self.ec2: Any = clients["ec2"]
        self.elb: Any = clients["elb"]
        self.elbv2: Any = clients["elbv2"]
        self.cloudwatch: Any = clients["cloudwatch"]
        self.pricing: Any = clients["pricing"]

    def wait(self, **span: float) -> None:
        """Let virtual time pass."""
        self.now += timedelta(**span)
        self.world.advance()

    def image(self, architecture: str = "x86_64") -> str:
        """The account's image of an architecture."""
        of_this = [{"Name": "architecture", "Values": [architecture]}]
        return str(self.ec2.describe_images(Filters=of_this)["Images"][0]["ImageId"])

    def run(self, **params: Any) -> dict[str, Any]:
        """RunInstances of one m5.large in us-east-1a unless said otherwise; the instance."""
        request = {"ImageId": self.image(), "InstanceType": "m5.large", "MinCount": 1}
        if "SubnetId" not in params and "NetworkInterfaces" not in params:
            request["Placement"] = {"AvailabilityZone": "us-east-1a"}
        request |= {"MaxCount": 1, **params}
        instance: dict[str, Any] = self.ec2.run_instances(**request)["Instances"][0]
        return instance

    def describe(self, instance_id: str) -> dict[str, Any]:
        """DescribeInstances of one."""
        reply = self.ec2.describe_instances(InstanceIds=[instance_id])
        instance: dict[str, Any] = reply["Reservations"][0]["Instances"][0]
        return instance


@pytest.fixture(scope="session")
def answering() -> dict[str, Any]:
    """Which world answers at the moment."""
    return {}


@pytest.fixture(scope="session")
def clients(answering: dict[str, Any]) -> dict[str, Any]:
    """One client a service, made once: making one is slow."""

    def remember(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["world_params"] = dict(params)

    def answer(model: Any, context: dict[str, Any], **_: Any) -> Any:
        status, reply = answering["world"].handle(
            model.service_model.service_name, model.name, context["world_params"], "test"
        )
        return AWSResponse("http://world", status, HTTPHeaders(), None), reply

    made = {}
    for service, name in SERVICES.items():
        client = boto3.client(  # type: ignore[call-overload]  # one overload for each service
            service,
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
        client.meta.events.register_last(f"before-parameter-build.{name}", remember)
        client.meta.events.register_last(f"before-call.{name}", answer)
        made[service] = client
    return made


@pytest.fixture(scope="session")
def new_account(clients: dict[str, Any], answering: dict[str, Any]) -> Callable[..., Account]:
    """Put a fresh world behind the clients, for tests that need several or other limits."""

    def make(limits: Limits = AT_ONCE) -> Account:
        account = Account(clients, limits)
        answering["world"] = account.world
        return account

    return make


@pytest.fixture
def account(new_account: Callable[..., Account]) -> Account:
    """A fresh world behind the clients."""
    return new_account()


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call something that AWS refuses and return the error's code and message."""

    def call(function: Callable[..., Any], **params: Any) -> str:
        with pytest.raises(ClientError) as caught:
            function(**params)
        error = caught.value.response["Error"]
        return f"{error['Code']}: {error['Message']}"

    return call
