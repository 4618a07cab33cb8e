"""Engines by name: those that come along, and a user's own from a layer that the user adds."""

from collections.abc import Iterable
from importlib.metadata import entry_points

from spot_optimizer.decision.engines.contract import Engine, Engines
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.telemetry import logger

GROUP = "spot_optimizer.engines"
"""Entry points of this group are engines: an object that fits the contract, or a class of such."""


def load_engines(names: Iterable[str]) -> Engines:
    """The engines that come along and those of ``names`` that an entry point provides.

    One that cannot be loaded stands as text that says why; what nobody provides is missing.
    """
    own = {name: _load(name) for name in sorted(set(names) - BUILT_IN.keys())}
    return {**BUILT_IN, **{name: engine for name, engine in own.items() if engine is not None}}


def _load(name: str) -> Engine | str | None:
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        return None
    if len(found) > 1:
        return f"{len(found)} packages provide it: {', '.join(sorted(e.value for e in found))}"
    try:
        loaded = found[0].load()
        engine = loaded() if isinstance(loaded, type) else loaded
    # A user's package may fail in any way while it is imported, sys.exit among them.
    except (Exception, SystemExit) as error:
        logger.exception("engine not loaded", engine=name)
        return f"{found[0].value}: {type(error).__name__}: {error}"
    if not isinstance(engine, Engine):
        return (
            f"{found[0].value} is {type(engine).__name__}; an engine has a name and a judge method"
        )
    return engine
