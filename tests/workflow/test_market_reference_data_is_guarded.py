"""Absurd or missing reference data changes nothing that is known, and an alert is sent."""

import json
from datetime import timedelta
from typing import Any

import pytest

from simulator.call_log import Fault
from simulator.deployed import START
from simulator.stage import Stage
from simulator.world.advisor import SpotAdvisor
from spot_optimizer.market.advisor_copy import AdvisorCopy
from spot_optimizer.market.catalog_file import catalog_from_bytes


def read(stage: Stage, **details: Any) -> dict[str, Any]:
    """Run the task that reads the reference data."""
    answer: dict[str, Any] = stage.account.invoke("RefreshMarket", {"task": "reference", **details})
    return answer


def price_of(stage: Stage, instance_type: str) -> float:
    """On-demand price in the catalog."""
    catalog = catalog_from_bytes(stage.object("market/catalog.json.gz"))
    return catalog.on_demand_usd_per_hour[instance_type]


def advisor_of(stage: Stage) -> AdvisorCopy:
    """The stored copy of the Spot Advisor."""
    return AdvisorCopy.from_bytes(stage.object("market/advisor.json.gz"))


def test_price_that_changes_by_more_than_half_is_doubted_until_someone_accepts_it(
    stage: Stage,
) -> None:
    """The old price stays, and one alert says how to accept the new one."""
    price = 0.145
    stage.world.set_listed_price("m5.large", price)
    for _ in range(2):
        assert read(stage)["doubted_prices"] == ["m5.large"]
        assert price_of(stage, "m5.large") == 0.096
    (alert,) = stage.calls_of("Publish")
    assert (
        f"m5.large: the price list says {price:.4f} USD per hour, 0.0960 is kept"
        in (alert.params["Message"])
    )
    request = json.loads(alert.params["Message"].splitlines()[-1])
    assert stage.account.invoke("RefreshMarket", request)["doubted_prices"] == []
    assert price_of(stage, "m5.large") == price
    assert read(stage)["doubted_prices"] == []
    assert len(stage.calls_of("Publish")) == 1


def test_price_that_is_no_longer_listed_stays(stage: Stage) -> None:
    """A gap in the price list must not remove the type from the market."""
    stage.world.set_listed_price("m5.large", None)
    assert read(stage)["unlisted_prices"] == 1
    assert price_of(stage, "m5.large") == 0.096


def test_old_prices_stay_without_the_price_list_and_the_rest_is_read(stage: Stage) -> None:
    """Types and advisor are refreshed all the same."""
    stage.faults.append(Fault("GetProducts", caller="RefreshMarket"))
    counts = read(stage)
    assert counts["unlisted_prices"] == counts["on_demand_prices"] > 0
    assert counts["advisor_entries"] > 1000
    assert price_of(stage, "m5.large") == 0.096


def test_unreachable_advisor_leaves_the_last_copy_and_reports_its_age(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time-outs stop nothing else; the answer has the age of the copy in use."""

    def silent(_self: SpotAdvisor, _asked: object) -> None:
        raise TimeoutError("timed out")

    before = advisor_of(stage)
    monkeypatch.setattr(SpotAdvisor, "answer", silent)
    stage.account.run_for(timedelta(hours=9))
    counts = read(stage)
    assert counts["advisor"] == "not read: timed out"
    assert counts["advisor_age_hours"] == 9.0
    assert counts["advisor_entries"] == len(before.buckets)
    assert advisor_of(stage) == before


def test_unchanged_advisor_is_not_sent_again_and_counts_as_checked(stage: Stage) -> None:
    """The request has the stored ETag; 304 renews the copy's age and nothing else."""
    read(stage)
    before = advisor_of(stage)
    assert before.etag
    stage.account.run_for(timedelta(hours=1))
    counts = read(stage)
    assert (counts["advisor"], counts["advisor_age_hours"]) == ("unchanged", 0.0)
    after = advisor_of(stage)
    assert after.buckets == before.buckets
    assert after.checked_at > before.checked_at >= START
    stage.world.advisor.set("m5.large", 3)
    assert read(stage)["advisor"] == "new"
    assert advisor_of(stage).buckets["m5.large"] == 3


def test_type_with_an_unreadable_advisor_entry_keeps_its_last_bucket(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others follow the new file, and the answer names the type."""
    stage.world.advisor.set("m5.large", 3)
    read(stage)
    stage.world.advisor.set("c5.large", 4)
    file = json.loads(stage.world.advisor.document())
    file["spot_advisor"]["us-east-1"]["Linux"]["m5.large"] = {"r": "high"}
    monkeypatch.setattr(SpotAdvisor, "document", lambda _self: json.dumps(file).encode())
    counts = read(stage)
    assert counts["advisor"] == "new"
    assert list(counts["advisor_entries_dropped"]) == ["m5.large"]
    buckets = advisor_of(stage).buckets
    assert (buckets["m5.large"], buckets["c5.large"]) == (3, 4)
