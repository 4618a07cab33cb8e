"""An evaluation uses only what was known at the time, and its figures follow their definitions."""

import json
import re
import shutil
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import app
from models.bootstrap import Blocks
from models.dataset import joined, rows_of
from models.evaluation import evaluate
from models.markets import read_markets
from models.metrics import (
    AtThreshold,
    Ranked,
    auc,
    average_precision,
    best_f1_threshold,
)
from models.rolling import Scored, roll
from models.training import SIMPLE_RULES
from spot_optimizer.forecast.accuracy_of_past_forecasts import pinball_loss
from spot_optimizer.forecast.daily_lessons import learn_from_day
from spot_optimizer.forecast.model_forecaster import forecast_rows
from spot_optimizer.forecast.raw_forecast import predict_rows
from spot_optimizer.market.cleaning import PriceRow
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import DAY_S
from tests.cli.printed import document_of
from tests.models.conftest import Trained
from tests.models.small_markets import HOUR_S, START_S, small_market, write_csv

FORECASTS = ("mean", "low", "median", "high", "change", "rise", "smoothed", "empirical", "cadence")
MARKET = small_market(13, seed=11)
LATER_S = START_S + 11 * DAY_S


def rolled(
    trained: Trained, tmp_path: Path, rows: list[PriceRow], name: str = "prices.csv", **options: Any
) -> Scored:
    """Scored forecasts of these rows."""
    read = read_markets([write_csv(tmp_path / name, rows)])
    asked = {"from_s": None, "until_s": None, "every_h": 1, "recalibrate": True} | options
    return roll(read.markets, trained.model, trained.rules, progress=lambda *_: None, **asked)


@pytest.fixture(scope="module")
def scored(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return rolled(trained, tmp_path_factory.mktemp("rolled"), MARKET)


def test_forecasts_do_not_change_if_the_future_is_permuted(
    trained: Trained, scored: Scored, tmp_path: Path
) -> None:
    """Prices from some day on are permuted: no earlier forecast changes by a bit, daily corrections
    and rules included."""
    before = [row for row in MARKET if row[1] <= LATER_S]
    after = [row for row in MARKET if row[1] > LATER_S]
    prices = np.random.default_rng(5).permutation([price for *_, price in after])
    dealt = [(p, t, float(x)) for (p, t, _), x in zip(after, prices, strict=True)]
    other = rolled(trained, tmp_path, before + dealt)
    known, same = scored.made_s <= LATER_S, other.made_s <= LATER_S
    assert known.sum() > 500
    assert not np.array_equal(scored.move[:, known], other.move[:, same], equal_nan=True)
    for name in FORECASTS:
        np.testing.assert_array_equal(
            getattr(scored, name)[..., known], getattr(other, name)[..., same], err_msg=name
        )


def test_evaluation_learns_the_corrections_of_the_deployed_function(
    trained: Trained, scored: Scored, tmp_path: Path
) -> None:
    """A daily lesson from the stored prices gives what the evaluation learned day by day."""
    market = read_markets([write_csv(tmp_path / "prices.csv", MARKET)]).markets[0]
    first_s = START_S // DAY_S * DAY_S
    calibration = trained.model.calibration
    for day in range(1, 13):
        until_s = first_s + day * DAY_S
        known = PriceChanges().merge([row for row in MARKET if row[1] <= until_s], {})[0]
        calibration = learn_from_day(trained.model, calibration, known, {}, until_s)
    last = scored.made_s >= first_s + 12 * DAY_S
    chosen = np.flatnonzero(last)[:50]
    times = np.unique(scored.made_s[last])
    day_rows = joined(list(rows_of(market, times)))
    raw = predict_rows(trained.model.boosters, day_rows.values)
    for h in range(4):
        forecast = forecast_rows(raw, day_rows.rows, calibration, h)
        np.testing.assert_allclose(
            forecast.change[: len(chosen)], scored.change[h][chosen], rtol=1e-6
        )
        np.testing.assert_allclose(
            np.log(forecast.forecast.p95 / day_rows.price)[: len(chosen)],
            scored.high[h][chosen],
            atol=1e-9,
        )


def test_evaluation_does_not_depend_on_the_order_and_repetition_of_rows(
    trained: Trained, scored: Scored, tmp_path: Path
) -> None:
    """Unsorted, repeated, in another notation of time: the forecasts are equal."""
    mixed = [MARKET[i] for i in np.random.default_rng(1).permutation(len(MARKET))]
    other = rolled(trained, tmp_path, [*mixed, *mixed[:200]])
    for field in fields(Scored):
        np.testing.assert_array_equal(getattr(scored, field.name), getattr(other, field.name))


def test_times_with_any_offset_and_zones_by_id_give_the_same_market(tmp_path: Path) -> None:
    """09:00 in India is 03:30 UTC; use1-az1 lies in us-east-1 as us-east-1a does."""
    rows = small_market(2)
    path = tmp_path / "mixed.csv"
    india = timezone(timedelta(hours=5, minutes=30))
    lines = [
        f"{datetime.fromtimestamp(t, india if n % 2 else UTC).isoformat()},{p.instance_type},"
        f"use1-az{'abc'.index(p.availability_zone[-1]) + 1},{x}"
        for n, (p, t, x) in enumerate(rows)
    ]
    path.write_text("\n".join(["time,instance_type,az_id,price", *lines]), encoding="utf-8")
    by_id = read_markets([path]).markets
    by_name = read_markets([write_csv(tmp_path / "names.csv", rows)]).markets
    assert [market.region for market in by_id] == ["us-east-1"]
    np.testing.assert_array_equal(by_id[0].changes.time_s, by_name[0].changes.time_s)
    np.testing.assert_array_equal(by_id[0].changes.price, by_name[0].changes.price)


def test_dropped_rows_are_counted_by_reason(tmp_path: Path) -> None:
    """Negative prices, repeated and conflicting rows: each reason is reported, none is lost."""
    rows = small_market(2)
    pool, time_s, price = rows[0]
    extra = [
        rows[5],
        (pool, time_s, price + 0.01),
        (pool, time_s + 60, -1.0),
        (pool, time_s + 90, 99.0),
    ]
    read = read_markets([write_csv(tmp_path / "prices.csv", rows + extra)])
    assert read.rows == len(rows) + 4
    assert read.dropped == {
        "zero or negative": 1,
        "above 10 x on-demand": 1,
        "duplicate": 1,
        "conflict": 1,
    }
    assert price + 0.01 in read.markets[0].changes.price


def test_gap_in_the_recording_splits_the_market(tmp_path: Path) -> None:
    """After a year without rows nothing looks back across it, and no outcome lies in it."""
    rows = small_market(4)
    late = [(p, t + 365 * DAY_S, price * 2) for p, t, price in rows]
    read = read_markets([write_csv(tmp_path / "prices.csv", rows + late)])
    assert read.feed_gaps == 1
    first, second = read.markets
    assert first.end_s < START_S + 5 * DAY_S
    assert second.start_s >= START_S + 365 * DAY_S


def test_single_pool_can_be_evaluated_and_few_rises_give_no_figure(
    trained: Trained, tmp_path: Path
) -> None:
    """Figures that cannot be computed are reported as missing."""
    one = [row for row in MARKET if row[0] == MARKET[-1][0]]
    report = evaluate(rolled(trained, tmp_path, one), trained.model.metadata.thresholds)
    assert report["pools"] == 1
    assert report["horizons"]["6h"]["rows"] > 50
    assert "too_few" in report["instability"]["rise_3"]
    json.dumps(report, allow_nan=False)


def test_limits_and_medians_are_whole_ticks_and_contain_the_last_price(scored: Scored) -> None:
    """Prices move in ticks of 0.0001 dollars; only the mean is not a whole tick."""
    for limits in (scored.low, scored.median, scored.high):
        ticks = scored.price * np.exp(limits) / 1e-4
        np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-5)
    assert (scored.low <= scored.median + 1e-12).all()
    assert (scored.median <= scored.high + 1e-12).all()
    assert (scored.low <= 1e-12).all()
    assert (scored.high >= -1e-12).all()
    unlikely = scored.change < 0.5
    np.testing.assert_allclose(scored.median[unlikely], 0, atol=1e-9)


