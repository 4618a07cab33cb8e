"""``spot-optimizer judge`` and ``recommend``: questions to a market, deployed or at rest."""

import getpass
import json
import math
import re
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import typer
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.plain import print_json
from cli.stacks import outputs_of
from spot_optimizer.contracts.boundary import InvalidRequest, parse
from spot_optimizer.contracts.command import EvaluatePool, RecommendPools
from spot_optimizer.decision.appraisal import UnknownPlace, appraise
from spot_optimizer.decision.hourly_hazard import MONTH_HOURS
from spot_optimizer.decision.recommendation import (
    NothingFits,
    Requirement,
    recommend,
)
from spot_optimizer.settings import Settings
from spot_optimizer.vocabulary import Pool
from spot_optimizer.workflow.engines import UnknownEngine, require_engines

if TYPE_CHECKING:
    from cli.markets_at_rest import MarketAtRest


def judge_pool(
    *,
    instance_type: str,
    zone: str,
    engine: str | None,
    stack: str | None,
    region: str | None,
    profile: str | None,
    prices: Path | None,
    on_demand: Path | None,
    advisor: Path | None,
    at: datetime | None,
    seed: int,
    as_json: bool,
) -> None:
    """Judge one spot pool: what would be decided about an instance of this type that runs there."""
    request = _checked(
        EvaluatePool,
        command="evaluate",
        instance_type=instance_type,
        availability_zone=zone,
        engine=engine,
    )
    if stack is not None:
        _refuse_files(prices, on_demand, advisor, at)
        answer = _ask(stack, region, profile, request)
    else:
        from cli.markets_at_rest import market_at_rest

        market = market_at_rest(prices, on_demand, advisor, at, seed)
        settings = replace(Settings(), engine=engine or Settings().engine)
        try:
            engines = require_engines([settings.engine])
            pool = Pool(instance_type, zone)
            result = appraise(pool, market.table, settings, market.now, engines)
        except UnknownEngine as error:
            raise typer.BadParameter(f"--engine {error}") from error
        except UnknownPlace as error:
            raise typer.BadParameter(_as_written(str(error))) from error
        answer = {**asdict(result), "market": _described(market)}
    if as_json:
        print_json(answer)
    else:
        _print_judged(answer, Console(highlight=False))


def recommend_places(
    *,
    vcpu: float,
    memory: float,
    count: int,
    architecture: str,
    types: str,
    zones: str,
    interruption_cost_minutes: float | None,
    burstable: bool | None,
    stack: str | None,
    region: str | None,
    profile: str | None,
    prices: Path | None,
    on_demand: Path | None,
    advisor: Path | None,
    at: datetime | None,
    seed: int,
    as_json: bool,
) -> None:
    """Where instances of this size should run: ranked pools, a plan, and its saving."""
    request = _checked(
        RecommendPools,
        command="recommend",
        vcpu=vcpu,
        memory_gib=memory,
        count=count,
        architecture=architecture,
        types=_listed(types) or ("*",),
        zones=_listed(zones),
        interruption_cost_minutes=interruption_cost_minutes,
        allow_burstable=burstable,
    )
    if stack is not None:
        _refuse_files(prices, on_demand, advisor, at)
        answer = _ask(stack, region, profile, request)
    else:
        from cli.markets_at_rest import market_at_rest

        market = market_at_rest(prices, on_demand, advisor, at, seed)
        try:
            result = recommend(_requirement(request), market.table, Settings())
        except NothingFits as error:
            raise typer.BadParameter(_as_written(str(error))) from error
        answer = {**asdict(result), "market": _described(market)}
    if as_json:
        print_json(answer)
    else:
        _print_recommended(answer, Console(highlight=False))


def _requirement(request: RecommendPools) -> Requirement:
    usual = Settings()
    minutes = request.interruption_cost_minutes
    return Requirement(
        request.vcpu,
        request.memory_gib,
        request.count,
        request.architecture,
        request.types,
        request.zones,
        usual.interruption_cost_minutes if minutes is None else minutes,
        bool(request.allow_burstable),
    )


_NAMES = {
    "instance_type": "INSTANCE_TYPE",
    "availability_zone": "ZONE",
    "engine": "--engine",
    "vcpu": "--vcpu",
    "memory_gib": "--memory",
    "count": "--count",
    "architecture": "--architecture",
    "types": "--types",
    "zones": "--zones",
    "interruption_cost_minutes": "--interruption-cost-minutes",
}
"""Field of a request -> what the user writes on the command line."""


def _checked(contract: Any, **fields: Any) -> Any:
    try:
        return parse(contract, {**fields, "asked_by": getpass.getuser()}, _NAMES)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from error


def _as_written(text: str) -> str:
    """A message about a request's fields, by the names of the command line."""
    return re.sub(r"\b(\w+)(?= = )", lambda found: _NAMES.get(found[1], found[1]), text)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _refuse_files(*given: object) -> None:
    if any(each is not None for each in given):
        raise typer.BadParameter("--stack has a market of its own: omit files and --at")


