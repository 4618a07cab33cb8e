"""Requests about models: show, validate, try, activate, roll back, drop."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.models import ModelLedger
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.announcements import ModelChanged
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.contracts.command import (
    ActivateModel,
    DropModel,
    RollBackModel,
    ShowModels,
    TryModel,
    ValidateModelNow,
)
from spot_optimizer.contracts.market import ValidateModel
from spot_optimizer.forecast.model_registry import NotPossible, Registry
from spot_optimizer.services.command.invocation import invoke
from spot_optimizer.workflow.model_announcements import note_and_announce

ModelRequest = ShowModels | ValidateModelNow | TryModel | ActivateModel | RollBackModel | DropModel

SCORES_SHOWN = timedelta(days=7)


def carry_out_model_request(
    request: ModelRequest,
    ledger: Ledger,
    env: Environment,
    now: datetime,
    record: Callable[[], None],
) -> dict[str, Any]:
    """Check, ``record`` and carry out one request. Raises InvalidRequest, with nothing changed."""
    models, reason = ModelLedger(ledger), ""
    match request:
        case ShowModels():
            record()
            return _show(models, ledger, now)
        case ValidateModelNow(version=version, asked_by=asked_by):
            record()
            return _validate(env, version, asked_by)
        case ActivateModel(version=version):
            _require_comparison(models, version)
            after = _change(models, lambda registry: registry.activated(version), record)
            status: Literal["activated", "rolled-back", "dropped", "trial"] = "activated"
        case TryModel(version=version, share=share):
            _require_comparison(models, version)
            after = _change(models, lambda registry: registry.tried(version, share), record)
            status, reason = "trial", f"share {share:g}"
        case RollBackModel():
            after = _change(models, Registry.rolled_back, record)
            status, version = "rolled-back", after.live.version
        case DropModel(version=version):
            after = _change(models, lambda registry: registry.dropped(version), record)
            status = "dropped"
    changed = ModelChanged(
        version=version,
        status=status,
        reason=reason,
        at=now,
        asked_by=request.asked_by,
        comparison={},
    )
    note_and_announce(models, env, changed)
    return {"done": f"'{version}' is {_WORDS[status]}", **_current(after)}


_WORDS = {
    "trial": "pending; from the next cycle on it decides for that share of the workloads",
    "activated": "live from the next cycle on",
    "rolled-back": "live again from the next cycle on",
    "dropped": "no longer pending",
}


def _change(
    models: ModelLedger, step: Callable[[Registry], Registry], record: Callable[[], None]
) -> Registry:
    try:
        step(models.registry())
        record()
        return models.change(step)
    except NotPossible as error:
        raise InvalidRequest(str(error)) from error


def _require_comparison(models: ModelLedger, version: str) -> None:
    """A pending model decides only after it was compared on this account's prices."""
    item = models.version(version)
    if models.registry().role_of(version) == "pending" and (item is None or not item.comparison):
        raise InvalidRequest(
            f"version = '{version}' was {item.reason if item else 'not compared'}; "
            "request validate-model when that is resolved"
        )


def _validate(env: Environment, version: str, asked_by: str) -> dict[str, Any]:
    """Invoke refresh_market, which alone can load a model."""
    task = ValidateModel(task="validate-model", version=version, asked_by=asked_by)
    return invoke(env.refresh_function, task, "the validation failed")


def _show(models: ModelLedger, ledger: Ledger, now: datetime) -> dict[str, Any]:
    registry = models.registry()
    since = f"{now - SCORES_SHOWN:%Y-%m-%d}"
    scores = ledger.rows_since(keys.FORECASTS, since)
    hidden = ("pk", "sk", "expires_at_s")
    return {
        **_current(registry),
        "uploads": [
            {
                **item.model_dump(mode="json", exclude_defaults=True),
                "role": registry.role_of(item.version),
            }
            for item in models.versions()
        ],
        "scores": [{k: v for k, v in row.items() if k not in hidden} for row in scores],
    }


def _current(registry: Registry) -> dict[str, Any]:
    return {
        "live": registry.live.version,
        "previous": registry.previous.version if registry.previous else None,
        "pending": registry.pending.version if registry.pending else None,
        "trial_share": registry.trial_share,
    }
