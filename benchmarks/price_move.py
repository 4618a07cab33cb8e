"""A price moves, and all workloads want to switch:
`.venv/bin/python benchmarks/price_move.py [WORKLOADS]`.

So many workloads (1,000) run in one pool of the embedded account, where the real template decides,
switches and sweeps. Then their pool costs two and a half times as much, and the others what they cost
before. Printed are, cycle by cycle, who wants to move, who begins to, who is held by which guard, how
many switches are in flight and how many have ended; in the end where the fleet is, and whether a limit
was passed. Seconds of `decide` are what Lambda would bill, by the model of `spot-optimizer cost`.
"""

import gzip
import json
import os
import platform
import sys
from collections import Counter
from datetime import datetime, timedelta
from math import ceil, floor
from typing import Any

import boto3

from simulator.collector import collect_seldom
from simulator.costs.compute import Run, billed_seconds
from simulator.costs.month import Life, market_for
from simulator.ledger_view import LedgerView
from simulator.scenario import Curve, Scenario, WorkloadSpec
from simulator.scenario_events import PriceSurge
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import DecisionKind

WORKLOADS = 1_000
TYPE, ZONE, FACTOR = "m5.large", "us-east-1a", 2.5
WATCHED_HOURS = 2.0
ADOPTED_PER_CYCLE = 100
CYCLE = timedelta(minutes=5)
HELD_MIN = 2
"""Reasons of fewer workloads are counted together."""


def fleet(workloads: int, surge_hour: float) -> Scenario:
    """Instances of one type in one zone, which may switch to the other zones."""
    specs = tuple(
        WorkloadSpec(
            name=f"w-{number:05d}",
            shows="",
            instance_type=TYPE,
            lifecycle="spot",
            placement=ZONE,
            cpu_vcpu=Curve.flat(1.0),
            memory_gib=Curve.flat(4.0),
            tags={"state": "stateless", "types": TYPE},
            age_hours=24,
        )
        for number in range(workloads)
    )
    surge = PriceSurge(hour=surge_hour, instance_type=TYPE, factor=FACTOR, availability_zone=ZONE)
    return Scenario(
        name=f"{workloads} workloads in one pool",
        workloads=specs,
        scripted=(surge,),
        parameters={"DryRun": "false"},
    )


class Watched:
    """The decisions and actions of a cycle in the account."""

    def __init__(self, life: Life) -> None:
        self.account = life.simulation.account
        self.world = life.simulation.world
        self.view = LedgerView(self.account)
        self.bucket = self.account.outputs["DataBucket"]
        self.seen: set[str] = set()
        self.moves_max = self.in_flight_max = self.into_one_pool_max = 0

    def decisions(self) -> list[dict[str, Any]]:
        """Of the cycles since the last call, from the data bucket."""
        s3 = boto3.client("s3")
        rows: list[dict[str, Any]] = []
        for row in s3.list_objects_v2(Bucket=self.bucket, Prefix="decisions/")["Contents"]:
            if row["Key"] not in self.seen:
                self.seen.add(row["Key"])
                body = s3.get_object(Bucket=self.bucket, Key=row["Key"])["Body"].read()
                rows += [json.loads(line) for line in gzip.decompress(body).splitlines()]
        return rows

    def line(self, since: datetime, decide: Run) -> str:
        """One cycle in words."""
        rows = self.decisions()
        moving = [row for row in rows if row["kind"] != DecisionKind.STAY]
        free = [row for row in moving if not row["held_by"]]
        into = Counter(_pool(row) for row in free)
        self.moves_max = max(self.moves_max, len(free))
        self.into_one_pool_max = max(self.into_one_pool_max, *into.values(), 0)
        switches = self.view.switches()
        in_flight = sum(switch.ended_at is None for switch in switches)
        self.in_flight_max = max(self.in_flight_max, in_flight)
        ended = len(switches) - in_flight
        held = Counter(row["held_by"].partition(" until ")[0] for row in moving if row["held_by"])
        few = sum(count for count in held.values() if count < HELD_MIN)
        reasons = [
            f"{count}: {reason}" for reason, count in held.most_common() if count >= HELD_MIN
        ]
        reasons += [f"{few}: other reasons"] * bool(few)
        minutes = (self.account.clock.now() - since) / timedelta(minutes=1)
        return (
            f"{minutes:5.0f} {len(moving):7d} {len(free):6d} {in_flight:9d} {ended:6d}"
            f" {billed_seconds(decide):8.1f}  {'; '.join(reasons)}"
        )

    def passed(self, settings: Settings) -> bool:
        """Whether a cycle started more switches, or more into one pool, than the limits allow."""
        at_once = int(settings.switches_in_flight_max)
        into_one = max(1, floor(settings.moves_into_one_pool_fraction * at_once))
        return self.in_flight_max > at_once or self.into_one_pool_max > into_one

    def places(self) -> Counter[str]:
        """Where the workloads run."""
        return Counter(
            f"{item.instance_type}/{item.availability_zone}"
            for item in self.view.workloads().values()
        )


def _pool(row: dict[str, Any]) -> str:
    first = row["candidates"][0]
    return f"{first['instance_type']}/{first['availability_zone']}"


def _told(places: Counter[str]) -> str:
    return ", ".join(f"{count} in {place}" for place, count in places.most_common())


def main() -> None:
    workloads = int(sys.argv[1]) if len(sys.argv) > 1 else WORKLOADS
    settled = (ceil(workloads / ADOPTED_PER_CYCLE) + 3) * CYCLE
    collect_seldom()
    print(
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    runs: list[Run] = []
    hours = settled / timedelta(hours=1)
    market = market_for(hours + WATCHED_HOURS + 1, 1)
    with Life(fleet(workloads, hours), market, seed=1, on_run=runs.append) as life:
        watched = Watched(life)
        start = life.simulation.account.clock.now() + settled
        life.live_until(start)
        watched.decisions()
        print(
            f"{workloads} workloads, {_told(watched.places())};"
            f" then {ZONE} costs {FACTOR:g} times as much"
        )
        print("  min    want begin in flight  ended decide s  held")
        while (now := life.simulation.account.clock.now()) < start + timedelta(hours=WATCHED_HOURS):
            runs.clear()
            life.live_until(now + CYCLE)
            decide = next(run for run in runs if run.function.logical_id == "Decide")
            print(watched.line(start, decide))
            sys.stdout.flush()
        print(f"in the end {_told(watched.places())}")
    settings = Settings()
    print(
        f"begun in a cycle at most {watched.moves_max}, in flight at most {watched.in_flight_max}"
        f" (limit {settings.switches_in_flight_max:g}), into one pool at most"
        f" {watched.into_one_pool_max} of a cycle's (limit {settings.moves_into_one_pool_fraction:.0%},"
        f" at least 1): {'limits passed' if watched.passed(settings) else 'no limit was passed'}"
    )
    raise SystemExit(watched.passed(settings))


if __name__ == "__main__":
    main()
