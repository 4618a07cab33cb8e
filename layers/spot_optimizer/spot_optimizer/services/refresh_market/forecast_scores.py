"""Every hour: what is forecast is kept, and what was forecast is compared with what came."""

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
from spot_optimizer.forecast.accuracy import Sums, score
from spot_optimizer.forecast.issued_forecasts import IssuedForecasts, issue_forecasts
from spot_optimizer.forecast.last_price import LastPrice
from spot_optimizer.forecast.model_registry import Registry
from spot_optimizer.forecast.raw_forecast import HORIZONS_H
from spot_optimizer.forecast.score_history import (
    ScoreBook,
    day_of,
    judge,
)
from spot_optimizer.services.refresh_market.market_forecast import (
    MarketForecast,
    Past,
    forecasters_to_score,
)
from spot_optimizer.telemetry import logger, metrics, publish
from spot_optimizer.vocabulary import HOUR_S

Scored = tuple[str, int, str]
"""Day, hours ahead and model of one item of the ledger."""

FIGURES_AT_HOURS = (1, 7, 13, 19)
"""Of UTC, the first after a day that is full. A window of seven days hardly changes in an hour, and a
metric is paid by the hours in which it is sent (Amazon CloudWatch pricing): eight of them every hour
are $2.40 a month."""


def keep_scores(
    past: Past, env: Environment, registry: Registry, forecast: MarketForecast, as_of: datetime
) -> None:
    """Score the forecasts whose time has come by ``as_of``, and keep those of this hour.

    The first forecast of each hour is scored, at all horizons: those that follow say the same.
    Prices do not wait for it: trouble is logged, and the next cycle goes on with it.
    """
    try:
        _keep_scores(past, env, registry, forecast, int(as_of.timestamp()))
    except (BotoCoreError, ClientError):
        logger.exception("forecasts are not scored this time")


def _keep_scores(
    past: Past, env: Environment, registry: Registry, forecast: MarketForecast, as_of_s: int
) -> None:
    store, now_s = past.market.store, past.market.now_s
    before = read_scores(store)
    book, scored = _closed(past, before, as_of_s)
    if scored:
        book = book.tidied(now_s)
        roles = {LastPrice.name: "beside", forecast.version: "live"}
        _record(env, past.market.now, roles, registry, book, scored)
        book = _judged(env, past.market.now, forecast.version, book)
    if book.is_due(now_s) and past.changes.pools:
        issued = issue_forecasts(
            past.changes, now_s, forecasters_to_score(past, forecast, registry)
        )
        store.write(_key(past.market.now), issued.to_bytes())
        book = book.opened(now_s)
    if book is not before:
        store.write(SCORES, book.to_bytes())


def read_scores(store: DataBucket) -> ScoreBook:
    """The scores so far; none where they cannot be read."""
    try:
        return store.load(SCORES, ScoreBook.from_bytes) or ScoreBook()
    except DamagedState as damage:
        logger.error("scores that cannot be read begin anew", reason=str(damage))
        return ScoreBook()


def _closed(past: Past, book: ScoreBook, as_of_s: int) -> tuple[ScoreBook, set[Scored]]:
    """The book after all that has come due, and which figures of it are new."""
    scored: set[Scored] = set()
    for made_s, come in list(book.due(as_of_s)):
        issued = _read(past.market.store, made_s)
        for hours in come:
            found: dict[str, Sums] = {}
            if issued is not None:
                found = dict(score(issued, past.changes, HORIZONS_H.index(hours), as_of_s))
            book = book.closed(made_s, hours, found)
            scored |= {(day_of(made_s + hours * HOUR_S), hours, model) for model in found}
    return book, scored


def _read(store: DataBucket, made_s: int) -> IssuedForecasts | None:
    """What was foretold then; what is lost is not scored."""
    key = _key(datetime.fromtimestamp(made_s, UTC))
    body = store.read(key)
    try:
        return IssuedForecasts.from_bytes(body) if body else None
    except DamagedState as damage:
        logger.error("a forecast cannot be read and is not scored", key=key, reason=str(damage))
        return None


def _key(made_at: datetime) -> str:
    return f"{ISSUED_FORECASTS}/dt={made_at:%Y-%m-%d}/{made_at:%H%M%S}.npz"


def _record(
    env: Environment,
    now: datetime,
    roles: Mapping[str, str],
    registry: Registry,
    book: ScoreBook,
    scored: Iterable[Scored],
) -> None:
    """One item for each day, horizon and model. Written before the book is: whoever does it again
    writes the same."""
    ledger = Ledger(env.ledger_table)
    for day, hours, model in sorted(scored):
        sums = book.days.get(day, {}).get(model, {}).get(hours)
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


def _publish_figures(window: Mapping[int, Sums]) -> None:
    for hours, sums in window.items():
        if sums.skill is not None:
            publish("ForecastSkill", sums.skill, Horizon=f"{hours}h")
        if sums.coverage_of_changes is not None:
            publish("ForecastCoverage", sums.coverage_of_changes, Horizon=f"{hours}h")


def _judged(env: Environment, now: datetime, version: str, book: ScoreBook) -> ScoreBook:
    """Publish how the forecasts that decide have done in the last days, and tell when that turns."""
    window = book.window(version)
    if now.hour in FIGURES_AT_HOURS:
        _publish_figures(window)
    told = book.verdicts.get(version, ())
    found = judge(window, told)
    metrics.add_metric("ForecastWorse", "Count", 1 if found else 0)
    if bool(found) != bool(told):
        logger.warning("the forecast is judged anew", model=version, reasons=found)
        figures = {str(hours): sums.figures() for hours, sums in window.items()}
        verdict = ForecastJudged(
            model=version, degraded=bool(found), reasons=found, at=now, horizons=figures
        )
        announce(env.bus_name, FORECAST, [verdict])
    return book.with_verdict(version, found)
