"""Environment variables that the template gives to a function."""

import os
from dataclasses import dataclass

from spot_optimizer.setting_precedence import settings_from_environment
from spot_optimizer.settings import InvalidSetting, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnvironment:
    """What a step of a switch needs. Nothing in it comes from a parameter: a version of the function is
    published for new code only, so a version would keep the parameters of a bad deployment."""

    stack_name: str
    ledger_table: str
    bus_name: str
    alert_topic_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(StepEnvironment):
    """Names of the stack's resources and its settings."""

    region: str
    data_bucket: str
    retention_days: int
    subnet_ids: tuple[str, ...]
    switch_instance_arn: str
    fail_over_arn: str
    decide_function: str
    refresh_function: str
    settings: Settings
    require_state_tag: bool = False
    """Whether the rule of workloads that were adopted before the tag ``state`` was demanded has ended. No
    setting: older code would refuse a command that sets it."""


def read_step_environment() -> StepEnvironment:
    """The environment of a step. Raises KeyError naming what is missing."""
    env = os.environ
    return StepEnvironment(
        stack_name=env["STACK_NAME"],
        ledger_table=env["LEDGER_TABLE"],
        bus_name=env["BUS_NAME"],
        alert_topic_arn=env["ALERT_TOPIC_ARN"],
    )


def read_environment() -> Environment:
    """The environment of this function. Raises KeyError or InvalidSetting naming what is wrong."""
    env = os.environ
    settings = settings_from_environment(env)
    cycle_minutes = int(env["CYCLE_MINUTES"])
    if settings.snapshot_age_minutes_max < cycle_minutes:
        raise InvalidSetting(
            f"SnapshotAgeMinutesMax = {settings.snapshot_age_minutes_max:g} must not be below"
            f" CycleMinutes = {cycle_minutes}: prices are collected once a cycle, and with older"
            " prices every workload stays where it is"
        )
    return Environment(
        stack_name=env["STACK_NAME"],
        region=env["AWS_REGION"],
        ledger_table=env["LEDGER_TABLE"],
        data_bucket=env["DATA_BUCKET"],
        bus_name=env["BUS_NAME"],
        alert_topic_arn=env["ALERT_TOPIC_ARN"],
        retention_days=int(env["RETENTION_DAYS"]),
        # Without their common prefix, a hundred of them fit into the environment beside the settings.
        subnet_ids=tuple(f"subnet-{s}" for s in env["SUBNET_IDS"].split(",") if s),
        switch_instance_arn=env.get("SWITCH_INSTANCE_ARN", ""),
        fail_over_arn=env.get("FAIL_OVER_ARN", ""),
        decide_function=env.get("DECIDE_FUNCTION", ""),
        refresh_function=env.get("REFRESH_FUNCTION", ""),
        settings=settings,
        require_state_tag=env.get("REQUIRE_STATE_TAG", "false") == "true",
    )
