"""What all tests share."""

import pytest
from hypothesis import settings

from simulator.collector import collect_seldom

# Time is measured in benchmarks/: a slow host breaks no claim. What fails is printed with the line
# that repeats it.
settings.register_profile("claims", deadline=None, print_blob=True)
settings.load_profile("claims")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Nothing that is loaded for all tests has to be looked through in each of them."""
    del session
    collect_seldom()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured on the way (``record_property("measured", text)``)."""
    measured = [
        text
        for report in terminalreporter.stats.get("passed", [])
        for name, text in report.user_properties
        if name == "measured"
    ]
    if measured:
        terminalreporter.section("measured")
        for text in measured:
            terminalreporter.write_line(str(text))
