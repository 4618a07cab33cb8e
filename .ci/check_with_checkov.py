"""Runs checkov on the translated template; fails on a finding without a reason.

    python .ci/check_with_checkov.py CHECKOV

CHECKOV is its command. It runs offline, without the policies of its vendor's platform.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
EXCEPTIONS = Path(__file__).with_name("checkov_exceptions.yaml")


class Finding(NamedTuple):
    """A check that failed, and the resource as checkov names it: ``type.logical id``."""

    check: str
    resource: str
    what: str


def findings(checkov: str) -> list[Finding]:
    """What checkov finds in the translated template."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from simulator.account.translate import translate

    template = translate(ROOT / "template.yaml", {}).template
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "template.json"
        file.write_text(json.dumps(template, indent=1), encoding="utf-8")
        options = [
            "--framework",
            "cloudformation",
            "--skip-download",
            "--quiet",
            "--output",
            "json",
        ]
        answer = subprocess.run(
            [checkov, "--file", str(file), *options],
            capture_output=True,
            text=True,
            env={**os.environ, "LOG_LEVEL": "WARNING"},
        )
    try:
        report = json.loads(answer.stdout)
    except ValueError:
        raise SystemExit(f"checkov failed: {answer.stdout}{answer.stderr}") from None
    if report["summary"]["parsing_errors"] or not report["summary"]["resource_count"]:
        raise SystemExit(f"checkov could not read the template: {report['summary']}")
    return [
        Finding(row["check_id"], row["resource"], row["check_name"])
        for row in report["results"]["failed_checks"]
    ]


def unexplained(found: Iterable[Finding], exceptions: Mapping[str, Any]) -> list[Finding]:
    """The findings that no exception names."""
    return [each for each in found if not any(_named(each, *row) for row in _rows(exceptions))]


def superfluous(found: Iterable[Finding], exceptions: Mapping[str, Any]) -> list[str]:
    """The exceptions that nothing is found for, or that give no reason."""
    seen = list(found)
    return [
        f"{check} on {resource}"
        for check, resource in _rows(exceptions)
        if not exceptions[check]["reason"].strip()
        or not any(_named(each, check, resource) for each in seen)
    ]


def _rows(exceptions: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return [(check, glob) for check, row in exceptions.items() for glob in row["resources"]]


def _named(finding: Finding, check: str, resource: str) -> bool:
    return finding.check == check and fnmatchcase(finding.resource, resource)


def main() -> int:
    """Print what has no reason, and reasons without anything; exit status 1 where there is any."""
    exceptions = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))
    found = findings(sys.argv[1])
    for check, resource, what in unexplained(found, exceptions):
        print(f"{check} {resource}: {what}\n  mend it, or say why not in {EXCEPTIONS.name}")
    for each in superfluous(found, exceptions):
        print(f"{EXCEPTIONS.name}: {each} is not found any more, or has no reason")
    return int(bool(unexplained(found, exceptions) or superfluous(found, exceptions)))


if __name__ == "__main__":
    sys.exit(main())
