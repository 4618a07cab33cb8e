"""Models and lessons that cannot be read are reported as unusable and never used in part."""

import hashlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from spot_optimizer.codec import DamagedState, pack_json
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.daily_lessons import Lessons, has_enough_history
from spot_optimizer.forecast.groups import size_of
from spot_optimizer.forecast.model_artifact import (
    BOOSTERS,
    CALIBRATION,
    METADATA,
    SHIPPED,
    UnusableModel,
    load_model,
)
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.vocabulary import Pool


def _with(name: str, body: bytes) -> Callable[[str], bytes]:
    """Reads the shipped model with one file replaced and its checksum corrected in the metadata."""
    old = hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest()
    metadata = (SHIPPED / METADATA).read_text().replace(old, hashlib.sha256(body).hexdigest())
    bodies = {name: body, METADATA: metadata.encode()}
    return lambda wanted: bodies.get(wanted) or (SHIPPED / wanted).read_bytes()


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        (BOOSTERS, pack_json("boosters", 1, {"change_1h": "tree"}), "move_1h.* missing"),
        (BOOSTERS, pack_json("trees", 1, {}), "stored form is 'trees/1'"),
        (BOOSTERS, b"no gzip", "not gzipped JSON"),
        (CALIBRATION, b"no archive", "not an npz archive"),
    ],
)
def test_files_with_wrong_content_make_the_model_unusable(
    name: str, body: bytes, message: str
) -> None:
    """The checksum is right, the content is not."""
    with pytest.raises(UnusableModel, match=message):
        load_model(_with(name, body), lambda text: SimpleNamespace(predict=text))


def _lightgbm(error: type[Exception]) -> ModuleType:
    """A library whose boosters raise ``error`` on reading."""
    module = ModuleType("lightgbm")

    def booster(model_str: str) -> None:
        raise error(model_str)

    vars(module).update(Booster=booster, basic=SimpleNamespace(LightGBMError=KeyError))
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, "lightgbm cannot be imported"),
        (_lightgbm(KeyError), "a booster's text cannot be read"),
        (_lightgbm(OSError), "lightgbm cannot be loaded"),
    ],
    ids=["missing", "text", "libgomp"],
)
def test_broken_lightgbm_makes_the_model_unusable(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | None, message: str
) -> None:
    """It is missing, lacks its own libraries, or refuses the text."""
    monkeypatch.setitem(sys.modules, "lightgbm", module)
    with pytest.raises(UnusableModel, match=message):
        load_booster("tree")


@pytest.mark.parametrize("line", [b"no json", b'{"model": "m"}', b"[1]"])
def test_lessons_without_a_head_are_damaged(line: bytes) -> None:
    """The first line names the model that they belong to."""
    with pytest.raises(DamagedState, match="the first line cannot be read"):
        Lessons.from_bytes(line + b"\nrest")


def test_market_without_pools_has_too_little_history_for_a_lesson() -> None:
    """There is no median to compute."""
    assert not has_enough_history(PriceChanges(), 1_772_409_600)


def test_size_of_metal_is_unknown() -> None:
    """Sizes double from name to name; metal is not one of them."""
    assert size_of(Pool("m5.2xlarge", "us-east-1a")) == 4
    assert np.isnan(size_of(Pool("m5.metal", "us-east-1a")))
