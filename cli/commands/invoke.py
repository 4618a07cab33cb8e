"""``spot-optimizer invoke``."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, SeedOption


def invoke(
    function: Annotated[str, typer.Argument(help="Name in functions/, such as command.")],
    event: Annotated[
        Path, typer.Argument(help="A JSON file, such as those in events/.", exists=True)
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a model's files, which are uploaded before the call. Its name is the "
            "version.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Invoke a function of the template in an embedded account, and show what happens afterwards.

    Nothing is called in AWS: for a deployed stack use `aws lambda invoke`. The demo's workloads run for
    18 virtual minutes before the call and for 12 after it. Exit code 1: the function refused the event.
    """

    from cli.invoke import invoke_function

    invoke_function(function=function, event=event, model=model, seed=seed, as_json=as_json)
