"""Every tag under our prefix is either obeyed or refused with what is allowed."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.settings import Settings, setting_names
from spot_optimizer.switching.workload_tags import (
    TAGS,
    InvalidTags,
    parse_tags,
    setting_rows,
)
from spot_optimizer.vocabulary import Mode

BASE = Settings(cooldown_minutes=20)


def tagged(**tags: str) -> dict[str, str]:
    """Tags under our prefix."""
    return {f"spot-optimizer:{name.replace('_', '-')}": value for name, value in tags.items()}


def test_instance_without_tags_gets_the_defaults() -> None:
    """The stack's settings, every type, automatic, no list of subnets."""
    parsed = parse_tags({"Name": "web", "managed": "x"}, BASE)
    assert parsed.settings == BASE
    assert (parsed.workload_id, parsed.mode, parsed.type_globs) == (None, Mode.AUTO, ("*",))
    assert (parsed.subnets, parsed.stateless_by_tag) == ((), False)
    assert parsed.instance_store_may_be_lost is False


def test_every_tag_is_obeyed() -> None:
    """Values are read without regard to case and blanks."""
    parsed = parse_tags(
        tagged(
            managed="optimizer", workload="team a/web.1", mode=" Manual ", types="m5*, c6i.*",
            state="stateless", standby="off", subnets="subnet-0a1b2c3d,subnet-0123456789abcdef0",
            instance_store_may_be_lost="true", cooldown_minutes="30", auto_terminate="false",
            switch="s",
        ),
        BASE,
    )  # fmt: skip
    assert parsed.workload_id == "team a/web.1"
    assert parsed.mode is Mode.MANUAL
    assert parsed.type_globs == ("m5*", "c6i.*")
    assert parsed.subnets == ("subnet-0a1b2c3d", "subnet-0123456789abcdef0")
    assert parsed.stateless_by_tag
    assert parsed.instance_store_may_be_lost
    assert parsed.settings.cooldown_minutes == 30
    assert parsed.settings.auto_terminate is False


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("mode", "sometimes", "auto, manual or off"),
        ("state", "image", "stateless; 'image' is not supported yet"),
        ("state", "volumes", "not supported yet"),
        ("state", "full", "stateless"),
        ("standby", "always", "'always' is not supported yet"),
        ("standby", "on-signal", "'on-signal' is not supported yet"),
        ("standby", "maybe", "off"),
        ("types", "", "type names"),
        ("types", "m5[ab]", "type names"),
        ("subnets", "use1-az1", "'use1-az1' is a zone ID"),
        ("subnets", "us-east-1a", "'us-east-1a' is a zone name"),
        ("subnets", "us-gov-west-1a", "'us-gov-west-1a' is a zone name"),
        ("subnets", "vpc-1", "subnet ids such as"),
        ("workload", "", "1 to 128"),
        ("workload", "a" * 129, "1 to 128"),
        ("workload", "a;b", "1 to 128"),
        ("instance-store-may-be-lost", "perhaps", "true or false"),
        ("volatility-factor", "huge", "0.1 to 20"),
        ("dry-run", "true", "known are managed"),
        ("color", "blue", "known are managed"),
    ],
)
def test_wrong_tag_is_named_with_its_value_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    """The message has all that is needed to correct it."""
    with pytest.raises(InvalidTags) as caught:
        parse_tags({f"spot-optimizer:{name}": value}, BASE)
    text = str(caught.value)
    assert name in text or name.replace("-", "_") in text
    assert allowed in text
    assert value[:5] in text or name in ("color", "dry-run")


def test_all_wrong_tags_are_named_at_once() -> None:
    """Nobody has to correct one tag per cycle."""
    with pytest.raises(InvalidTags) as caught:
        parse_tags(
            tagged(mode="x", state="y", cooldown_minutes="-1", under_fraction="7", color="z"), BASE
        )
    for word in ("mode", "state", "cooldown_minutes", "under_fraction", "color"):
        assert word in str(caught.value)


def test_thresholds_that_contradict_each_other_are_refused() -> None:
    """Each value may be allowed and the pair still make no sense."""
    with pytest.raises(InvalidTags, match="both too large and too small"):
        parse_tags(tagged(over_cpu_fraction="0.9", under_fraction="0.5"), BASE)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("window", "weekends", "'weekends' is not a window"),
        ("window", "sat 02:00-06:00 Europe/Nowhere", "'Europe/Nowhere' is no time zone"),
        ("not-before", "next week", "a date such as 2026-12-01"),
        (
            "engine",
            "no engine",
            "engine = 'no engine' is not a name; allowed are expected_cost, forecast",
        ),
        ("interruption-cost-minutes", "-1", "not a number from 0 to 10080"),
    ],
)
def test_window_date_and_engine_are_read_or_refused(name: str, value: str, text: str) -> None:
    """A misread window would let a switch start outside of it."""
    with pytest.raises(InvalidTags, match=text):
        parse_tags({f"spot-optimizer:{name}": value}, BASE)


def test_not_before_without_time_zone_is_utc() -> None:
    """A date is its midnight; an offset is kept."""
    for value, at in (
        ("2026-12-01", "2026-12-01T00:00:00+00:00"),
        ("2026-12-01T06:00", "2026-12-01T06:00:00+00:00"),
        ("2026-12-01T06:00+02:00", "2026-12-01T06:00:00+02:00"),
    ):
        not_before = parse_tags(tagged(not_before=value), BASE).not_before
        assert not_before is not None
        assert not_before.isoformat() == at


def test_engine_and_window_override_the_stacks() -> None:
    """A tag counts for its workload alone."""
    parsed = parse_tags(tagged(engine="expected_cost", window="sat 02:00-06:00"), BASE)
    assert (parsed.settings.engine, len(parsed.windows)) == ("expected_cost", 1)


def test_table_lists_every_tag_once() -> None:
    """The README's table and the parser have the same tags."""
    names = [tag.name for tag in (*TAGS, *setting_rows())]
    assert len(names) == len(set(names))
    assert len(setting_rows()) == len(setting_names(per_workload=True))
    assert all(tag.allowed and tag.meaning for tag in (*TAGS, *setting_rows()))


@given(
    tags=st.dictionaries(
        st.sampled_from([tag.name for tag in (*TAGS, *setting_rows())] + ["x"]),
        st.one_of(st.text(max_size=8), st.sampled_from(["auto", "off", "true", "1", "0.5"])),
        max_size=4,
    )
)
def test_any_value_is_either_read_or_refused(tags: dict[str, str]) -> None:
    """No value raises anything but InvalidTags."""
    with suppress(InvalidTags):
        parsed = parse_tags({f"spot-optimizer:{name}": value for name, value in tags.items()}, BASE)
        assert parsed.type_globs
