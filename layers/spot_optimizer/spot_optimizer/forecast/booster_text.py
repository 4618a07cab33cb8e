"""The text of a LightGBM booster, checked before LightGBM reads it.

LightGBM's parser trusts its input: counts allocate memory, sizes are offsets into the text, indices are
followed without a check (LightGBM, src/io/tree.cpp and gbdt_model_text.cpp). It parses trees in threads
of OpenMP, where even an error that it finds itself aborts the process. No handler survives that.
So an upload is read by this module first, in the lines that LightGBM sees::

    tree                      header: version, number of features, objective, sizes of the trees
    Tree=0 ... Tree=n         one block each: arrays of the inner nodes and of the leaves
    end of trees
    feature_importances:      nothing reads them

What training writes passes: one number per row, no categorical feature, no linear leaves.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.features import FEATURES
from spot_optimizer.forecast.model_artifact import UnusableModel

LEAVES_MAX = 4_096
"""Far more than training grows (31 to 63); bounds the memory of a tree."""
OBJECTIVES = ("binary sigmoid:1", "quantile", "regression", "regression_l1")
_FIXED = {"num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
_HEADER = (
    "version", *_FIXED, "max_feature_idx", "objective", "feature_names", "feature_infos", "tree_sizes",
)  # fmt: skip
_PER_NODE = ("split_gain", "threshold", "internal_value", "internal_weight", "internal_count")
_PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")
_NODE_INDICES = ("split_feature", "decision_type", "left_child", "right_child")
_TREE = (
    "num_leaves", "num_cat", *_NODE_INDICES, *_PER_NODE, *_PER_LEAF, "is_linear", "shrinkage",
)  # fmt: skip
_DECISION_TYPES = (0, 2, 4, 6, 8, 10)
"""Numerical splits: bit 0 is for categorical ones, bit 1 says where missing values go, bits 2 and 3 say
what is missing: nothing, zero or NaN."""
_TRAILER = re.compile(
    r"(|end of trees|feature_importances:|[A-Za-z0-9_]+=\d+|pandas_categorical:null)"
)
_FOREIGN = re.compile(r"[^\n -~]")
"""Python ends lines at characters that LightGBM reads as part of a line, such as a form feed."""
_INFO = re.compile(r"none|\[([^:\]]+):([^:\]]+)\]")
_INTEGERS = re.compile(r"(-?\d{1,9}( -?\d{1,9})*)?")


def check_booster_text(text: object) -> str:
    """The text, if LightGBM can read it without harm.

    Raises UnusableModel that names the tree and field, the value and what is allowed.
    """
    if not isinstance(text, str):
        raise UnusableModel("a booster is not LightGBM's text")
    foreign = _FOREIGN.search(text)
    if foreign:
        raise UnusableModel(
            f"a booster's text has {foreign.group()!a}: allowed are printable ASCII and line feeds"
        )
    start = text.find("\n\nTree=0\n") + 2
    end = text.find("\nend of trees\n")
    if start < 2 or end < start:
        raise UnusableModel("a booster's text has no trees, or does not end with 'end of trees'")
    sizes = _check_header(text[:start])
    _check_trailer(text[end + 1 :])
    at = start
    for number, size in enumerate(sizes):
        block = text[at : at + size]
        at += size
        follows = text.startswith("Tree=", at) or not text[at : end + 1].strip("\n")
        if len(block) != size or at > end + 1 or not follows:
            raise UnusableModel(f"tree_sizes: tree {number} does not end where its size says")
        _check_tree(number, block)
    if at != end + 1 and text[at : end + 1].strip("\n"):
        raise UnusableModel(f"tree_sizes: text follows the {len(sizes)} trees that it names")
    return text


def _check_header(header: str) -> list[int]:
    """The sizes of the trees, in characters."""
    lines = header.splitlines()
    if lines[0] != "tree":
        raise UnusableModel(f"a booster's first line = {_shown(lines[0])}: allowed is tree")
    fields = _fields("the header", [line for line in lines[1:] if line], _HEADER)
    features = len(FEATURES)
    allowed = {
        **_FIXED,
        "max_feature_idx": str(features - 1),
    }
    for name, value in allowed.items():
        if fields[name] != value:
            raise UnusableModel(f"{name} = {_shown(fields[name])}: allowed is {value}")
    if fields["version"] not in ("v3", "v4"):
        raise UnusableModel(f"version = {_shown(fields['version'])}: allowed are v3 and v4")
    if fields["objective"] not in OBJECTIVES:
        raise UnusableModel(
            f"objective = {_shown(fields['objective'])}: allowed are {', '.join(OBJECTIVES)}"
        )
    for name in ("feature_names", "feature_infos"):
        if len(fields[name].split(" ")) != features:
            raise UnusableModel(
                f"{name}: {len(fields[name].split(' '))} values, allowed are {features}"
            )
    for info in fields["feature_infos"].split(" "):
        found = _INFO.fullmatch(info)
        if found is None or not all(map(_is_finite, filter(None, found.groups()))):
            raise UnusableModel(f"feature_infos: {_shown(info)}: allowed are none and [low:high]")
    sizes = _integers("tree_sizes", fields["tree_sizes"])
    if not len(sizes) or int(sizes.min()) < 1:
        raise UnusableModel(
            "tree_sizes: allowed are one or more numbers of characters, each above 0"
        )
    return [int(size) for size in sizes]


def _check_trailer(trailer: str) -> None:
    for line in trailer.splitlines():
        if not _TRAILER.fullmatch(line):
            raise UnusableModel(
                f"after the trees: {_shown(line)}: allowed are feature importances only"
            )


def _check_tree(number: int, block: str) -> None:
    tree = f"tree {number}"
    body, blank, rest = block.partition("\n\n")
    if not blank or rest.strip("\n"):  # LightGBM reads a tree up to the first blank line
        raise UnusableModel(f"{tree}: blank lines: allowed are those that end the tree")
    lines = body.split("\n")
    if lines[0] != f"Tree={number}":
        raise UnusableModel(f"{tree}: begins with {_shown(lines[0])}: allowed is Tree={number}")
    fields = _fields(tree, lines[1:], _TREE)
    leaves = _count(f"{tree}: num_leaves", fields["num_leaves"])
    for name in ("num_cat", "is_linear"):
        if fields[name] != "0":
            raise UnusableModel(f"{tree}: {name} = {_shown(fields[name])}: allowed is 0")
    _floats(f"{tree}: shrinkage", fields["shrinkage"], 1)
    for name in _PER_LEAF:
        _floats(f"{tree}: {name}", fields[name], leaves, may_lack=name != "leaf_value")
    for name in _PER_NODE:
        _floats(f"{tree}: {name}", fields[name], leaves - 1, may_be_inf=name == "threshold")
    indices = {
        name: _integers(f"{tree}: {name}", fields[name], leaves - 1) for name in _NODE_INDICES
    }
    _check_range(f"{tree}: split_feature", indices["split_feature"], 0, len(FEATURES) - 1)
    unknown = set(indices["decision_type"].tolist()) - set(_DECISION_TYPES)
    if unknown:
        allowed = ", ".join(map(str, _DECISION_TYPES))
        raise UnusableModel(f"{tree}: decision_type = {min(unknown)}: allowed are {allowed}")
    _check_children(tree, indices["left_child"], indices["right_child"], leaves)


def _check_children(
    tree: str, left: NDArray[np.int64], right: NDArray[np.int64], leaves: int
) -> None:
    """Inner nodes are numbered from 0, leaves from -1 down. Each must be reached once from node 0."""
    for name, children in (("left_child", left), ("right_child", right)):
        _check_range(f"{tree}: {name}", children, -leaves, leaves - 2)
    seen: set[int] = set()
    todo = [0] if leaves > 1 else [-1]
    while todo:
        node = todo.pop()
        if node in seen:
            raise UnusableModel(f"{tree}: {_node(node)} is reached twice: allowed is once")
        seen.add(node)
        if node >= 0:
            todo += [int(left[node]), int(right[node])]
    if len(seen) != 2 * leaves - 1:
        raise UnusableModel(
            f"{tree}: {len(seen)} nodes and leaves are reached, allowed are all {2 * leaves - 1}"
        )


def _node(number: int) -> str:
    return f"node {number}" if number >= 0 else f"leaf {-number - 1}"


def _fields(where: str, lines: Sequence[str], names: Sequence[str]) -> Mapping[str, str]:
    """Exactly these fields, each once. ``line`` is ``name=value``."""
    found: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.partition("=")
        if not separator or name not in names or name in found:
            raise UnusableModel(
                f"{where}: line {_shown(line)}: allowed are {', '.join(names)}, each once"
            )
        found[name] = value
    missing = [name for name in names if name not in found]
    if missing:
        raise UnusableModel(f"{where}: {', '.join(missing)} missing")
    return found


def _count(what: str, text: str) -> int:
    number = int(text) if re.fullmatch(r"\d{1,6}", text) else 0
    if not 1 <= number <= LEAVES_MAX:
        raise UnusableModel(f"{what} = {_shown(text)}: allowed is 1 to {LEAVES_MAX}")
    return number


def _integers(what: str, text: str, count: int | None = None) -> NDArray[np.int64]:
    if not _INTEGERS.fullmatch(text):
        raise UnusableModel(f"{what} = {_shown(text)}: allowed are whole numbers")
    values = np.array(text.split(" ") if text else [], dtype=np.int64)
    if count is not None and len(values) != count:
        raise UnusableModel(f"{what}: {len(values)} values, allowed are {count}")
    return values


def _floats(
    what: str, text: str, count: int, *, may_lack: bool = False, may_be_inf: bool = False
) -> None:
    """``may_lack``: a tree of one leaf has none. ``may_be_inf``: training writes a threshold above all
    values so."""
    texts = text.split(" ") if text else []
    if len(texts) != count and not (may_lack and count == 1 and not texts):
        raise UnusableModel(f"{what}: {len(texts)} values, allowed are {count}")
    for each in texts:
        if not _is_finite(each) and not (may_be_inf and each == "inf"):
            raise UnusableModel(f"{what} = {_shown(each)}: allowed are finite numbers")


_SUM_STAYS_FINITE = 1e300
"""A forecast is the sum of a leaf of each tree."""
_NUMBER = re.compile(r"-?\d{1,400}(\.\d{1,400})?(e[+-]?\d{1,3})?")


def _is_finite(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and abs(float(text)) < _SUM_STAYS_FINITE


def _check_range(what: str, values: NDArray[np.int64], low: int, high: int) -> None:
    for value in values[(values < low) | (values > high)][:1]:
        raise UnusableModel(f"{what} = {value}: allowed is {low} to {high}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
