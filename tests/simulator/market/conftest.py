"""Where the recorded markets are that some claims are checked against."""

import os
from pathlib import Path

import pytest

_BESIDE_THE_CHECKOUT = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def recorded_data() -> Path:
    """The folder of recorded markets; a clone without it skips what needs it."""
    folder = Path(os.environ.get("SPOT_OPTIMIZER_DATA", _BESIDE_THE_CHECKOUT))
    if not (folder / "prices").is_dir():
        pytest.skip(f"no recorded market data in {folder}; set SPOT_OPTIMIZER_DATA to its folder")
    return folder
