"""The same stack in two regions of one account, side by side: neither reads or changes the other."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from simulator.account import EmbeddedAccount
from simulator.account.deploy import Stack
from simulator.account.roles import roles_of
from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.deployed import STACK, START, TEMPLATE
from simulator.market.history import Pool, PriceHistory
from simulator.market.on_demand import on_demand_prices
from simulator.permissions.demand import Demand, demand, tag_context
from simulator.permissions.policies import Role
from simulator.world import INSTANCE_ROLE_ARN, World

HERE, THERE = "us-east-1", "eu-central-1"
OF_THE_ACCOUNT = ("AWS::CloudWatch::Dashboard", "AWS::IAM::Role", "AWS::S3::Bucket")
"""Resources whose names are the account's or the world's, not a region's."""


def _key(region: str) -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class Two(NamedTuple):
    """Both stacks, and the roles of the second by their logical ids."""

    here: Stack
    there: Stack
    roles: dict[str, Role]


@pytest.fixture(scope="module")
def two() -> Two:
    """One name, two regions."""
    with EmbeddedAccount(start=START, region=HERE) as account:
        here = account.deploy(TEMPLATE, STACK, {"KmsKeyArns": _key(HERE)})
        there = account.deploy(TEMPLATE, STACK, {"KmsKeyArns": _key(THERE)}, THERE)
        return Two(here, there, {role.name: role for role in roles_of(there, ACCOUNT_ID)})


def test_both_are_whole(two: Two) -> None:
    """The second stack has every resource of the first."""
    assert two.here.types == two.there.types
    assert len(two.there.functions) == 9


def test_names_of_the_account_differ(two: Two) -> None:
    """Buckets, roles and dashboards: otherwise the second stack could not be created."""
    found = 0
    for name, kind in two.here.types.items():
        if kind in OF_THE_ACCOUNT:
            found += 1
            assert two.here.physical_ids[name] != two.there.physical_ids[name], name
    assert found > 10


def test_no_address_of_the_other_region_is_anywhere(two: Two) -> None:
    """Properties, policies, environments, definitions: every ARN is of the stack's own region."""
    for stack, region in ((two.here, HERE), (two.there, THERE)):
        text = json.dumps({"properties": stack.properties, "outputs": dict(stack.outputs)})
        regions = set(re.findall(r"arn:aws:[a-z0-9-]+:([a-z0-9-]+):", text))
        assert regions - {""} == {region}


def _others(two: Two) -> Iterator[tuple[str, Demand]]:
    """What the first stack's own roles do with what is theirs."""
    ids = two.here.physical_ids
    tags = tag_context(
        present={
            "spot-optimizer:managed": STACK,
            "spot-optimizer:switch": "web-1",
            "spot-optimizer:workload": "web",
        }
    )
    template = f"arn:aws:ec2:{HERE}:{ACCOUNT_ID}:launch-template/lt-1"
    new = {
        **tag_context(requested={"spot-optimizer:managed": STACK}),
        "ec2:LaunchTemplate": (template,),
    }
    leading = {"dynamodb:LeadingKeys": ("WORKLOAD#web",)}
    table = f"arn:aws:dynamodb:{HERE}:{ACCOUNT_ID}:table/{ids['Ledger']}"
    instance = f"arn:aws:ec2:{HERE}:{ACCOUNT_ID}:instance/i-1"
    yield "ledger", demand("dynamodb:UpdateItem", table, leading)
    yield "bucket", demand("s3:GetObject", f"arn:aws:s3:::{ids['DataBucket']}/market/snapshot")
    yield "bus", demand("events:PutEvents", f"arn:aws:events:{HERE}:{ACCOUNT_ID}:event-bus/{STACK}")
    yield "topic", demand("sns:Publish", ids["AlertTopic"])
    yield "state machine", demand("states:StartExecution", ids["SwitchInstance"])
    yield "function", demand("lambda:InvokeFunction", ids["DecideAliaslive"])
    yield "termination", demand("ec2:TerminateInstances", instance, tags)
    yield (
        "untagging",
        demand("ec2:DeleteTags", instance, {**tags, "aws:TagKeys": ("spot-optimizer:managed",)}),
    )
    yield "launch", demand("ec2:RunInstances", instance.replace("i-1", "*"), new)


def test_no_role_reaches_into_the_other_region(two: Two) -> None:
    """Not even to resources with the same name and tags; at home each action is allowed."""
    at_home = {role.name: role for role in roles_of(two.here, ACCOUNT_ID)}
    for what, asked in _others(two):
        assert any(role.decides(asked).allowed for role in at_home.values()), what
        allowed = [name for name, role in two.roles.items() if role.decides(asked).allowed]
        assert not allowed, (what, allowed)


