"""One word for one thing, and the field's words: what a reader would stumble over stands nowhere."""

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from tests.house.repository import PACKAGE, ROOT, repository_files

WORDS = {
    r"rescu(e|es|ed|ing)\b": "failover, or an urgent switch",
    r"\bevacuations?\b": "interruption, failover",
    r"\btake-?overs?\b": "failover; a claim is taken over",
    r"\bplanned[ _-]moves?\b": "planned switch",
    r"machines?(?![a-z])(?! learning)": "instance, workload, instance record",
    r"\b(large|small|whole|entire|our|the workload's) fleets?\b": "workloads, inventory",
    r"\bfleets? of (one|\d|ours)": "workloads",
    r"experiences?\b": "pool history",
    r"foretold": "issued forecasts",
    r"belongings?\b": "ownership",
    r"\bpassing (trouble|error|failure|fault)s?\b": "transient",
    r"\bwhat passes by itself\b": "transient errors",
    r"catalogues?\b": "catalog",
    r"left[-_]overs?\b": "leftover",
    r"\banew\b": "again",
    r"\b(bears?|borne|bearing)\b": "has, with, on",
    r"\btold\b|\btells? of\b": "reports, reported; sends an alert",
    r"\bwhere there (is|are|was|were) (none|no)\b": "if there is none",
    r"\b(br(oke|oken|eaks?)|breaking)[ -]off\b": "was interrupted, was aborted",
    r"\btake(s|n)? in\b|\btook in\b": "adopted",
    r"\bc(o|a)m(e|es|ing) along\b": "is bundled; is handed over",
    r"\bsees? to (it|what|the rest)\b": "finishes, rolls back, cleans up",
    r"\b(hears?|heard) of\b": "gets an alert",
    r"\brings?\b": "fires",
    r"\bproven healthy\b": "verified healthy",
    r"\bdear(er|est|ly)?\b": "expensive",
    r"\bspeaks? against\b": "is an obstacle",
    r"\brest of a workload\b": "minimum time between switches",
    r"\b(discount|risk) that is worth\b": "minimum extra discount",
    r"\b(behaviour|colour|favour|honour|labour|neighbour)": "American spelling",
    r"\b(initial|maxim|minim|normal|optim|organ|recogn|serial)is(e|ed|es|ing|ation)\b": "as above",
    r"\bprogrammes?\b|\bcentres?\b|\blicences?\b|\borganisations?\b": "American spelling",
    r"\bspec(ification)? sections?\b|(?<!\w)\(spec[,)]": "the rule itself, or a link",
    r"\bsection \d+ of the spec": "as above",
}
"""Pattern -> what to write instead. Anywhere in a text, upper or lower case."""

NAMES = {
    r"(?i:traffic)": "load balancing, addresses",
    r"take_in\b|taken_in\b|takes_in\b": "adopt",
    r"planned_moves?|spreads_its_moves|moves_of_": "switch",
    r"^_*Members?$": "workload",
    r"^_*Found$": "selection",
    r"^_*(Fleet|read_fleet)$": "inventory",
    r"^price_usd_per_hour$": "spot_usd_per_hour, forecast_usd_per_hour",
    r"^test_what_": "test_<subject>_<claim>",
}
"""The same for identifiers in Python and for names of files."""

