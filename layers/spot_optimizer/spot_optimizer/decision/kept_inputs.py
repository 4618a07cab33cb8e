"""The inputs of one cycle as they are stored: enough to make the same decisions again.

Market and catalog are large and have objects of their own: they are referenced by name. Of the settings
only values that override defaults are stored, by source.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from spot_optimizer.codec import (
    DamagedState,
    pack_json,
    unpack_json,
)
from spot_optimizer.decision.pool_history import PoolEvent
from spot_optimizer.decision.world import (
    Force,
    StackState,
    WorkloadView,
    World,
    in_trial,
)
from spot_optimizer.market.catalog import Catalog
from spot_optimizer.market.snapshot import MarketSnapshot
from spot_optimizer.settings import InvalidSetting, Settings, tag_key
from spot_optimizer.vocabulary import Pool

_KIND, _VERSION = "decision-inputs", 1
_VIEW: TypeAdapter[WorkloadView] = TypeAdapter(WorkloadView)
_STACK: TypeAdapter[StackState] = TypeAdapter(StackState)
_EVENTS: TypeAdapter[tuple[PoolEvent, ...]] = TypeAdapter(tuple[PoolEvent, ...])
_FORCES: TypeAdapter[dict[str, Force]] = TypeAdapter(dict[str, Force])

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SettingLayers:
    """Settings by source, name -> value as given; each layer overrides the one before."""

    parameters: Raw = field(default_factory=dict)
    """Template parameters that differ from their defaults."""
    stack: Raw = field(default_factory=dict)
    """Set by command for the whole stack."""
    tags: Mapping[str, Raw] = field(default_factory=dict)
    """Workload id -> settings among its tags."""
    workloads: Mapping[str, Raw] = field(default_factory=dict)
    """Workload id -> set by command for the workload."""

    def settings_of(self, workload_id: str) -> Settings:
        """The settings in force for the workload. Raises InvalidSetting."""
        settings = Settings()
        for source, raw in self._of(workload_id):
            settings = settings.merged(raw, source=source, per_workload=False)
        return settings

    def source_of(self, workload_id: str, name: str) -> str:
        """Where the value of a setting comes from, in words."""
        parameter = "".join(part.capitalize() for part in name.split("_"))
        sources = {
            "parameter": f"parameter {parameter}",
            "stack": "command for the stack",
            "tag": f"tag {tag_key(name)}",
            "workload": "command for the workload",
        }
        layers = [source for source, raw in self._of(workload_id) if name in raw]
        return sources[layers[-1]] if layers else f"parameter {parameter} (default)"

    def _of(self, workload_id: str) -> list[tuple[str, Raw]]:
        return [
            ("parameter", self.parameters),
            ("stack", self.stack),
            ("tag", self.tags.get(workload_id, {})),
            ("workload", self.workloads.get(workload_id, {})),
        ]


def parameters_of(settings: Settings) -> dict[str, Any]:
    """The settings of a stack that differ from the defaults."""
    usual = Settings()
    return {
        f.name: getattr(settings, f.name)
        for f in fields(Settings)
        if getattr(settings, f.name) != getattr(usual, f.name)
    }


@dataclass(frozen=True, slots=True)
class TrialMarket:
    """The market snapshot that a trial's model forecast, and for which workloads it decided."""

    version: str
    share: float
    market_id: str


@dataclass(frozen=True, slots=True)
class KeptInputs:
    """The inputs of one cycle without market and catalog."""

    at: datetime
    region: str
    market_id: str
    """Name of the market snapshot; empty if there was none."""
    catalog_id: str
    layers: SettingLayers
    world: World
    """Without market, and with an empty catalog: see ``with_market``."""
    trial: TrialMarket | None = None

    def market_of(self, workload_id: str) -> str:
        """Name of the market snapshot that the workload was judged by; empty if there was none."""
        trial = self.trial
        if trial is not None and in_trial(trial.version, trial.share, workload_id):
            return trial.market_id
        return self.market_id

    def with_market(self, market: MarketSnapshot | None, catalog: Catalog) -> World:
        """The complete inputs."""
        world = self.world
        return World(
            world.workloads,
            market,
            catalog,
            world.stack,
            world.force,
            world.refusals,
            world.interruptions,
        )


def inputs_to_bytes(
    world: World,
    at: datetime,
    region: str,
    *,
    market_id: str,
    catalog_id: str,
    layers: SettingLayers,
    trial: TrialMarket | None = None,
) -> bytes:
    """Gzipped JSON. The settings in ``world`` must be those that ``layers`` result in."""
    return pack_json(
        _KIND,
        _VERSION,
        {
            "at": at.isoformat(),
            "region": region,
            "market": market_id,
            "catalog": catalog_id,
            "settings": asdict(layers),
            "trial": asdict(trial) if trial else None,
            "stack": _STACK.dump_python(world.stack, mode="json"),
            "force": _FORCES.dump_python(dict(world.force), mode="json"),
            "refusals": _EVENTS.dump_python(world.refusals, mode="json"),
            "interruptions": _EVENTS.dump_python(world.interruptions, mode="json"),
            "workloads": [_plain(view) for view in world.workloads],
        },
    )


def inputs_from_bytes(data: bytes) -> KeptInputs:
    """What ``inputs_to_bytes`` wrote. Raises DamagedState."""
    body = unpack_json(data, _KIND, _VERSION)
    try:
        layers = SettingLayers(**body["settings"])
        world = World(
            workloads=tuple(_view(row, layers) for row in body["workloads"]),
            market=None,
            catalog=Catalog({}, {}, {}),
            stack=_STACK.validate_python(body["stack"]),
            force=_FORCES.validate_python(body["force"]),
            refusals=_EVENTS.validate_python(body["refusals"]),
            interruptions=_EVENTS.validate_python(body["interruptions"]),
        )
        return KeptInputs(
            datetime.fromisoformat(body["at"]),
            body["region"],
            body["market"],
            body["catalog"],
            layers,
            world,
            TrialMarket(**body["trial"]) if body["trial"] else None,
        )
    except (KeyError, TypeError, ValueError, ValidationError, InvalidSetting) as error:
        raise DamagedState(f"{_KIND}: a field is missing or of another type ({error})") from error


def _plain(view: WorkloadView) -> dict[str, Any]:
    row: dict[str, Any] = _VIEW.dump_python(
        view, mode="json", exclude_defaults=True, exclude={"settings", "signals", "subnets"}
    )
    if view.subnets:
        row["subnets"] = {zone: _plain_subnets(ids) for zone, ids in view.subnets.items()}
    # Keys of JSON objects are text.
    signals = [[*pool, at.isoformat()] for pool, at in view.signals.items()]
    return {**row, "signals": signals} if signals else row


def _view(row: dict[str, Any], layers: SettingLayers) -> WorkloadView:
    signals = {Pool(name, zone): at for name, zone, at in row.get("signals", ())}
    subnets = {
        zone: (ids,) if isinstance(ids, str) else ids
        for zone, ids in row.get("subnets", {}).items()
    }
    settings = layers.settings_of(row["workload_id"])
    return _VIEW.validate_python(
        {**row, "subnets": subnets, "signals": signals, "settings": settings}
    )


def _plain_subnets(ids: tuple[str, ...]) -> str | list[str]:
    """Text for one subnet: release 0.1.0 reads only that."""
    return ids[0] if len(ids) == 1 else list(ids)
