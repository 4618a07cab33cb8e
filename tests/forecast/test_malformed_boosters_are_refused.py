"""A booster's text is read before LightGBM reads it: what it would follow blindly is refused in words."""

import gzip
import json
import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spot_optimizer.forecast.booster_text import check_booster_text
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.forecast.model_artifact import BOOSTERS, SHIPPED, UnusableModel

ROWS = np.random.default_rng(1).normal(size=(4, len(FEATURES))).astype(np.float32)


@cache
def shipped() -> dict[str, str]:
    """The texts of the shipped boosters."""
    texts: dict[str, str] = json.loads(gzip.decompress((SHIPPED / BOOSTERS).read_bytes()))
    return {name: text for name, text in texts.items() if name != "form"}


@cache
def small() -> str:
    """The first two trees of a shipped booster."""
    text = shipped()["low_1h"]
    start, second = text.index("Tree=0"), text.index("Tree=1")
    third = text.index("Tree=2")
    return resized(text[:start] + text[start:second] + text[second:third]) + "\nend of trees\n"


def resized(text: str) -> str:
    """The text with the sizes that its trees have."""
    start = text.index("Tree=0")
    end = text.find("\nend of trees")
    body = text[start : end if end > 0 else None]
    blocks = re.split(r"(?=^Tree=)", body, flags=re.M)[1:]
    sizes = " ".join(str(len(block)) for block in blocks)
    header = re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", text[:start])
    return header + body + (text[end:] if end > 0 else "")


def test_shipped_boosters_pass() -> None:
    """Unchanged, whatever training has written."""
    for text in shipped().values():
        assert check_booster_text(text) is text


def test_cut_booster_still_predicts() -> None:
    """What the other tests change is a booster to begin with."""
    assert np.isfinite(load_booster(check_booster_text(small())).predict(ROWS)).all()


def _field(
    name: str, change: Callable[[list[str]], list[str]], tree: int = 1
) -> Callable[[str], str]:
    def apply(text: str) -> str:
        head, marker, rest = text.partition(f"Tree={tree}\n")
        (old,) = re.findall(rf"^{name}=(.*)$", rest.partition("\n\n")[0], re.M)
        new = " ".join(change(old.split(" ")))
        return resized(head + marker + rest.replace(f"{name}={old}", f"{name}={new}", 1))

    return apply


def _first(value: str) -> Callable[[list[str]], list[str]]:
    return lambda values: [value, *values[1:]]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "no trees, or does not end"),
        (lambda text: text.replace("tree_sizes=", "tree_sizes=9"), "does not end where its size"),
        (lambda text: re.sub(r"tree_sizes=\d+ ", "tree_sizes=", text), "tree 0 does not end|Tree="),
        (lambda text: text.replace("max_feature_idx=55", "max_feature_idx=9999999"), "max_feature"),
        (lambda text: text.replace("num_class=1", "num_class=0"), "num_class = '0': allowed is 1"),
        (
            lambda text: text.replace("objective=quantile", "objective=custom"),
            "objective = 'custom'",
        ),
        (lambda text: text.replace("Column_7 ", ""), "feature_names: 55 values, allowed are 56"),
        (lambda text: re.sub(r"\[[^:]*:", "[nan:", text, count=1), "feature_infos: '.nan:"),
        (lambda text: text.replace("version=v4", "version=v4\nversion=v4"), "each once"),
        (
            lambda text: text.replace("\nright_child", "\x0bright_child"),
            r"has '\\x0b': allowed are printable ASCII and line feeds",
        ),
        (lambda text: resized(text.replace("\nleaf_", "\n\nleaf_", 1)), "tree 0: blank lines"),
        (lambda text: resized(text.replace("Tree=1\n", "Tree=1\n\n")), "tree 1: blank lines"),
        (lambda text: resized(re.sub(r"\n+Tree=1", "\nTree=1", text)), "tree 0: blank lines"),
        (lambda text: text + "parameters:\n[boosting: dart]\n", "allowed are feature importances"),
        (_field("num_leaves", _first("0")), "tree 1: num_leaves = '0': allowed is 1 to"),
        (_field("num_leaves", _first("999999999")), "num_leaves"),
        (_field("num_leaves", _first("2")), "values, allowed are"),
        (_field("num_cat", _first("1")), "tree 1: num_cat = '1': allowed is 0"),
        (_field("is_linear", _first("1")), "is_linear"),
        (_field("split_feature", _first("56")), "split_feature = 56: allowed is 0 to 55"),
        (_field("split_feature", _first("-1")), "split_feature = -1"),
        (_field("decision_type", _first("1")), "decision_type = 1: allowed are 0, 2"),
        (_field("left_child", _first("100000")), "left_child = 100000: allowed is"),
        (_field("left_child", _first("-100000")), "left_child = -100000: allowed is"),
        (_field("left_child", _first("0")), "node 0 is reached twice"),
        (_field("right_child", lambda values: values[::-1]), "reached"),
        (_field("leaf_value", _first("nan")), "leaf_value = 'nan': allowed are finite numbers"),
        (_field("leaf_value", _first("1e999")), "leaf_value = '1e999'"),
        (_field("leaf_value", lambda values: values[1:]), "leaf_value: "),
        (_field("threshold", lambda values: [*values, "1"]), "threshold: "),
    ],
)
def test_damage_is_named(damage: Callable[[str], str], says: str) -> None:
    """The message has the tree, the field, the value and what is allowed."""
    damaged = damage(small())
    assert damaged != small()
    with pytest.raises(UnusableModel, match=says):
        check_booster_text(damaged)


@pytest.mark.parametrize(
    "text", [None, 7, ["tree"], "", "tree", "tr\u00e9e\n\nTree=0\n\nend of trees\n"]
)
def test_other_values_than_text_are_refused(text: object) -> None:
    """The JSON around the texts may hold anything."""
    with pytest.raises(UnusableModel):
        check_booster_text(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_change_is_refused_or_harmless(data: st.DataObject) -> None:
    """Lines and numbers are deleted, doubled and replaced: what passes predicts finite numbers."""
    lines = small().split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        name, separator, value = lines[at].partition("=")
        values = value.split(" ")
        number = data.draw(st.integers(0, len(values) - 1))
        other = data.draw(
            st.sampled_from(
                ["", "-1", "0", "1", "30", "31", "nan", "inf", "1e308", "2147483648", "x", "\x0b"]
            )
        )
        kind = data.draw(st.sampled_from(["delete", "double", "replace", "swap", "blank", "join"]))
        if kind == "delete":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "blank":
            lines.insert(at, "")
        elif kind == "join":
            end = data.draw(st.sampled_from(["\x0b", "\x0c", "\x1c", "\r", " "]))
            lines[at : at + 2] = [end.join(lines[at : at + 2])]
        elif kind == "swap":
            lines[at], lines[0] = lines[0], lines[at]
        else:
            values[number] = other
            lines[at] = name + separator + " ".join(values)
    text = "\n".join(lines)
    if "Tree=0" in text and data.draw(st.booleans()):
        text = resized(text)
    try:
        checked = check_booster_text(text)
    except UnusableModel:
        return
    assert np.isfinite(load_booster(checked).predict(ROWS)).all()
