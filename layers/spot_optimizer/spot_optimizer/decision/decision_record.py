"""A decision as it is stored: an item on the ledger, and a line of its cycle in the data bucket."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from spot_optimizer.decision.decision import Candidate, Decision, Rejection

_COMPARED = ("kind", "row", "reason", "held_by", "candidates", "home_type_after", "evidence")


def plain_record(decision: Decision) -> dict[str, Any]:
    """The decision as numbers, text, lists and maps. Release 0.1.0 reads it too: two prices
    are also written under their names there (``price_usd_per_hour``, ``saving_usd_per_hour``), and
    ``urgent`` only under its name there, ``rescue``."""
    # Field by field: dataclasses.asdict copies everything, a quarter of a large cycle's time.
    record = {field.name: getattr(decision, field.name) for field in fields(decision)}
    record["rescue"] = record.pop("urgent")
    record["kind"] = decision.kind.value
    record["row"] = int(decision.row)
    record["candidates"] = tuple(_candidate(c) for c in decision.candidates)
    # NaN is no DynamoDB number.
    record["evidence"] = {
        name: None if isinstance(value, float) and value != value else value
        for name, value in decision.evidence.items()
    }
    record["rejected"] = [_rejection(r) for r in decision.rejected]
    record["failover_plan"] = [str(c.pool) for c in decision.failover_plan]
    record["saving_usd_per_hour"] = decision.saving_forecast_usd_per_hour
    return record


def differences(recorded: Mapping[str, Any], decision: Decision) -> list[str]:
    """The fields in which ``decision``, made again, differs from the record of the first time.

    A name that the record lacks is no difference: the release that wrote it did not know it.
    """
    again = json.loads(json.dumps(plain_record(decision), default=str))
    return [
        name
        for name in _COMPARED
        if name in recorded and _as_known(again[name], recorded[name]) != recorded[name]
    ]


def _as_known(made: Any, recorded: Any) -> Any:
    """``made`` without the names that ``recorded`` does not have."""
    if isinstance(made, dict) and isinstance(recorded, dict):
        return {k: _as_known(v, recorded[k]) for k, v in made.items() if k in recorded}
    if isinstance(made, list) and isinstance(recorded, list) and len(made) == len(recorded):
        return [_as_known(one, other) for one, other in zip(made, recorded, strict=True)]
    return made


def _candidate(candidate: Candidate) -> dict[str, Any]:
    plain = {field.name: getattr(candidate, field.name) for field in fields(candidate)}
    return {**plain, "price_usd_per_hour": candidate.forecast_usd_per_hour}


def _rejection(rejection: Rejection) -> dict[str, Any]:
    spot = _finite(rejection.spot_usd_per_hour)
    return {
        "pool": str(rejection.pool),
        "reason": rejection.reason,
        "spot_usd_per_hour": spot,
        "forecast_usd_per_hour": _finite(rejection.forecast_usd_per_hour),
        "price_usd_per_hour": spot,
    }


def _finite(value: float) -> float | None:
    return None if value != value else value
