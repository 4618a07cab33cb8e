"""A deployed stack and its outputs."""

import os
from collections.abc import Mapping

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError


def use_profile(profile: str | None) -> None:
    """From now on all calls of this process use this profile of the AWS configuration, if one is given.
    A message and exit code 2 if there is no such profile."""
    if profile is None:
        return
    known = boto3.session.Session().available_profiles
    if profile not in known:
        names = ", ".join(known) or "none, because your AWS configuration has none"
        raise typer.BadParameter(f"--profile {profile} is unknown; allowed are {names}")
    os.environ["AWS_PROFILE"] = profile


def outputs_of(stack: str, region: str | None, profile: str | None) -> Mapping[str, str]:
    """The stack's outputs; from now on all calls of this process go to its region. A message and
    exit code 2 if there is no such stack."""
    use_profile(profile)
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
