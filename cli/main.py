"""Entry point of ``spot-optimizer``.

Only options and help are imported here; a command imports its work when it runs.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.commands.backtest import backtest
from cli.commands.convert import convert
from cli.commands.cost import cost
from cli.commands.evaluate import evaluate
from cli.commands.explain import explain
from cli.commands.invoke import invoke
from cli.commands.judge import judge
from cli.commands.recommend import recommend_pools
from cli.commands.simulate import simulate
from cli.commands.soak import soak
from cli.commands.train import train

_TRY = "Try it without an AWS account"
_ASK = "Ask a deployed stack, or a file"
_MODELS = "Forecasting models"
_PRODUCT = "Test and measure the product"


@dataclass(frozen=True)
class Command:
    """A command of the group, and how it is shown."""

    name: str
    function: Callable[..., None]
    group: str
    extra: str
    """What to install if a module is missing; the base has what it needs otherwise."""
    example: str


COMMANDS = (
    Command("simulate", simulate, _TRY, "simulator", "simulate demo --report run.html"),
    Command("invoke", invoke, _TRY, "simulator", "invoke command events/command/evaluate.json"),
    Command("backtest", backtest, _TRY, "backtest", "backtest --region eu-west-1"),
    Command("explain", explain, _ASK, "simulator", "explain web-shop --stack spot-optimizer"),
    Command("judge", judge, _ASK, "simulator", "judge m5.large us-east-1a --stack spot-optimizer"),
    Command("recommend", recommend_pools, _ASK, "simulator", "recommend --vcpu 2 --memory 8"),
    Command("convert", convert, _ASK, "backtest", "convert prices.parquet prices.csv.gz"),
    Command("train", train, _MODELS, "train", "train --prices prices.parquet --out my-model"),
    Command("evaluate", evaluate, _MODELS, "train", "evaluate --prices prices.parquet"),
    Command("soak", soak, _PRODUCT, "simulator", "soak --trial failover --seed 7"),
    Command("cost", cost, _PRODUCT, "simulator", "cost --workloads 100"),
)


_OURS = frozenset({"backtest", "cli", "models", "price_files", "simulator", "spot_optimizer"})


class _Commands(TyperGroup):
    """Says what is allowed of a refused option, and what to install if something is missing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from cli.refused_options import in_our_words

            raise in_our_words(error) from error
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OURS:
                raise
            command = next(c for c in COMMANDS if c.name == ctx.invoked_subcommand)
            of_files = error.name == "pyarrow" and command.extra == "simulator"
            extra = "backtest" if of_files else command.extra
            what = f"{error.name}: pip install 'spot-optimizer[{extra}]'"
            typer.echo(f"{command.name} needs {what}", err=True)
            raise typer.Exit(code=1) from error
        except OSError as error:
            if "libgomp" not in str(error):
                raise
            what = "the system's libgomp: apt-get install libgomp1, or dnf install libgomp"
            typer.echo(f"{ctx.invoked_subcommand} needs {what}", err=True)
            raise typer.Exit(code=1) from error


app = typer.Typer(
    name="spot-optimizer",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _each in COMMANDS:
    app.command(
        _each.name, rich_help_panel=_each.group, epilog=f"Example: spot-optimizer {_each.example}"
    )(_each.function)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spot-optimizer {importlib.metadata.version('spot-optimizer')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Spot Optimizer keeps EC2 workloads on the best spot pool."""
