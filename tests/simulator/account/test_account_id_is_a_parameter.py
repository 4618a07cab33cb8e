"""An account has the id that it is given; nothing in it shows another one."""

import json
from datetime import datetime, timedelta

import boto3

from simulator.account import EmbeddedAccount
from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.ledger_view import LedgerView
from simulator.market.on_demand import on_demand_prices
from simulator.markets import builtin_market
from simulator.scene import STACK_NAME, TEMPLATE
from simulator.signals import Signals
from simulator.tags import MANAGED_TAG, WORKLOAD_TAG
from simulator.world import World

OTHER = "210987654321"


def test_product_runs_in_an_account_of_another_id(start: datetime) -> None:
    """It adopts an instance and fails it over; roles, ARNs, owners and events have the given id."""
    market = builtin_market(1, start, hours=2)
    with EmbeddedAccount(start=start, account_id=OTHER, seed=1) as account:
        world = World(
            account.clock.now,
            seed=1,
            account_id=OTHER,
            prices=market.prices,
            on_demand_usd_per_hour=on_demand_prices(("m5.large", "m5a.large")),
        )
        account.attach(world)
        Signals(account, world)
        parameters = {"DryRun": "false", "InstanceRoleArns": world.instance_role_arn}
        stack = account.deploy(TEMPLATE, STACK_NAME, parameters)
        tags = {MANAGED_TAG: STACK_NAME, WORKLOAD_TAG: "web", "spot-optimizer:state": "stateless"}
        first = world.launch_instance("m5.large", "us-east-1a", tags=tags)
        account.invoke("RefreshMarket", {"task": "reference"})
        account.invoke("Decide", {"trigger": "schedule"})
        account.invoke("RefreshMarket", {"task": "prices"})
        account.invoke("Decide", {"trigger": "schedule"})
        world.interrupt(first)
        account.run_for(timedelta(minutes=15))
        (switch,) = (each for each in LedgerView(account).switches() if each.is_failover)
        assert switch.phase == "DONE"
        shown = {
            "resources": dict(stack.physical_ids),
            "outputs": dict(stack.outputs),
            "events": [entry.event for entry in account.trace],
            "ledger": account.table_items("Ledger"),
            "executions": account.history_of(switch.switch_id),
            "instances": boto3.client("ec2").describe_instances()["Reservations"],
            "caller": boto3.client("sts").get_caller_identity(),
        }
    texts = {name: json.dumps(each, default=str) for name, each in shown.items()}
    assert [name for name, text in texts.items() if DEFAULT_ACCOUNT_ID in text] == []
    assert all(OTHER in texts[name] for name in set(texts) - {"ledger"})
