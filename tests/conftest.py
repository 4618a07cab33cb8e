"""What all tests share."""

import pytest

from simulator.collector import collect_seldom


def pytest_collection_finish(session: pytest.Session) -> None:
    """Nothing that is loaded for all tests has to be looked through in each of them."""
    del session
    collect_seldom()
