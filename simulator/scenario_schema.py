"""What a scenario file may hold, key by key; docs/scenarios.md shows the same as a table."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, PrivateAttr

from simulator.api_calls import ApiCall, parse_call
from simulator.expectations import Expectations
from simulator.limit_table import changed
from simulator.limits import LIMITS, Bucket, Limits
from simulator.scenario import WORKLOADS_MAX, Scenario, Texts, WorkloadSpec
from simulator.scenario_events import Scripted
from simulator.scenario_faults import FaultTable
from simulator.scenario_fields import HOURS_MAX, SUBNETS_MAX, Allowed, Table
from simulator.world.capacity import FAMILY_CLASSES

STARTS_IN = (2000, 2100)
"""Years: what comes before and after a run must be dates, too."""
QUOTA_VCPU_MAX = 1_000_000
RATE_MAX = 1_000_000
QUOTAS = {
    f"{lifecycle}-{quota_class.lower().replace(' ', '-')}-vcpu": (lifecycle, quota_class)
    for lifecycle in ("spot", "on-demand")
    for quota_class in FAMILY_CLASSES
}
"""Keys of `quotas`: name -> (lifecycle, family class)."""


def _moment(value: object) -> object:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        if not STARTS_IN[0] <= value.year < STARTS_IN[1]:
            raise ValueError("too long ago, or too far away")
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _limits(value: Any) -> Limits:
    if not isinstance(value, dict):
        raise ValueError("a mapping is needed")
    return changed(value)


def _quota(name: str) -> tuple[str, str]:
    if name not in QUOTAS:
        raise ValueError(f"{name!r} is none of {', '.join(QUOTAS)}")
    return QUOTAS[name]


def _bucket(value: object) -> Bucket:
    numbers: list[Any] = value if isinstance(value, list) else []
    fits = all(type(n) in (int, float) and 0 < n <= RATE_MAX for n in numbers)
    if len(numbers) != 2 or not fits or numbers[0] < 1:
        raise ValueError(
            f" is not [burst of 1 or more, refill a second above 0], up to {RATE_MAX:,}"
        )
    return Bucket(*numbers)


_A_DATE = f"a date, or date and time, from {STARTS_IN[0]} to {STARTS_IN[1] - 1}"
_ROWS = Allowed(f"1 to {WORKLOADS_MAX}")
_Event = Annotated[Scripted, Field(discriminator="event")]
_Limits = Annotated[
    Limits, PlainValidator(_limits), Allowed("figure: value, as docs/world.md allows")
]
_Vcpu = Annotated[int, Field(ge=0, le=QUOTA_VCPU_MAX)]
_Quotas = Annotated[
    dict[Annotated[tuple[str, str], PlainValidator(_quota)], _Vcpu],
    Allowed("`spot-` or `on-demand-`, a family class, `-vcpu`: a whole number", whole=True),
]
_Rates = Annotated[
    dict[
        Annotated[ApiCall, PlainValidator(parse_call)], Annotated[Bucket, PlainValidator(_bucket)]
    ],
    Allowed("service:Operation: [burst, refill a second]", whole=True),
]


class RecordedFiles(Table):
    """Recorded prices to run on."""

    prices: Annotated[str, Field(min_length=1), Allowed("a path, from the scenario's folder")]
    """Spot prices: parquet, CSV or JSON."""
    on_demand: Annotated[str | None, Allowed("a path, from the scenario's folder")] = None
    """On-demand prices: CSV or JSON."""


class PlannedRun(Table):
    """A whole scenario file: a scenario, its market, and what must be true at the end."""

    schema_version: Literal[1] = Field(validation_alias="schema")
    """Version of this format."""
    shows: Annotated[str, Field(min_length=1)]
    """What it shows, in one line."""
    region: Annotated[str | None, Allowed("a region")] = None
    """Region of the built-in market; a recorded market has its own."""
    start: Annotated[datetime | None, BeforeValidator(_moment), Allowed(_A_DATE)] = None
    """Start of the virtual time, UTC; default: the start of the market."""
    hours: Annotated[float, Field(ge=0.5, le=HOURS_MAX)] = 24
    """Virtual hours to run."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Of market and world; same seed, same run."""
    market: Annotated[RecordedFiles | None, Allowed("`prices` and `on_demand`")] = None
    """Files of a recorded market; default: the built-in market."""
    parameters: Annotated[Texts, Allowed("parameter: value")] = Field(default_factory=dict)
    """Parameters of template.yaml; `DryRun` is true by default."""
    limits: _Limits = LIMITS
    """Rates, times and quotas of AWS that differ from its own."""
    quotas: _Quotas = Field(default_factory=dict)
    """vCPU quotas, such as `spot-standard-vcpu: 64`; default: `quota_vcpu` of the limits."""
    rates: _Rates = Field(default_factory=dict)
    """Token buckets of single operations; default: those of the limits."""
    subnets: Annotated[int, Field(ge=1, le=SUBNETS_MAX)] = 1
    """Subnets in each zone, all with one route table; the first has the most addresses."""
    workloads: Annotated[list[WorkloadSpec], Field(min_length=1, max_length=WORKLOADS_MAX), _ROWS]
    """The user's instances."""
    events: Annotated[list[_Event], Allowed("a list")] = Field(default_factory=list)
    """What is scripted on top of the market."""
    faults: Annotated[list[FaultTable], Allowed("a list")] = Field(default_factory=list)
    """Calls and deliveries that go wrong, each once."""
    expected: Annotated[Expectations, Allowed("expectations")] = Field(
        default=Expectations(), validation_alias="expect"
    )
    """What must be true at the end."""
    _path: Path = PrivateAttr(default=Path("unnamed.yaml"))

    def read_from(self, path: Path) -> Self:
        """The same, with the path of its file."""
        self._path = path
        return self

    @property
    def scenario(self) -> Scenario:
        """What the simulation is made of."""
        return Scenario(
            name=self._path.stem,
            workloads=tuple(spec for row in self.workloads for spec in row.each),
            scripted=tuple(self.events),
            parameters=self.parameters,
            limits=self.limits,
            quotas_vcpu=self.quotas,
            rates=self.rates,
            faults=tuple(row.placed for row in self.faults),
            subnets=self.subnets,
        )

    @property
    def prices(self) -> Path | None:
        """Recorded spot prices; None for the built-in market."""
        return self._path.parent / self.market.prices if self.market else None

    @property
    def on_demand(self) -> Path | None:
        """Recorded on-demand prices, if any."""
        named = self.market.on_demand if self.market else None
        return self._path.parent / named if named else None
