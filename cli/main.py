"""Entry point of ``spot-optimizer``."""

import typer

from cli.ask import judge, recommend_pools
from cli.backtest import backtest
from cli.convert import convert
from cli.cost import cost
from cli.evaluate import evaluate
from cli.explain import explain
from cli.invoke import invoke
from cli.simulate import simulate
from cli.soak import soak
from cli.train import train

app = typer.Typer(
    name="spot-optimizer",
    help="Try Spot Optimizer without an AWS account: the real template in an embedded one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command()(simulate)
app.command()(invoke)
app.command()(explain)
app.command()(judge)
app.command("recommend")(recommend_pools)
app.command()(train)
app.command()(evaluate)
app.command()(soak)
app.command()(backtest)
app.command()(cost)
app.command()(convert)
