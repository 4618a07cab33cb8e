"""``spot-optimizer backtest``: figures from a price file, one clear line for what it cannot use."""

import json
import re
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.backtest_rows import MAIN, MORE
from cli.main import app
from tests.cli.printed import document_of
from tests.models.small_markets import small_market, write_csv

RUN = CliRunner()
FAST = ("--forecast", "last-price", "--runs", "3", "--draws", "2", "--hazard", "20%")


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days of twelve pools."""
    return write_csv(tmp_path_factory.mktemp("prices") / "prices.csv", small_market(12))


def _document(prices: Path, *more: str) -> dict[str, Any]:
    result = RUN.invoke(app, ["backtest", "--prices", str(prices), "--json", *FAST, *more])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = document_of(result)
    return document


def test_every_policy_stands_beside_the_optimum(prices: Path) -> None:
    """All rules and engines; none costs less than the optimum; same seed, same figures."""
    asked = ("--instance-type", "m5.large", "--flexible", "--interruption-cost", "8")
    document = _document(prices, *asked)
    assert document == _document(prices, *asked)
    rows = {row["policy"]: row for row in document["results"][0]["rows"]}
    assert len(rows) == 6 + 2 + 4
    assert min(row["over_optimum_mean"] for row in rows.values()) == 0
    assert rows["clairvoyant optimum"]["over_optimum_mean"] == 0
    assert rows["always on-demand"]["interruptions"] == 0
    assert rows["expected_cost, last price"]["first_hour_share"] >= 0.95
    assert rows["expected_cost, last price"]["highest_price_fraction"] <= 1.005


def test_costs_of_an_interruption_are_tables_of_their_own(prices: Path) -> None:
    """A higher one never makes a run cheaper if the policy ignores it; on-demand is not affected."""
    asked = ("--instance-type", "m5.large", "--flexible", "--engine", "forecast")
    costs = ("--interruption-cost", "0", "--interruption-cost", "48")
    document = _document(prices, *asked, *costs, "--hazard", "99.99%", "--days", "11")
    free, costly = ({r["policy"]: r for r in each["rows"]} for each in document["results"])
    assert free["always on-demand"]["usd_per_month"] == costly["always on-demand"]["usd_per_month"]
    stay = "stay on the first pool"
    assert costly[stay]["interruptions"] > 0
    assert costly[stay]["usd_per_month"] > free[stay]["usd_per_month"]


def test_the_model_and_the_perfect_forecast_have_a_value_in_dollars(prices: Path) -> None:
    """Each against the last price, with an interval around it."""
    result = RUN.invoke(
        app,
        ["backtest", "--prices", str(prices), "--json", "--instance-type", "m5.large", "--flexible",
         "--engine", "expected_cost", "--runs", "2", "--days", "2", "--hazard", "5%"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    values = document_of(result)["results"][0]["forecast_values"]
    assert [v["what"] for v in values] == [
        "expected_cost: model against last price",
        "expected_cost: perfect 1 h forecast against last price",
    ]
    for value in values:
        low, high = value["usd_per_month_90"]
        assert low <= value["usd_per_month"] <= high


def test_it_says_when_standing_still_would_have_been_as_good(tmp_path: Path) -> None:
    """One pool: there is nowhere to go to."""
    rows = [row for row in small_market(12) if row[0] == ("m5.large", "us-east-1a")]
    path = write_csv(tmp_path / "one.csv", rows)
    result = RUN.invoke(
        app, ["backtest", "--prices", str(path), "--instance-type", "m5.large", *FAST]
    )
    assert result.exit_code == 0, result.output
    assert "Standing still would have been as good" in result.output


def _shown(prices: Path, *more: str) -> str:
    asked = ("--instance-type", "m5.large", "--flexible", *FAST, *more)
    result = RUN.invoke(app, ["backtest", "--prices", str(prices), *asked])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_verdict_comes_first_and_lines_fit_80_columns(prices: Path) -> None:
    """A row for the references, the best simple rule, each engine, and the optimum last."""
    shown = _shown(prices)
    assert "against on-demand. All costs are simulated." in " ".join(shown.split("\n\n")[0].split())
    assert max(map(len, shown.splitlines())) <= 80
    head, *lines = shown[shown.index("policy ") :].split("\n\n")[0].splitlines()
    assert head.split() == ["policy", "per", "month", "on-demand", "switches", "interruptions"]
    names = [line.split("  ")[0] for line in lines]
    assert names[:2] == ["always on-demand", "stay on the first pool"]
    assert names[-1] == "clairvoyant optimum"
    assert len(names) == 4 + 4
    assert "--all has 4 more policies and 12 more figures of each." in shown


def test_all_policies_and_figures_are_shown_on_request(prices: Path) -> None:
    """Each figure of the tables is explained."""
    shown = _shown(prices, "--all")
    assert max(map(len, shown.splitlines())) <= 80
    for name in ("cheapest now with", "price-capacity-like", "clairvoyant of prices"):
        assert name in shown
    for column in (column for group in (MAIN, *MORE) for column in group if column.meaning):
        assert f"\n{column.name}: " in shown


def test_intervals_of_few_data_have_a_warning_next_to_them(prices: Path, tmp_path: Path) -> None:
    """On the terminal, on the page and in the document, with the number that they rest on."""
    page = tmp_path / "page.html"
    said = "Few data: the 90 % intervals rest on 3 runs of 1 workload."
    shown = " ".join(_shown(prices, "--days", "11", "--report", str(page)).split())
    assert shown.index(said) < shown.index("An interruption costs")
    assert page.read_text().count(said) == 2
    document = _document(prices, "--instance-type", "m5.large", "--flexible", "--days", "11")
    assert document["interval_blocks"] == 3
    assert document["interval_warning"].startswith(said)


def test_runs_that_overlap_count_by_their_weeks(prices: Path) -> None:
    """Many runs within some days are no more than these days."""
    asked = ("--instance-type", "m5.large", "--flexible", "--engine", "forecast", "--runs", "30")
    document = _document(prices, *asked, "--days", "11")
    said = f"rest on {document['interval_blocks']} weeks of 1 workload (30 runs that overlap)."
    assert document["interval_blocks"] <= 3
    assert said in document["interval_warning"]


def test_many_workloads_and_weeks_have_no_warning(tmp_path: Path) -> None:
    """Four workloads over weeks."""
    path = write_csv(tmp_path / "long.csv", small_market(24))
    asked = ("--sample", "4", "--flexible", "--engine", "forecast")
    document = _document(path, *asked)
    assert document["interval_blocks"] == 12  # three runs of each: their weeks are as many, or more
    assert document["interval_warning"] is None


def test_the_report_is_one_page_with_its_charts_in_it(prices: Path, tmp_path: Path) -> None:
    """Nothing is fetched from elsewhere; charts have a value for each policy, and two color schemes."""
    page = tmp_path / "page.html"
    result = RUN.invoke(
        app,
        ["backtest", "--prices", str(prices), "--instance-type", "m5.large", "--types", "m5.*",
         "--engine", "expected_cost", "--report", str(page), *FAST],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    html = page.read_text()
    assert "http" not in html
    assert "<img" not in html
    assert html.count('role="img"') == 4
    assert "prefers-color-scheme: dark" in html
    rows = 9
    costs = html[html.index("Cost of each policy in percent") :].partition("</svg>")[0]
    assert len(re.findall(r'class="value"[^>]*>[\d.]+ %, [\d.]+ USD<', costs)) == rows
    assert html.index("would have") < html.index("<svg")
    assert html.count("<table") == 3


def test_names_on_the_page_are_escaped() -> None:
    """A workload's name comes from a tag."""
    from cli.backtest_page import _total

    assert "<b>" not in _total("best engine", "1 USD", "<b>shop")


