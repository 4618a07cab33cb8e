"""Score forecasts: once an hour keep what was forecast, and score what was forecast before."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.announcements import FORECAST, announce
from spot_optimizer.aws.data_bucket import (
    ISSUED_FORECASTS,
    SCORES,
    DataBucket,
)
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.codec import DamagedState
from spot_optimizer.contracts.announcements import ForecastJudged
from spot_optimizer.forecast.accuracy_of_past_forecasts import AccuracySums, score_forecasts
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts, issue_forecasts
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.model_registry import Registry
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.forecast.score_history import (
    ScoreHistory,
    day_of,
    find_weaknesses,
)
from spot_optimizer.services.refresh_market.market_forecast import (
    ForecastInputs,
    MarketForecast,
    forecasters_to_score,
)
from spot_optimizer.telemetry import logger, metrics, publish
from spot_optimizer.vocabulary import HOUR_S

ScoredItem = tuple[str, int, str]
"""Day, hours ahead and model: identifies one item on the ledger."""

PUBLISH_AT_HOURS = (1, 7, 13, 19)
"""UTC hours in which figures become metrics; the first is after a full day. A window of seven days
hardly changes in an hour, and CloudWatch bills a metric by the hours in which it is sent: eight
metrics every hour cost $2.40 a month (Amazon CloudWatch pricing)."""


def update_forecast_scores(
    inputs: ForecastInputs,
    env: Environment,
    registry: Registry,
    forecast: MarketForecast,
    as_of: datetime,
) -> None:
    """Score the forecasts whose horizon ended by ``as_of``, and issue those of this hour.

    The first forecast of each hour is scored, at all horizons; later ones in the hour are alike.
    Errors of AWS calls are logged and never stop the refresh of prices; the next cycle retries.
    """
    try:
        _update_forecast_scores(inputs, env, registry, forecast, int(as_of.timestamp()))
    except (BotoCoreError, ClientError):
        logger.exception("forecasts are not scored in this cycle")


def _update_forecast_scores(
    inputs: ForecastInputs,
    env: Environment,
    registry: Registry,
    forecast: MarketForecast,
    as_of_s: int,
) -> None:
    market = inputs.market
    before = _read_score_history(market.store)
    # 1. Score what is due.
    history, scored = _score_due(inputs, before, as_of_s)
    # 2. Record the new figures and rate the model in use.
    if scored:
        history = history.pruned(market.now_s)
        roles = {LastPrice.name: "beside", forecast.version: "live"}
        _record(env, market.now, roles, registry, history, scored)
        history = _rate(env, market.now, forecast.version, history)
    # 3. Issue this hour's forecasts.
    if history.needs_forecasts(market.now_s) and inputs.changes.pools:
        forecasters = forecasters_to_score(inputs, forecast, registry)
        issued = issue_forecasts(inputs.changes, market.now_s, forecasters)
        market.store.write(_issued_key(market.now), issued.to_bytes())
        history = history.with_issued(market.now_s)
    # 4. Store the history last: a run that dies before repeats the same writes.
    if history is not before:
        market.store.write(SCORES, history.to_bytes())


def _read_score_history(store: DataBucket) -> ScoreHistory:
    """The stored history; an empty one if there is none or it is damaged."""
    try:
        return store.load(SCORES, ScoreHistory.from_bytes) or ScoreHistory()
    except DamagedState as damage:
        logger.error("the score history is damaged and starts again", reason=str(damage))
        return ScoreHistory()


def _score_due(
    inputs: ForecastInputs, history: ScoreHistory, as_of_s: int
) -> tuple[ScoreHistory, set[ScoredItem]]:
    """The history with all due forecasts scored, and which items of it changed."""
    scored: set[ScoredItem] = set()
    for made_s, ended in list(history.due(as_of_s)):
        issued = _read_issued(inputs.market.store, made_s)
        for hours in ended:
            sums_by_model: Mapping[str, AccuracySums] = {}
            if issued is not None:
                horizon = HORIZONS_H.index(hours)
                sums_by_model = score_forecasts(issued, inputs.changes, horizon, as_of_s)
            history = history.with_scores(made_s, hours, sums_by_model)
            scored |= {(day_of(made_s + hours * HOUR_S), hours, model) for model in sums_by_model}
    return history, scored


def _read_issued(store: DataBucket, made_s: int) -> IssuedForecasts | None:
    """The forecasts issued at ``made_s``; None if they are missing or damaged."""
    key = _issued_key(datetime.fromtimestamp(made_s, UTC))
    body = store.read(key)
    try:
        return IssuedForecasts.from_bytes(body) if body else None
    except DamagedState as damage:
        logger.error("damaged forecasts are not scored", key=key, reason=str(damage))
        return None


def _issued_key(made_at: datetime) -> str:
    return f"{ISSUED_FORECASTS}/dt={made_at:%Y-%m-%d}/{made_at:%H%M%S}.npz"


def _record(
    env: Environment,
    now: datetime,
    roles: Mapping[str, str],
    registry: Registry,
    history: ScoreHistory,
    scored: Iterable[ScoredItem],
) -> None:
    """Write one ledger item per day, horizon and model. Repeating it writes the same items."""
    ledger = Ledger(env.ledger_table)
    for day, hours, model in sorted(scored):
        sums = history.days.get(day, {}).get(model, {}).get(hours)
        if sums is None:
            continue
        item = {
            "day": day,
            "horizon_hours": hours,
            "model": model,
            "role": roles.get(model) or registry.role_of(model) or "out of play",
            **sums.figures(),
        }
        ledger.put_history(
            keys.FORECASTS, f"{day}#{hours:02d}h#{model}", item, now, env.retention_days
        )


def _rate(env: Environment, now: datetime, version: str, history: ScoreHistory) -> ScoreHistory:
    """Publish the recent figures of the model in use; send an event if it turned weak or good."""
    window = history.window(version)
    if now.hour in PUBLISH_AT_HOURS:
        _publish_figures(window)
    previous = history.verdicts.get(version, ())
    weaknesses = find_weaknesses(window, previous)
    metrics.add_metric("ForecastWorse", "Count", 1 if weaknesses else 0)
    if bool(weaknesses) != bool(previous):
        logger.warning("the rating of the forecasts changed", model=version, reasons=weaknesses)
        rating = ForecastJudged(
            model=version,
            degraded=bool(weaknesses),
            reasons=weaknesses,
            at=now,
            horizons={str(hours): sums.figures() for hours, sums in window.items()},
        )
        announce(env.bus_name, FORECAST, [rating])
    return history.with_verdict(version, weaknesses)


def _publish_figures(window: Mapping[int, AccuracySums]) -> None:
    for hours, sums in window.items():
        if sums.skill is not None:
            publish("ForecastSkill", sums.skill, Horizon=f"{hours}h")
        if sums.coverage_of_changes is not None:
            publish("ForecastCoverage", sums.coverage_of_changes, Horizon=f"{hours}h")
