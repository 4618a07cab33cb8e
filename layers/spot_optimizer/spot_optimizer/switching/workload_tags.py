"""The tags by which a team configures its workload: one table, one parser."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple, TypeVar

from spot_optimizer.decision.guards.windows import GRAMMAR, InvalidWindow, Window, parse_windows
from spot_optimizer.setting_precedence import settings_from_tags
from spot_optimizer.settings import (
    InvalidSetting,
    Settings,
    allowed_values,
    parse_setting,
    setting_names,
    tag_key,
)
from spot_optimizer.vocabulary import TAG_PREFIX, Mode

_T = TypeVar("_T")

WORKLOAD_ID_CHARACTERS_MAX = 128


class InvalidTags(ValueError):
    """One or more tags are not valid; the text names each with its value and what is allowed."""

    def __init__(self, text: str, valid: "WorkloadTags") -> None:
        super().__init__(text)
        self.valid = valid
        """The tags that are valid; defaults in place of the others."""


class Tag(NamedTuple):
    """One row of the table of tags."""

    name: str
    """Without the prefix ``spot-optimizer:``."""
    allowed: str
    meaning: str
    default: str = ""


TAGS: tuple[Tag, ...] = (
    Tag(
        "managed", "the stack's name, or its parameter ManagedAs", "this stack manages the instance"
    ),
    Tag(
        "workload",
        f"1 to {WORKLOAD_ID_CHARACTERS_MAX} letters, digits, spaces and . _ : / = + @ -",
        "id of the workload, which stays the same with every instance",
        "the instance id",
    ),
    Tag("mode", "auto, manual, off", "act; decide and record only; ignore", "auto"),
    Tag("types", "type names with * and ?, separated by commas", "types to use", "*"),
    Tag(
        "state",
        "stateless",
        "what of the disks survives a switch: nothing (image and volumes are not supported yet)",
        "none: nothing is moved",
    ),
    Tag("standby", "off", "no standby (on-signal and always are not supported yet)", "off"),
    Tag(
        "subnets",
        "subnet ids, separated by commas",
        "the only subnets to launch in",
        "those with the original's route table",
    ),
    Tag(
        "instance-store-may-be-lost",
        "true, false",
        "whether a switch may lose the data on instance store volumes",
        "false",
    ),
    Tag("window", GRAMMAR, "when planned switches may start; failovers do not wait", "any time"),
    Tag(
        "not-before",
        "a date, or a date and time (2026-12-01T06:00, UTC unless it has an offset)",
        "planned switches wait until then; failovers do not",
    ),
)
"""The README's table of tags is printed from here, followed by ``setting_rows``."""


@cache
def setting_rows() -> tuple[Tag, ...]:
    """The tags that override a threshold or flag for one workload, as rows of the same table."""
    rows = []
    for each in fields(Settings):
        if each.name in setting_names(per_workload=True):
            default = str(each.default).lower()
            name = tag_key(each.name).removeprefix(TAG_PREFIX)
            rows.append(Tag(name, allowed_values(each.name), each.metadata["meaning"], default))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class WorkloadTags:
    """The valid tags of one instance."""

    workload_id: str | None
    mode: Mode
    type_globs: tuple[str, ...]
    subnets: tuple[str, ...]
    settings: Settings
    stateless_by_tag: bool
    """Whether the tag says stateless explicitly, not by default."""
    instance_store_may_be_lost: bool
    windows: tuple[Window, ...] = ()
    not_before: datetime | None = None


def parse_tags(tags: Mapping[str, str], base: Settings) -> WorkloadTags:
    """The instance's tags under our prefix, over the stack's settings ``base``.

    Raises InvalidTags with every tag that is unknown or has a value that is not allowed.
    """
    given = {
        key.removeprefix(TAG_PREFIX): value.strip()
        for key, value in tags.items()
        if key.startswith(TAG_PREFIX)
    }
    problems = _unknown(given)

    def take(name: str, parse: Callable[[str], _T], default: _T) -> _T:
        if name not in given:
            return default
        try:
            return parse(given[name])
        except ValueError as error:
            problems.append(str(error))
            return default

    take("standby", _standby, "off")
    parsed = WorkloadTags(
        workload_id=take("workload", _workload_id, None),
        mode=take("mode", _mode, Mode.AUTO),
        type_globs=take("types", _type_globs, ("*",)),
        subnets=take("subnets", _subnets, ()),
        settings=_settings(base, tags, problems),
        stateless_by_tag=take("state", _state, "") == "stateless",
        instance_store_may_be_lost=take("instance-store-may-be-lost", _true_or_false, False),
        windows=take("window", _windows, ()),
        not_before=take("not-before", _not_before, None),
    )
    if problems:
        raise InvalidTags("; ".join(problems), parsed)
    return parsed


