"""The repository is independent of the computer: no registry's address, no absolute path."""

import re

from tests.house.repository import ROOT, repository_files

FORBIDDEN = {
    "an absolute path": re.compile(r"(?<![\w.~/-])/(?:work|root|Users)(?:/|\b(?!-))"),
    "a registry's address": re.compile(
        r"://[^\s/\"']*(?:pypi|pythonhosted|artifactory|devpi|nexus)|/simple/"
        r"|(?:index-url|index_url|find-links|trusted-host)\s*[= ]"
        r"|file:///"
    ),
}


def test_no_file_names_a_registry_or_an_absolute_path() -> None:
    """Registries come from the user's own pip configuration, paths from the checkout."""
    own = "tests/house/test_repository_knows_no_computer.py"
    found = []
    for path in repository_files():
        name = path.relative_to(ROOT).as_posix()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            what = [label for label, pattern in FORBIDDEN.items() if pattern.search(line)]
            if what and name != own:
                found.append(f"{name}:{number} holds {what[0]}: {line.strip()[:100]}")
    assert not found, "\n".join(found)
