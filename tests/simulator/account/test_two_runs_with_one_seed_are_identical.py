"""An account is a function of its seed, and leaves the process as it found it."""

import json
import os
import random
import re
import sys
import threading
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.events.models import Rule

from simulator.account import EmbeddedAccount


def story(start: datetime, stack: Path, world: Any, seed: int) -> str:
    """Two hours with schedules, events, a failing and two racing executions, as text."""
    with EmbeddedAccount(start=start, world=world, seed=seed) as account:
        account.deploy(stack, "small")
        for name, fails in (("one", 1), ("two", 2), ("three", 3)):
            boto3.client("stepfunctions").start_execution(
                stateMachineArn=account.outputs["JourneyArn"],
                name=name,
                input=json.dumps({"steps": ["short"], "type": "t", "fail_times": fails}),
            )
        account.emit("by.hand", "Anything", {"who": "Ada"})
        account.run_for(timedelta(hours=2))
        parts = [
            account.outputs,
            account.trace,
            account.executions(),
            account.table_items("Ledger"),
            sorted(account.calls.items()),
            world.asked,
            random.random(),
            str(uuid.uuid4()),
        ]
        # Whether a process has run a function before is nothing of the account's.
        return re.sub(r"(cold_start\W+)true", r"\1false", json.dumps(parts, default=str))


def test_runs_with_one_seed_are_identical(start: datetime, stack: Path, world: Any) -> None:
    """Ids, order and times are equal; another seed gives other ids."""
    first = story(start, stack, world, seed=1)
    world.asked.clear()
    assert story(start, stack, world, seed=1) == first
    world.asked.clear()
    assert story(start, stack, world, seed=2) != first


def test_closing_restores_the_process(start: datetime, stack: Path, world: Any) -> None:
    """Time, threads, patches, environment, search path and the URL opener are as before."""

    def surroundings() -> tuple[object, ...]:
        return (
            dict(os.environ),
            list(sys.path),
            threading.active_count(),
            time.sleep,
            uuid.uuid4,
            Rule.send_to_targets,
            vars(urllib.request)["_opener"],
            random.getstate(),
        )

    before = surroundings()
    with EmbeddedAccount(start=start, world=world) as account:
        account.deploy(stack, "small")
        boto3.client("stepfunctions").start_execution(
            stateMachineArn=account.outputs["JourneyArn"], input='{"steps": ["short"]}'
        )
        account.run_for(timedelta(seconds=5))
    assert surroundings() == before
    assert datetime.now(UTC) > start + timedelta(days=100)


def test_account_that_fails_to_open_or_deploy_leaves_nothing_behind(
    start: datetime, stack: Path
) -> None:
    """A second account at once is refused, and the first one goes on."""
    with EmbeddedAccount(start=start) as account:
        with (
            pytest.raises(RuntimeError, match="one embedded account at a time"),
            EmbeddedAccount(start=start),
        ):
            pass
        account.deploy(stack, "small")
        assert account.invoke("Listen", {"still": "here"}) == {"still": "here"}
        with pytest.raises(RuntimeError, match="stack small is deployed"):
            account.deploy(stack, "again")
