"""The bundled engines."""

from collections.abc import Mapping

from spot_optimizer.decision.engines.contract import Engine
from spot_optimizer.decision.engines.expected_cost import EXPECTED_COST
from spot_optimizer.decision.engines.forecast import Forecast
from spot_optimizer.decision.engines.layered import LAYERED
from spot_optimizer.decision.engines.risk_score import RISK_SCORE

BUILT_IN: Mapping[str, Engine] = {
    engine.name: engine for engine in (Forecast(), LAYERED, RISK_SCORE, EXPECTED_COST)
}