_CODE = "layers/spot_optimizer/spot_optimizer"
ALLOWED = (
    (
        "*",
        r"state[ _-]?machines?|time[_-]machine",
        "Step Functions; the library of the virtual clock",
    ),
    ("*", r"platform\.machine|e_machine|machine-readable", "names of libraries"),
    ("*", r"MovesIntoOnePoolFraction|moves_into_one_pool_fraction", "a parameter and a setting"),
    ("*", r"\"take-over\"|action: take-over", "an action of a pinned definition"),
    ("CHANGELOG.md", r"`[^`]*`", "old names beside new ones"),
    ("docs/compatibility.md", r".*", "old names beside new ones"),
    ("simulator/expectations.py", r"\"rescued\"", "a key of scenario files in version 0.1.0"),
    ("simulator/scenario.py", r"\"dearest\"|``dearest``", "a value of scenario files, as above"),
    ("docs/scenarios.md", r"`(rescued|dearest)`", "as above"),
    ("simulator/summary.py", r"\"rescues\"", "a key of `simulate --json` in version 0.1.0"),
    ("backtest/results.py", r"\"dearest\"", "a key of `backtest --json` in version 0.1.0"),
    (f"{_CODE}/switching/stored_digests.py", r"\"licences\"", "a name in stored digests"),
    (f"{_CODE}/forecast/issued_forecasts.py", r"\"foretold\"", "the kind of a stored object"),
    (f"{_CODE}/decision/appraisal.py", r"price_usd_per_hour", "a key of answers in version 0.1.0"),
    (f"{_CODE}/decision/recommendation.py", r"price_usd_per_hour", "as above"),
    (f"{_CODE}/workflow/engine_api_0_1_0.py", r"price_usd_per_hour", "an attribute in 0.1.0"),
    ("tests/decision/test_appraisals_*", r"price_usd_per_hour", "as above"),
    ("tests/decision/test_recommendations_*", r"price_usd_per_hour", "as above"),
    (f"{_CODE}/decision/decision_record.py", r"\"rescue\"|``rescue``", "a key of stored decisions"),
    (f"{_CODE}/contracts/steps.py", r"\"rescue\"|``rescue``", "an action of pinned definitions"),
    ("template.yaml", r"LeftOversFound|MachinesNotLookedAt", "the metric's name in version 0.1.0"),
    (
        "tests/house/test_operations_are_in_place.py",
        r"LeftOversFound|MachinesNotLookedAt",
        "as above",
    ),
    ("*", r"[\"`]rescue[\"`]", "wire name of version 0.1.0: a step's action, a decision's key"),
    (
        "tests/simulation/test_scenario_files_are_checked.py",
        r"dearest|rescued",
        "former spellings in scenario files, which are still read",
    ),
    ("tests/house/test_repository_speaks_the_fields_words.py", r".*", "the words themselves"),
    ("tests/compatibility/*", r".*", "data of version 0.1.0"),
)
"""Files, what may stand there, and why."""

_TEXTS = {".cfg", ".md", ".mk", ".py", ".sh", ".svg", ".toml", ".yaml", ".yml"}


def _texts() -> Iterator[tuple[str, Path]]:
    for path in repository_files():
        if path.suffix in _TEXTS or path.name == "Makefile":
            yield path.relative_to(ROOT).as_posix(), path


@cache
def _stored_names() -> re.Pattern[str]:
    """Old names of fields, which are still written (docs/compatibility.md), where they are quoted."""
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    names = sorted(set(re.findall(r"stored_as\(\s*\"(\w+)\"", sources)))
    return re.compile(rf"[\"'`.](?:{'|'.join(names)})\b" if names else r"(?!)")


def _without_allowed(name: str, line: str) -> str:
    for files, allowed, _ in ALLOWED:
        if fnmatchcase(name, files):
            line = re.sub(allowed, "", line, flags=re.IGNORECASE)
    return _stored_names().sub("", line)


def _offenders(name: str, path: Path) -> Iterator[tuple[str, str, int]]:
    text = path.read_text(encoding="utf-8")
    any_word = re.compile("|".join(WORDS), re.IGNORECASE)
    for number, line in enumerate([name, *text.splitlines()]):
        for pattern, instead in WORDS.items() if any_word.search(line) else ():
            if found := re.search(pattern, _without_allowed(name, line), re.IGNORECASE):
                yield found[0].lower(), instead, number
    identifiers = [(0, part) for part in re.split(r"[/.]", name)]
    if path.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        identifiers += [(t.start[0], t.string) for t in tokens if t.type == tokenize.NAME]
    any_name = re.compile("|".join(NAMES))
    for number, identifier in identifiers:
        for pattern, instead in NAMES.items() if any_name.search(identifier) else ():
            if re.search(pattern, _without_allowed(name, identifier)):
                yield identifier, instead, number


def _listed(name: str, path: Path) -> list[str]:
    lines = defaultdict[tuple[str, str], set[int]](set)
    for word, instead, number in _offenders(name, path):
        lines[word, instead].add(number)
    return [
        f"    {word} (write: {instead}) in {', '.join(map(str, sorted(numbers)))}"
        for (word, instead), numbers in sorted(lines.items())
    ]


def test_no_text_and_no_name_uses_a_word_of_the_list() -> None:
    """All offenders by file, with the lines; line 0 is the file's own name."""
    found = {name: _listed(name, path) for name, path in _texts()}
    text = "\n".join(f"{name}\n" + "\n".join(rows) for name, rows in found.items() if rows)
    assert not text, "\n" + text


def test_every_exception_is_needed() -> None:
    """What no file needs any more goes from the list."""
    lines = [(name, line) for name, path in _texts() for line in path.read_text().splitlines()]
    for files, allowed, _ in ALLOWED:
        if "*" not in files and (ROOT / files).exists():
            pattern = re.compile(allowed, re.IGNORECASE)
            assert any(fnmatchcase(name, files) and pattern.search(line) for name, line in lines), (
                files
            )
