"""Calls that are the world's business go there, all of them are counted, none leaves the process."""

import socket
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from simulator.account import Call, EmbeddedAccount, FunctionFailed
from simulator.account.interception import ADVISOR_URL, NetworkRefused


def test_world_sees_the_call_and_who_makes_it(account: EmbeddedAccount, world: Any) -> None:
    """From a handler: the function and its role; from the driver: the driver; and the region."""
    assert account.invoke("Relay", {"do": "describe"}) == 1
    boto3.client("ec2", "eu-west-1").describe_instances(InstanceIds=["i-1"])
    (_, operation, params, relay), (_, _, driver_params, driver) = world.asked
    assert (operation, params, driver_params) == ("DescribeInstances", {}, {"InstanceIds": ["i-1"]})
    assert (relay.kind, relay.name, relay.region) == ("lambda", "Relay", "us-east-1")
    assert relay.role_arn.endswith(account.stack.physical_ids["RelayRole"])
    assert (driver.kind, driver.region) == ("driver", "eu-west-1")
    assert account.calls[Call("ec2", "DescribeInstances", "lambda", "Relay")] == 1


def test_error_of_the_world_is_a_client_error_with_its_code(
    account: EmbeddedAccount, world: Any
) -> None:
    """Code, message and status arrive as from AWS, and moto launches nothing behind it."""
    assert account.region == "us-east-1"
    world.full = True
    client = boto3.client("ec2")
    with pytest.raises(ClientError) as refused:
        client.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)
    assert refused.value.response["Error"] == {
        "Code": "InsufficientInstanceCapacity",
        "Message": "none left",
    }
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    from moto.ec2.models import ec2_backends

    assert list(ec2_backends["123456789012"]["us-east-1"].all_reservations()) == []


def test_parameters_arrive_as_the_client_completes_them(
    account: EmbeddedAccount, world: Any
) -> None:
    """The SDK's own token and encoding are in what the world sees."""
    assert account.region == "us-east-1"
    boto3.client("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, UserData="hi")
    params = world.asked[-1][2]
    assert params["UserData"] == "aGk="
    assert len(params["ClientToken"]) == 36


def test_only_metric_data_of_cloudwatch_is_the_worlds(account: EmbeddedAccount, world: Any) -> None:
    """Alarms stay with the account."""
    client = boto3.client("cloudwatch")
    client.list_metrics()
    assert len(client.describe_alarms()["MetricAlarms"]) == 1
    assert [operation for _, operation, _, _ in world.asked] == ["ListMetrics"]
    assert account.calls[Call("cloudwatch", "DescribeAlarms", "driver", "driver")] >= 1


def test_advisor_file_comes_from_the_world_and_nothing_from_elsewhere(
    account: EmbeddedAccount,
) -> None:
    """urllib gets the one file; other addresses and sockets are refused."""
    assert account.invoke("Relay", {"do": "fetch"}) == {"status": 200, "body": {"url": ADVISOR_URL}}
    with pytest.raises(FunctionFailed, match=r"https://example\.com/ is refused"):
        account.invoke("Relay", {"do": "fetch", "url": "https://example.com/"})
    with pytest.raises(NetworkRefused), socket.socket() as plain:
        plain.connect(("192.0.2.1", 80))
    with pytest.raises(NetworkRefused):
        urllib.request.urlopen("http://192.0.2.1/")


def test_world_may_be_attached_once_there_is_a_clock(start: Any, stack: Any, world: Any) -> None:
    """Until then moto answers."""
    with EmbeddedAccount(start=start) as account:
        assert boto3.client("ec2").describe_instances()["Reservations"] == []
        account.attach(world)
        assert len(boto3.client("ec2").describe_instances()["Reservations"]) == 1
        account.deploy(stack, "small")
        assert account.invoke("Relay", {"do": "describe"}) == 1