def test_expensive_pools_count_more_in_dollars_and_alike_in_log_prices(
    trained: Trained, scored: Scored
) -> None:
    """A forecast that is right about one expensive pool alone has skill in dollars, but little in
    logs."""
    known = np.isfinite(scored.move)
    expensive = scored.pool == 0
    skewed = replace(
        scored,
        price=np.where(expensive, 1_000 * scored.price, scored.price),
        mean=np.where(expensive & known, scored.move, 0.0),
    )
    report = evaluate(skewed, trained.model.metadata.thresholds)
    for horizon in report["horizons"].values():
        squared = horizon["squared_error"]
        low, high = squared["skill_in_dollars_90"]
        assert squared["skill"] < 0.5
        assert squared["skill_in_dollars"] > 0.99
        assert low <= squared["skill_in_dollars"] <= high


def test_evaluate_command_prints_the_same_report_and_draws_it(
    trained: Trained, tmp_path: Path
) -> None:
    """From the command line, as JSON, with a picture."""
    prices = write_csv(tmp_path / "prices.csv", MARKET)
    asked = ["evaluate", "--prices", str(prices), "--model", str(trained.folder)]
    picture = tmp_path / "skill.png"
    answer = CliRunner().invoke(app, [*asked, "--json", "--picture", str(picture)])
    assert answer.exit_code == 0, answer.output
    report = document_of(answer)
    assert set(report["horizons"]) == {"1h", "6h", "12h", "24h"}
    assert report["horizons"]["6h"]["change"]["brier_skill"] > 0.5
    assert picture.read_bytes().startswith(b"\x89PNG")
    answer = CliRunner().invoke(app, asked)
    verdict, table, *_ = answer.stdout.split("\n\n")
    assert report["model"] in verdict
    assert "the last price at" in verdict
    said = f"rest on {report['interval_blocks']} weeks of an instance family"
    assert (said in " ".join(verdict.split())) == (report["interval_blocks"] < 10)
    for name, horizon in report["horizons"].items():
        skill = f"{horizon['squared_error']['skill']:.3f}"
        assert re.search(rf"^{name.removesuffix('h')} h +{skill} \[", table, re.MULTILINE)
    more = CliRunner().invoke(app, [*asked, "--all"]).stdout
    assert max(map(len, (answer.stdout + more).splitlines())) <= 80
    terms = re.findall(r"^([\w ]+): ", more, re.MULTILINE)
    assert {"skill", "AUC", "in dollars", "pinball", "Brier skill", "F1"} <= set(terms)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2030-01-01"), "nothing to score; the prices of us-east-1 cover 2023-11-15"),
        (("--from", "2023-11-20", "--until", "2023-11-19"), "--until 2023-11-19: must be after"),
        (("--model", "/no/such/model"), "--model /no/such/model: there is no such folder"),
        (("--model", "/"), "--model /: metadata.json: there is no such file"),
        (("--picture", "/"), "--picture /: it is a folder"),
        (("--picture", "/no/such/a.png"), "--picture /no/such/a.png: there is no folder"),
    ],
)
def test_an_invalid_evaluation_is_refused_with_its_option(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """Exit code 2, the value and what is allowed."""
    prices = write_csv(tmp_path / "prices.csv", MARKET)
    answer = CliRunner().invoke(app, ["evaluate", "--prices", str(prices), *options])
    assert answer.exit_code == 2
    assert said in " ".join(re.sub("[│╭╮╰╯─]", "", answer.stderr).split())


def test_a_model_with_damaged_rules_is_refused(trained: Trained, tmp_path: Path) -> None:
    """In words that are not the parser's."""
    prices = write_csv(tmp_path / "prices.csv", MARKET)
    folder = tmp_path / "model"
    shutil.copytree(trained.folder, folder)
    (folder / SIMPLE_RULES).write_text("[]")
    answer = CliRunner().invoke(app, ["evaluate", "--prices", str(prices), "--model", str(folder)])
    assert answer.exit_code == 2
    said = f"--model {folder}: {SIMPLE_RULES}: is not what training writes; train the model again"
    assert said in answer.stderr


def test_file_without_required_columns_is_refused_with_the_reason(
    trained: Trained, tmp_path: Path
) -> None:
    """Exit code 2 and the accepted spellings."""
    path = tmp_path / "odd.csv"
    path.write_text("when,what\n1,2\n", encoding="utf-8")
    answer = CliRunner().invoke(
        app, ["evaluate", "--prices", str(path), "--model", str(trained.folder)]
    )
    assert answer.exit_code == 2
    assert "no column for the time (allowed: Timestamp" in answer.output


labeled = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=2, max_size=30
)


