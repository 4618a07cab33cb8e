"""LightGBM boosters. Only this module imports LightGBM, and only on loading: it takes a second."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.forecast.model_artifact import UnusableModel
from spot_optimizer.market.prices import Floats

_THREADS = 1


class Booster:
    """A LightGBM model read from its text."""

    def __init__(self, text: str) -> None:
        import lightgbm

        try:
            self._booster: Any = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise UnusableModel(f"a booster's text cannot be read: {error}") from error
        self._fails: type[Exception] = lightgbm.basic.LightGBMError

    def predict(self, rows: NDArray[np.float32]) -> Floats:
        """See ``Predictor.predict``. Raises UnusableModel, such as for a different number of columns."""
        if not len(rows):
            return np.empty(0)
        try:
            predicted = self._booster.predict(rows, num_threads=_THREADS, validate_features=False)
        except self._fails as error:
            raise UnusableModel(f"a booster cannot predict: {error}") from error
        return np.asarray(predicted, dtype=np.float64)


def load_booster(text: str) -> Booster:
    """Load a booster. Raises UnusableModel, also if LightGBM itself cannot be imported."""
    try:
        return Booster(text)
    except ImportError as error:
        raise UnusableModel(f"lightgbm cannot be imported: {error}") from error
    except OSError as error:  # a library that LightGBM needs is missing, such as libgomp
        raise UnusableModel(f"lightgbm cannot be loaded: {error}") from error
