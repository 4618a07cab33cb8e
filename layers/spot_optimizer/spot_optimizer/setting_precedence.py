"""Which source of a setting wins.

Each overrides the one before: the default; the template parameter (``CooldownMinutes``, the environment
variable ``COOLDOWN_MINUTES`` of the functions); a ``set_threshold`` command for the stack; the workload's
tag (``spot-optimizer:cooldown-minutes``); a ``set_threshold`` command for the workload.
"""

from collections.abc import Mapping
from typing import Any

from spot_optimizer.settings import Settings, setting_names, tag_key


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """The stack's settings from the function's environment variables."""
    raw = {n: environment[n.upper()] for n in setting_names() if n.upper() in environment}
    return Settings().merged(raw, source="environment", per_workload=False)


def overridden_for_stack(parameters: Settings, overrides: Mapping[str, Any]) -> Settings:
    """The stack's settings: ``parameters``, overridden by ``set_threshold`` commands for the stack."""
    return parameters.merged(overrides, source="command for the stack", per_workload=False)


def settings_from_tags(base: Settings, tags: Mapping[str, str]) -> Settings:
    """``base``, overridden by the settings among the workload's tags; other tags are ignored."""
    return base.merged(tagged(tags), source="tag", per_workload=True)


def overridden_for_workload(
    tagged_settings: Settings, workload_id: str, overrides: Mapping[str, Any]
) -> Settings:
    """The workload's settings: those with its tags, overridden by commands for the workload."""
    source = f"command for {workload_id}"
    return tagged_settings.merged(overrides, source=source, per_workload=True)


def tagged(tags: Mapping[str, str]) -> dict[str, str]:
    """The settings among a workload's tags: name -> text as written."""
    return {name: tags[tag_key(name)] for name in setting_names() if tag_key(name) in tags}