def test_an_unreachable_spot_advisor_is_a_remark_in_plain_words(
    prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is assumed instead, and the way out."""

    def unreachable() -> None:
        raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr("spot_optimizer.aws.reference_data.read_spot_advisor", unreachable)
    fast = ("--forecast", "last-price", "--runs", "2", "--draws", "1", "--engine", "forecast")
    result = RUN.invoke(
        app, ["backtest", "--prices", str(prices), "--instance-type", "m5.large", *fast]
    )
    shown = " ".join(result.stdout.split())
    assert "The Spot Advisor file was not read (AWS cannot be reached): 12.5 % of" in shown
    assert "--advisor takes a copy of the file" in shown
    assert "urlopen" not in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        ("x", "it is not JSON; allowed is a copy of AWS's spot-advisor-data.json"),
        ("{}", "ranges is missing"),
    ],
)
def test_an_unusable_advisor_file_is_refused_in_one_line(
    prices: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    """With the option and the path."""
    path = tmp_path / "advisor.json"
    if content is not None:
        path.write_text(content)
    result = RUN.invoke(
        app,
        [
            "backtest",
            "--prices",
            str(prices),
            "--instance-type",
            "m5.large",
            "--advisor",
            str(path),
        ],
    )
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"--advisor {path}: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--instance-type"),
        (("--instance-type", "m5.gigantic"), "no such type"),
        (("--instance-type", "c6i.large"), "no such type in the prices; allowed are the 4 there"),
        (("--instance-type", "m5.large", "--types", "x9.*"), "x9.*"),
        (("--instance-type", "m5.large", "--types", "m5.*", "--flexible"), "one or the other"),
        (("--instance-type", "m5.large", "--engine", "oracle"), "expected_cost"),
        (("--instance-type", "m5.large", "--forecast", "tarot"), "last-price, model, perfect"),
        (
            ("--instance-type", "m5.large", "--days", "90"),
            "cover 12.0 days; allowed are 1 to 11.95",
        ),
        (("--instance-type", "m5.large", "--days", "0"), "allowed are 1 to 11."),
        (("--instance-type", "m5.large", "--days", "nan"), "allowed are 1 to 11."),
        (("--instance-type", "m5.large", "--until", "soon"), "soon"),
        (("--instance-type", "m5.large", "--runs", "500", "--draws", "11"), "5000 in all"),
        (("--instance-type", "m5.large", "--region", "eu-west-1"), "us-east-1"),
        (("--instance-type", "m5.large", "--hazard", "120%"), "0% to below 100%"),
        (("--instance-type", "m5.large", "--report", "/no/such/folder/page.html"), "no folder"),
        (("--instance-type", "m5.large", "--report", "/"), "--report /: it is a folder"),
        (
            ("--instance-type", "m5.large", "--until", "2020-01-01"),
            "--until 2020-01-01: the prices",
        ),
    ],
)
def test_an_invalid_request_is_refused_in_one_line(
    prices: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, the option, the value and what is allowed; no traceback."""
    given = () if "--hazard" in arguments else ("--hazard", "5%")
    result = RUN.invoke(app, ["backtest", "--prices", str(prices), *given, *arguments])
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_report_that_cannot_be_written_is_refused(prices: Path, tmp_path: Path) -> None:
    """After the work, in one message with the option."""
    page = tmp_path / "page.html"
    page.symlink_to(tmp_path / "missing" / "page.html")
    asked = ("--instance-type", "m5.large", "--engine", "forecast", "--report", str(page))
    result = RUN.invoke(app, ["backtest", "--prices", str(prices), *asked, *FAST])
    assert result.exit_code == 2
    assert "cannot be written" in " ".join(re.sub("[│╭╮╰╯─]", "", result.stderr).split())
    assert result.stdout == ""


def test_files_without_prices_are_refused(tmp_path: Path) -> None:
    """An empty file, and one with a header alone."""
    empty = tmp_path / "empty.csv"
    header = write_csv(tmp_path / "header.csv", [])
    for path, text in ((empty, ""), (header, header.read_text())):
        path.write_text(text)
        result = RUN.invoke(
            app,
            ["backtest", "--prices", str(path), "--instance-type", "m5.large", "--hazard", "5%"],
        )
        assert result.exit_code == 2, result.output
        assert path.name in result.output.replace("\n", "")


def test_without_files_or_region_it_asks_for_one() -> None:
    """Nothing is read from an account that was not named."""
    result = RUN.invoke(app, ["backtest", "--instance-type", "m5.large"])
    assert result.exit_code == 2
    assert "--region" in result.output


def test_on_demand_prices_of_another_time_are_noticed(tmp_path: Path) -> None:
    """Where no pool is below on-demand there is no run to begin."""
    path = write_csv(tmp_path / "costly.csv", [(p, t, 9.0) for p, t, _ in small_market(12)])
    cheap = tmp_path / "on-demand.json"
    cheap.write_text(json.dumps({"m5.large": 1.0, "m5.xlarge": 2.0, "c5.large": 1, "r5.large": 1}))
    result = RUN.invoke(
        app,
        ["backtest", "--prices", str(path), "--on-demand", str(cheap), "--instance-type", "m5.large",
         "--flexible", *FAST],
    )  # fmt: skip
    assert result.exit_code == 2
    assert "below on-demand" in result.output
