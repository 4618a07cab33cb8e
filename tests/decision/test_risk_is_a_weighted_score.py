"""risk = 1 - (0.60 advisor + 0.25 stability + 0.10 gap + 0.05 hour)."""

import zoneinfo
from datetime import UTC, datetime

import numpy as np
import pytest
from botocore.session import Session

from spot_optimizer.decision import quiet_hours as hours
from spot_optimizer.decision.quiet_hours import REGION_TIME_ZONES, is_quiet_hour
from spot_optimizer.decision.risk import risk_scores
from spot_optimizer.vocabulary import Pool
from tests.decision.worlds import market


def _risk(*, quiet_hour: bool = False, on_demand: float = 0.1, **facts: float) -> float:
    snapshot = market({Pool("m5.xlarge", "us-east-1a"): {"price": 0.05, **facts}})
    return float(risk_scores(snapshot, np.array([on_demand]), quiet_hour=quiet_hour)[0])


@pytest.mark.parametrize(
    ("facts", "score"),
    [
        ({"advisor_bucket": 0}, 0.60 + 0.25 + 0.05),
        ({"advisor_bucket": 1}, 0.45 + 0.25 + 0.05),
        ({"advisor_bucket": 2}, 0.30 + 0.25 + 0.05),
        ({"advisor_bucket": 4}, 0.00 + 0.25 + 0.05),
        ({"advisor_bucket": -1}, 0.30 + 0.25 + 0.05),
        ({"volatility_7d": 0.03}, 0.60 + 0.20 + 0.05),
        ({"volatility_7d": 0.15}, 0.60 + 0.00 + 0.05),
        ({"volatility_7d": 9.0}, 0.60 + 0.00 + 0.05),
        ({"volatility_7d": float("nan")}, 0.60 + 0.00 + 0.05),
        ({"price": 0.02}, 0.60 + 0.25 + 0.08),
        ({"price": 0.30}, 0.60 + 0.25 + 0.00),
        ({"price": float("nan")}, 0.60 + 0.25 + 0.00),
    ],
)
def test_each_part_has_its_weight(facts: dict[str, float], score: float) -> None:
    """By day, and at half the on-demand price unless the case says otherwise."""
    assert _risk(quiet_hour=False, **facts) == pytest.approx(1 - score)
    assert _risk(quiet_hour=True, **facts) == pytest.approx(1 - score - 0.05)


@pytest.mark.parametrize(
    ("region", "utc_hour", "quiet"),
    [
        ("us-east-1", 23, False),
        ("us-east-1", 0, True),
        ("us-east-1", 11, True),
        ("us-east-1", 12, False),
        ("ap-northeast-1", 11, True),
        ("ap-northeast-1", 10, False),
        ("xx-new-1", 7, True),
        ("xx-new-1", 8, False),
        ("xx-new-1", 20, True),
    ],
)
def test_the_quiet_hours_are_20_to_8_in_the_regions_time(
    region: str, utc_hour: int, quiet: bool
) -> None:
    """In July New York is UTC-4 and Tokyo UTC+9; an unknown region counts in UTC."""
    assert is_quiet_hour(datetime(2025, 7, 1, utc_hour, tzinfo=UTC), region) is quiet


def test_a_host_without_time_zone_data_still_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hour is the same for all pools of a region: UTC will do."""

    def missing(key: str) -> zoneinfo.ZoneInfo:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(hours, "ZoneInfo", missing)
    assert is_quiet_hour(datetime(2025, 7, 1, 20, tzinfo=UTC), "us-east-1")
    assert not is_quiet_hour(datetime(2025, 7, 1, 12, tzinfo=UTC), "us-east-1")


def test_every_region_that_boto_knows_has_a_time_zone_that_exists() -> None:
    """All public, Chinese and US government regions are in the table."""
    session = Session()
    known = {
        region
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in session.get_available_regions("ec2", partition)
    }
    assert known <= REGION_TIME_ZONES.keys()
    for name in REGION_TIME_ZONES.values():
        zoneinfo.ZoneInfo(name)
