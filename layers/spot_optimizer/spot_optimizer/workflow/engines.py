"""Engines by name: the bundled ones, and a user's own from a layer that the user adds."""

from collections.abc import Iterable
from importlib.metadata import entry_points

from spot_optimizer.decision.engines.contract import Engine, Engines
from spot_optimizer.decision.engines.registry import BUILT_IN
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.engine_api_0_1_0 import provide_old_names

GROUP = "spot_optimizer.engines"
"""Entry points of this group are engines: an object that fulfills the contract, or its class."""


class UnknownEngine(ValueError):
    """There is no engine of that name, or it cannot be loaded; the text says which and why."""


def require_engines(names: Iterable[str]) -> Engines:
    """As :func:`load_engines`, for names that a user has just written. Raises UnknownEngine."""
    wanted = tuple(names)
    engines = load_engines(wanted)
    for name in wanted:
        found = engines.get(name)
        if found is None:
            raise UnknownEngine(
                f"{name}: there is no such engine; allowed are {', '.join(BUILT_IN)}, and those of"
                " installed packages"
            )
        if isinstance(found, str):
            raise UnknownEngine(f"{name}: {found}")
    return engines


def load_engines(names: Iterable[str]) -> Engines:
    """All bundled engines, and those of ``names`` that an entry point provides.

    For an engine that cannot be loaded, the value is a text that says why. An engine that no entry point
    provides is missing.
    """
    own = {name: _load(name) for name in sorted(set(names) - BUILT_IN.keys())}
    return {**BUILT_IN, **{name: engine for name, engine in own.items() if engine is not None}}


def _load(name: str) -> Engine | str | None:
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        return None
    if len(found) > 1:
        return f"{len(found)} packages provide it: {', '.join(sorted(e.value for e in found))}"
    provide_old_names()
    try:
        loaded = found[0].load()
        engine = loaded() if isinstance(loaded, type) else loaded
    # A user's package may fail in any way during its import, also with sys.exit.
    except (Exception, SystemExit) as error:
        logger.exception("engine not loaded", engine=name)
        return f"{found[0].value}: {type(error).__name__}: {error}"
    if not isinstance(engine, Engine):
        return (
            f"{found[0].value} is {type(engine).__name__}; an engine has a name and a judge method"
        )
    return engine
