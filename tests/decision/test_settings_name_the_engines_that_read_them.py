"""A setting that only some engines read says so: no other engine decides otherwise by it."""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from random import Random
from typing import Any

import pytest

from spot_optimizer.decision.engine import decide
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.decision.world import World
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import DecisionKind, Lifecycle, Pool
from tests.decision.worlds import (
    ACTING,
    CATALOG,
    HERE,
    HOME_ON_DEMAND,
    NOW,
    ON_DEMAND,
    REGION,
    ZONES,
    market,
    workload,
)
from tests.house.repository import template

WORLDS = 16


def _named_in(text: str) -> frozenset[str]:
    """The engines that a description names, such as ``(engines forecast, layered)``."""
    found = re.search(r"\(engines? ([\w, ]+)\)", text)
    return frozenset(found[1].split(", ")) if found else frozenset()


READ_BY = {f.name: _named_in(f.metadata["meaning"]) for f in fields(Settings)}
LIMITED = sorted(name for name, engines in READ_BY.items() if engines)


@cache
def _markets() -> tuple[MarketSnapshot, ...]:
    """Discounts of 20 to 90 %, or all of 60 %; some pools volatile, unstable or often interrupted."""
    random = Random(7)
    names = [name for name in ON_DEMAND if name not in ("m6g.xlarge", "t3.xlarge")]
    pools = [HERE, *(Pool(name, zone) for name in names for zone in ZONES if (name, zone) != HERE)]
    return tuple(
        market(
            {
                pool: {
                    "price": HOME_ON_DEMAND * random.uniform(*share),
                    "rise_volatility_24h": random.choice([0.0, 0.05, 0.14, 0.3]),
                    "volatility_7d": random.choice([0.0, 0.1, 0.5]),
                    "instability": random.choice([0.1, 0.5, 0.8, 0.9]),
                    "advisor_bucket": random.choice([0, 0, 1, 2, 4]),
                }
                for pool in pools
            }
        )
        for share in ((0.1, 0.8), (0.38, 0.4)) * (WORLDS // 2)
    )


def _decisions(engine: str, name: str, value: Any) -> Iterator[tuple[DecisionKind, list[str]]]:
    settings = replace(ACTING, engine=engine, **{name: value})
    for number, snapshot in enumerate(_markets()):
        lifecycle = Lifecycle.ON_DEMAND if number % 8 == 7 else Lifecycle.SPOT
        view = workload(settings=settings, lifecycle=lifecycle)
        made = decide(World((view,), snapshot, CATALOG), NOW, region=REGION)[0]
        yield made.kind, [f"{c.instance_type}/{c.availability_zone}" for c in made.candidates]


def _range(name: str) -> tuple[float, float]:
    metadata: Any = next(f.metadata for f in fields(Settings) if f.name == name)
    return metadata["low"], metadata["high"]


@pytest.mark.parametrize("engine", sorted(BUILT_IN))
@pytest.mark.parametrize("name", LIMITED)
def test_only_the_named_engines_decide_by_it(name: str, engine: str) -> None:
    """From one end of its range to the other, on the same markets."""
    low, high = _range(name)
    if name == "discount_margin_points":  # below a baseline that no pool has, nothing is acceptable
        high = 45
    differs = any(
        a != b
        for a, b in zip(_decisions(engine, name, low), _decisions(engine, name, high), strict=True)
    )
    assert differs == (engine in READ_BY[name])


@pytest.mark.parametrize("name", sorted(READ_BY))
def test_parameter_and_its_label_name_the_same_engines(name: str) -> None:
    """As the code does, so that the console says what a parameter is for."""
    parameter = "".join(word.capitalize() for word in name.split("_"))
    labels = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterLabels"]
    assert _named_in(labels[parameter]["default"]) == READ_BY[name]
    assert _named_in(template()["Parameters"][parameter]["Description"]) == READ_BY[name]