def test_functions_know_their_own_region_alone(two: Two) -> None:
    """Their environment: table, bucket and state machines of their own stack."""

    def given(stack: Stack) -> dict[str, Any]:
        return {function.logical_id: function.environment for function in stack.functions}

    here, there = given(two.here), given(two.there)
    for name in here:
        for variable in ("LEDGER_TABLE", "DATA_BUCKET", "ALERT_TOPIC_ARN"):
            assert here[name][variable] != there[name][variable], (name, variable)


class Side(NamedTuple):
    """One of two regions in which the product lives at the same time."""

    account: EmbeddedAccount
    region: str
    world: World
    original: str

    def invoke(self, function: str, **event: str) -> Any:
        return self.account.invoke(function, event, self.region)

    def cycle(self) -> None:
        self.invoke("RefreshMarket", task="prices")
        self.invoke("Decide", trigger="schedule")

    def workloads(self) -> dict[str, str]:
        """Workload -> instance, as this ledger has it."""
        items = self.account.table_items("Ledger", self.region)
        return {i["sk"]: i["instance_id"] for i in items if i["pk"] == "WORKLOADS"}

    def outcomes(self) -> list[str]:
        return [execution.status for execution in self.account.executions(self.region)]


@pytest.fixture
def living() -> Iterator[tuple[Side, Side]]:
    """A workload of the same id and the same tags in each region, adopted by its own stack."""
    with EmbeddedAccount(start=START, region=HERE) as account:
        sides = []
        for region in (HERE, THERE):
            world = _world(account, region)
            account.attach(world, region)
            account.deploy(
                TEMPLATE, STACK, {"DryRun": "false", "InstanceRoleArns": INSTANCE_ROLE_ARN}, region
            )
            ours = {"managed": STACK, "state": "stateless", "workload": "web"}
            original = world.launch_instance(
                TYPES[0], f"{region}a", tags={f"spot-optimizer:{k}": v for k, v in ours.items()}
            )
            sides.append(Side(account, region, world, original))
        here, there = sides
        for side in (here, there):
            side.invoke("RefreshMarket", task="reference")
            side.invoke("Decide", trigger="schedule")
        for side in (here, there, here, there):
            side.cycle()
        yield here, there


TYPES = ("m5.large", "m5a.large")


def _world(account: EmbeddedAccount, region: str) -> World:
    zones = [f"{region}{letter}" for letter in "ab"]
    pools = [Pool(name, zone) for name in TYPES for zone in zones]
    count, since = len(pools), int((START - timedelta(days=9)).timestamp())
    prices = PriceHistory.from_rows(
        pools, list(range(count)), [since] * count, [0.03] * count, end=START + timedelta(days=2)
    )
    return World(
        account.clock.now,
        seed=7,
        region=region,
        prices=prices,
        on_demand_usd_per_hour=on_demand_prices(TYPES),
        advisor_buckets=dict.fromkeys(TYPES, 0),
    )


def test_both_live_side_by_side(living: tuple[Side, Side]) -> None:
    """Cycles of both in turn, a switch in one: the other is unaffected, and no sweep of either takes
    the other's instances for leftovers."""
    here, there = living
    assert (here.workloads(), there.workloads()) == (
        {"web": here.original}, {"web": there.original},
    )  # fmt: skip
    there.invoke(
        "Command", asked_by="ann", command="decide", workload="web", instance_type=TYPES[1],
        availability_zone=f"{THERE}b", lifecycle="spot",
    )  # fmt: skip
    here.account.run_until_quiet()
    assert (here.outcomes(), there.outcomes()) == ([], ["SUCCEEDED"])
    replacement = there.workloads()["web"]
    assert there.world.state_of(there.original) == "terminated"
    assert there.world.state_of(replacement) == "running"
    for side in (here, there, there, here):
        side.cycle()
        assert side.invoke("Sweep", trigger="schedule")["found"] == []
    assert here.world.state_of(here.original) == "running"
    assert (here.workloads(), there.workloads()) == ({"web": here.original}, {"web": replacement})
    assert not [i for i in here.account.table_items("Ledger", HERE) if "SWITCH#" in i["sk"]]


def test_every_url_leads_to_its_own_resource_in_the_console(two: Two) -> None:
    """In the stack's region, by the resource's own id; each other output names its resource."""
    resource = {
        "DashboardUrl": "Dashboard",
        "SwitchHistoryUrl": "SwitchInstance",
        "FailOverHistoryUrl": "FailOver",
        "LedgerUrl": "Ledger",
        "DataBucketUrl": "DataBucket",
        "CommandUrl": "Command",
    }
    for stack, region in ((two.here, HERE), (two.there, THERE)):
        urls = {name: url for name, url in stack.outputs.items() if name.endswith("Url")}
        assert urls.keys() == {*resource, "AlarmsUrl", "LogsUrl"}
        for name, url in urls.items():
            assert url.startswith(f"https://{region}.console.aws.amazon.com/")
            assert stack.physical_ids.get(resource.get(name, ""), STACK) in url
            assert "${" not in url