@cache
def _known() -> tuple[str, ...]:
    return tuple(tag.name for tag in (*TAGS, *setting_rows()))


def _unknown(given: Mapping[str, str]) -> list[str]:
    known = _known()
    problems = []
    for name in sorted(set(given) - {*known, "switch"}):
        problems.append(
            f"{TAG_PREFIX}{name}: this version has no such tag; known are {', '.join(known)}"
        )
    return problems


def _settings(base: Settings, tags: Mapping[str, str], problems: list[str]) -> Settings:
    wrong = []
    for name in setting_names(per_workload=True):
        if tag_key(name) in tags:
            try:
                parse_setting(name, tags[tag_key(name)], source="tag", per_workload=True)
            except InvalidSetting as error:
                wrong.append(str(error))
    problems += wrong
    if wrong:
        return base
    try:
        return settings_from_tags(base, tags)
    except InvalidSetting as error:
        problems.append(f"tags: {error}")
        return base


def _problem(name: str, value: str, allowed: str) -> ValueError:
    return ValueError(f"{TAG_PREFIX}{name} = '{value}': allowed is {allowed}")


def _workload_id(value: str) -> str:
    if not re.fullmatch(rf"[\w .:/=+@-]{{1,{WORKLOAD_ID_CHARACTERS_MAX}}}", value):
        raise _problem("workload", value, TAGS[1].allowed)
    return value


def _mode(value: str) -> Mode:
    try:
        return Mode(value.lower())
    except ValueError:
        raise _problem("mode", value, "auto, manual or off") from None


def _list(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", value) if part))


def _type_globs(value: str) -> tuple[str, ...]:
    globs = _list(value)
    if not globs or not all(re.fullmatch(r"[a-z0-9*?.-]+", glob) for glob in globs):
        raise _problem("types", value, "type names with * and ?, separated by commas")
    return globs


def _subnets(value: str) -> tuple[str, ...]:
    subnets = _list(value)
    for each in subnets:
        if re.fullmatch(r"[a-z]+\d-az\d+|[a-z]{2}(-[a-z]+)+-\d[a-z]", each):
            kind = "a zone ID" if "-az" in each else "a zone name"
            raise _problem(
                "subnets", value, f"subnet ids such as subnet-0a1b2c3d; '{each}' is {kind}"
            )
    if not subnets or not all(re.fullmatch(r"subnet-[0-9a-f]{8,17}", each) for each in subnets):
        raise _problem("subnets", value, "subnet ids such as subnet-0a1b2c3d, separated by commas")
    return subnets


def _state(value: str) -> str:
    if value.lower() in ("image", "volumes"):
        raise _problem("state", value, f"stateless; '{value}' is not supported yet")
    if value.lower() != "stateless":
        raise _problem("state", value, "stateless")
    return value.lower()


def _standby(value: str) -> str:
    if value.lower() in ("on-signal", "always"):
        raise _problem("standby", value, f"off; '{value}' is not supported yet")
    if value.lower() != "off":
        raise _problem("standby", value, "off")
    return value.lower()


def _true_or_false(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise _problem("instance-store-may-be-lost", value, "true or false")
    return value.lower() == "true"


def _windows(value: str) -> tuple[Window, ...]:
    try:
        return parse_windows(value)
    except InvalidWindow as error:
        raise ValueError(f"{TAG_PREFIX}window = '{value}': {error}") from None


def _not_before(value: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise _problem(
            "not-before", value, "a date such as 2026-12-01, or with a time 2026-12-01T06:00"
        ) from None
    return at if at.utcoffset() is not None else at.replace(tzinfo=UTC)
