"""What is said of an option's value that the parser of the command line refuses."""

import re
from datetime import datetime

import typer
from pydantic import ValidationError

from spot_optimizer.contracts.refusals import allowed_by

_EXAMPLE = datetime(2026, 1, 31, 12, 30)


def in_our_words(refused: typer.BadParameter) -> typer.BadParameter:
    """With the value and what is allowed, if the message is the validating library's."""
    if not isinstance(refused.__cause__, ValidationError):
        return refused
    fault = refused.__cause__.errors(include_url=False)[0]
    formats = re.findall(r"'(%[^']*)'", fault["msg"])
    if formats:
        allowed = "a time such as " + " or ".join(_EXAMPLE.strftime(each) for each in formats)
    else:
        allowed = allowed_by(fault)
    return typer.BadParameter(
        f"{fault['input']}: allowed is {allowed}", ctx=refused.ctx, param=refused.param
    )
