"""A deployed stack and its outputs."""

import os
from collections.abc import Mapping
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

StackOption = Annotated[
    str | None, typer.Option(help="Name of a deployed stack; needs AWS credentials.")
]
RegionOption = Annotated[
    str | None, typer.Option(help="Region of --stack; default: that of your AWS configuration.")
]


def outputs_of(stack: str, region: str | None) -> Mapping[str, str]:
    """The stack's outputs; from now on all calls of this process go to its region. A message and
    exit code 2 if there is no such stack."""
    where = region or boto3.session.Session().region_name
    if where is None:
        raise typer.BadParameter("--region: none is given, and your AWS configuration has none")
    os.environ["AWS_REGION"] = where
    try:
        reply = boto3.client("cloudformation", region_name=where).describe_stacks(StackName=stack)
    except (ClientError, BotoCoreError) as error:
        raise typer.BadParameter(f"--stack {stack} in {where}: {error}") from error
    outputs = {o["OutputKey"]: o["OutputValue"] for o in reply["Stacks"][0].get("Outputs", ())}
    missing = {"LedgerTable", "DataBucket", "CommandFunction"} - outputs.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise typer.BadParameter(
            f"--stack {stack} is not a Spot Optimizer stack: outputs {names} are missing"
        )
    return outputs