def _ask(
    stack: str, region: str | None, profile: str | None, request: EvaluatePool | RecommendPools
) -> dict[str, Any]:
    """The answer of the stack's function Command."""
    outputs = outputs_of(stack, region, profile)
    # The call returns when the answer is ready; a retry would record the request twice.
    once = Config(retries={"total_max_attempts": 1}, read_timeout=340)
    try:
        reply = boto3.client("lambda", region_name=region, config=once).invoke(
            FunctionName=outputs["CommandFunction"], Payload=request.model_dump_json().encode()
        )
    except (ClientError, BotoCoreError) as error:
        typer.echo(f"AWS: {error}", err=True)
        raise typer.Exit(code=1) from error
    answer: dict[str, Any] = json.loads(reply["Payload"].read())
    if reply.get("FunctionError"):
        raise typer.BadParameter(_as_written(str(answer.get("errorMessage", answer))))
    return answer


def _print_judged(answer: dict[str, Any], console: Console) -> None:
    where = f"{answer['instance_type']}/{answer['availability_zone']}"
    decision = (
        f"{answer['decision']} {'to ' + answer['target'] if answer['target'] else ''}".strip()
    )
    console.print(f"[bold]{where}[/]  [bold cyan]{decision}[/]  [dim]engine {answer['engine']}[/]")
    console.print(f"  {escape(answer['reason'])}")
    # A stack of release 0.1.0 answers with ``price_usd_per_hour`` alone.
    spot = answer.get("spot_usd_per_hour", answer["price_usd_per_hour"])
    price = (
        f"{_usd(spot)} now, {_usd(answer['forecast_usd_per_hour'])} forecast, "
        f"on-demand {_usd(answer['on_demand_usd_per_hour'])}"
    )
    entered = "yes" if answer["may_be_entered"] else f"no: {answer['why_not']}"
    grid = Table.grid(padding=(0, 2))
    for label, text in (
        ("may be entered", entered),
        ("price", price),
        ("risk", _share(answer["risk"])),
        ("instability", f"{_share(answer['instability_probability'])} (a rise by 3 % within 12 h)"),
        ("hazard", f"{_per_month(answer['hazard_per_hour'])} (an interruption within a month)"),
        ("EC2's signal", f"{answer['signal']} {answer['signal_at'] or ''}".strip()),
        ("market", _market_text(answer["market"])),
    ):
        grid.add_row(f"  {label}", escape(text))
    console.print(grid)


def _print_recommended(answer: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Best of {answer['pools_that_do']} pools", title_justify="left", box=None)
    for name in ("pool", "vCPU", "GiB", "forecast", "expected", "saving", "interrupted a month"):
        table.add_column(name, justify="left" if name == "pool" else "right")
    for pool in answer["pools"]:
        table.add_row(
            f"{pool['instance_type']}/{pool['availability_zone']}",
            f"{pool['vcpu']:g}",
            f"{pool['memory_gib']:g}",
            _usd(pool["price_usd_per_hour"]),
            _usd(pool["expected_usd_per_hour"]),
            f"{100 * pool['saving_fraction']:.0f} %",
            _per_month(pool["hazard_per_hour"]),
        )
    console.print(table)
    console.print(f"[bold]Plan[/] {answer['limits']}")
    for placed in answer["plan"]:
        where = f"{placed['instance_type']}/{placed['availability_zone']}"
        usd = _usd(placed["expected_usd_per_hour"])
        console.print(f"  {placed['count']:>4} x {where}, {usd} per hour")
    if answer["on_demand_count"]:
        console.print(
            f"  {answer['on_demand_count']:>4} x {answer['reference_type']} on-demand: the limits leave "
            "no pool"
        )
    console.print(
        f"[bold]Saving[/] {_usd(answer['saving_usd_per_hour'])} USD per hour, "
        f"{answer['saving_usd_per_month']:.2f} per month ({100 * answer['saving_fraction']:.0f} %) "
        f"against {answer['reference_type']} on-demand at {_usd(answer['on_demand_usd_per_hour'])}",
        soft_wrap=True,
    )
    for reason, number in sorted(answer["rejected"].items()):
        console.print(f"  {number:>5} pools rejected: {escape(reason)}")
    if missing := answer["types_without_price"]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        console.print(
            f"  {len(missing)} types that are large enough have no known spot price: {shown}"
        )
    console.print(f"[dim]{escape(_market_text(answer['market']))}[/]")


def _described(market: "MarketAtRest") -> dict[str, Any]:
    return {"source": market.source, "dropped": dict(market.dropped)}


def _market_text(market: dict[str, Any]) -> str:
    if "source" in market:
        dropped = ", ".join(f"{count} {reason}" for reason, count in market["dropped"].items())
        return f"{market['source']}; dropped: {dropped}" if dropped else str(market["source"])
    stale = ", too old to act upon" if market["stale"] else ""
    return f"{market['pools']} pools, {market['age_minutes']:g} minutes old{stale}"


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _per_month(hazard_per_hour: float | None) -> str:
    """Share of instances interrupted within a month at this rate."""
    if hazard_per_hour is None:
        return "unknown"
    return f"{100 * (1 - math.exp(-MONTH_HOURS * hazard_per_hour)):.0f} %"