@settings(deadline=None, max_examples=60)
@given(labeled)
def test_rank_measures_equal_a_count_pair_by_pair(rows: list[tuple[float, bool]]) -> None:
    """AUC over all pairs with ties as halves; average precision and F1 over all thresholds."""
    predicted = np.array([p for p, _ in rows])
    happened = np.array([float(y) for _, y in rows])
    ranked = Ranked.of(predicted, happened)
    counts = ranked.counts()
    positives, negatives = predicted[happened == 1], predicted[happened == 0]
    if not len(positives):
        assert np.isnan(average_precision(*counts))
        return
    by_threshold = [
        AtThreshold.of(predicted, happened, t) for t in sorted(set(predicted), reverse=True)
    ]
    grown = np.diff([0.0] + [at.recall for at in by_threshold])
    expected = sum(g * at.precision for g, at in zip(grown, by_threshold, strict=True))
    assert average_precision(*counts) == pytest.approx(expected)
    assert best_f1_threshold(ranked)[1] == pytest.approx(max(at.f1 for at in by_threshold))
    if len(negatives):
        wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
        assert auc(*counts) == pytest.approx(np.mean(wins))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.sampled_from([0.05, 0.5, 0.95]))
def test_pinball_loss_is_least_at_the_quantile(values: list[float], level: float) -> None:
    """The empirical quantile loses no more than any of the values."""
    actual = np.array(values)
    best = pinball_loss(
        level, np.atleast_1d(np.quantile(actual, level, method="inverted_cdf")), actual
    ).sum()
    assert all(best <= pinball_loss(level, np.array([v]), actual).sum() + 1e-9 for v in values)


def test_bootstrap_draws_whole_blocks() -> None:
    """Rows of one family and week are counted equally often in every draw."""
    made_s = np.array([0, HOUR_S, 8 * DAY_S, 0])
    family = np.array(["m5", "m5", "m5", "c5"])
    blocks = Blocks.of(made_s, np.zeros(4, np.int64), family, seed=1)
    assert blocks.block[0] == blocks.block[1]
    assert len(set(blocks.block.tolist())) == 3
    assert (blocks.draws.sum(axis=1) == 3).all()
    low, high = blocks.interval_of_mean(np.ones(4), np.ones(4, dtype=bool))
    assert (low, high) == (1.0, 1.0)
