"""What may stand in a scenario file, key by key; README.md shows the same as a table."""

from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from itertools import pairwise
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
)

from simulator.api_calls import ApiCall, parse_call
from simulator.faults.kinds import FaultKind
from simulator.limit_table import InvalidLimit, changed
from simulator.limits import LIMITS, Bucket, Limits
from simulator.scenario import Curve
from simulator.world.capacity import FAMILY_CLASSES
from simulator.world.catalog import instance_types
from spot_optimizer.contracts.boundary import InvalidRequest, parse
from spot_optimizer.contracts.command import CommandRequest

HOURS_MAX = 24 * 90
WORKLOADS_MAX = 100
STARTS_IN = (2000, 2100)
"""Years: what comes before and after a run must be dates, too."""
QUOTA_VCPU_MAX = 1_000_000
RATE_MAX = 1_000_000
OCCURRENCE_MAX = 100_000
LATE_SECONDS_MAX = 100_000
"""More than a day: EventBridge gives up then, and so does who listens."""


class Key(NamedTuple):
    """What people are told of a key."""

    allowed: str
    meaning: str


class Table(BaseModel):
    """A mapping of the file: types are taken as they stand, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


# --- values --------------------------------------------------------------------------------------


def _known_type(name: str) -> str:
    if name not in instance_types():
        raise ValueError("unknown type")
    return name


def _known_types(pattern: str) -> str:
    if not any(fnmatchcase(name, pattern) for name in instance_types()):
        raise ValueError("no type is meant")
    return pattern


def _curve(value: object) -> Curve:
    points = [[0.0, value]] if not isinstance(value, list) else value
    rows = [tuple(point) for point in points if isinstance(point, list)]
    numbers = [n for row in rows for n in row if type(n) in (int, float) and isfinite(n) and n >= 0]
    hours = [row[0] for row in rows if len(row) == 2]
    if not points or len(hours) != len(points) or len(numbers) != 2 * len(points):
        raise ValueError("no curve")
    if any(left >= right for left, right in pairwise(hours)):
        raise ValueError("hours must rise")
    return Curve(tuple((float(hour), float(demand)) for hour, demand in rows))


def _as_text(value: object) -> object:
    """Tags and parameters are text in AWS; YAML writes numbers and truth without quotes."""
    return {k: _word(v) for k, v in value.items()} if isinstance(value, dict) else value


def _word(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _moment(value: object) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise ValueError("no time")
    if not STARTS_IN[0] <= value.year < STARTS_IN[1]:
        raise ValueError("too long ago, or too far away")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _count(value: Any) -> tuple[int, int]:
    bounds: list[Any] = value if isinstance(value, list) else [value, value]
    if len(bounds) != 2 or any(type(n) is not int or n < 0 for n in bounds):
        raise ValueError("no count")
    if bounds[0] > bounds[1]:
        raise ValueError("empty range")
    return bounds[0], bounds[1]


def quota_names() -> dict[str, tuple[str, str]]:
    """Keys of `quotas`: name -> (lifecycle, family class)."""
    return {
        f"{lifecycle}-{quota_class.lower().replace(' ', '-')}-vcpu": (lifecycle, quota_class)
        for lifecycle in ("spot", "on-demand")
        for quota_class in FAMILY_CLASSES
    }


def _quotas(value: object) -> dict[tuple[str, str], int]:
    if not isinstance(value, dict):
        raise ValueError("a mapping is needed")
    names = quota_names()
    for name, count in value.items():
        if name not in names:
            raise ValueError(f"{name!r} is none of {', '.join(names)}")
        if type(count) is not int or not 0 <= count <= QUOTA_VCPU_MAX:
            raise ValueError(f"{name} = {count!r} is no whole number of 0 to {QUOTA_VCPU_MAX:,}")
    return {names[name]: count for name, count in value.items()}


def _limits(value: object) -> Limits:
    if not isinstance(value, dict):
        raise ValueError("a mapping is needed")
    try:
        return changed(value)
    except InvalidLimit as error:
        raise ValueError(str(error)) from error


def _rates(value: object) -> dict[ApiCall, Bucket]:
    if not isinstance(value, dict):
        raise ValueError("a mapping is needed")
    return {parse_call(name): _bucket(name, numbers) for name, numbers in value.items()}


def _bucket(name: str, value: object) -> Bucket:
    numbers: list[Any] = value if isinstance(value, list) else []
    fits = all(type(n) in (int, float) and 0 < n <= RATE_MAX for n in numbers)
    if len(numbers) != 2 or not fits or numbers[0] < 1:
        raise ValueError(
            f"{name} = {value!r} is not [burst of 1 or more, refill a second above 0],"
            f" up to {RATE_MAX:,}"
        )
    return Bucket(*numbers)


def _kind_of_fault(value: object) -> FaultKind:
    if value not in tuple(FaultKind):
        raise ValueError("unknown kind")
    return FaultKind(str(value))


def _request(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a mapping is needed")
    try:
        parse(CommandRequest, value)
    except InvalidRequest as error:
        raise ValueError(str(error)) from error
    return dict(value)


_Text = Annotated[dict[str, str], BeforeValidator(_as_text)]
_Demand = Annotated[Curve, PlainValidator(_curve)]
_Limits = Annotated[Limits, PlainValidator(_limits)]
_Quotas = Annotated[dict[tuple[str, str], int], PlainValidator(_quotas)]
_Rates = Annotated[dict[ApiCall, Bucket], PlainValidator(_rates)]
_Call = Annotated[ApiCall, PlainValidator(parse_call)]
_FaultKind = Annotated[FaultKind, PlainValidator(_kind_of_fault)]
_Count = Annotated[tuple[int, int], PlainValidator(_count)]
_Hour = Annotated[float, Field(ge=0, le=HOURS_MAX)]
_Lifecycle = Literal["spot", "on-demand"]
_Kind = Literal["STAY", "SWITCH", "FALLBACK"]
_Effect = Literal["EVACUATE", "DRAIN", "RECORDED"]
_Breaker = Literal["open", "closed"]

_CURVE = "a number, or a list of [hour, value] with rising hours, straight in between"
_GLOB = "a type name with * and ?"
_ZONE_GLOB = "a zone name with * and ?"
_COUNT = "a number, or [least, most]"


AtKey = Key(f"0 to {HOURS_MAX}, before `hours`", "hours since the start at which it happens")
UntilKey = Key("hours after `at`", "hours since the start at which it ends; left out: never")
TypesKey = Key(_GLOB, "instance types that are meant")
ZonesKey = Key(_ZONE_GLOB, "availability zones that are meant")
WhoKey = Key("a workload's name", "the workload that is meant")


# --- workloads and market ------------------------------------------------------------------------


class RecordedFiles(Table):
    """Recorded prices to run on."""

    prices: Annotated[
        str,
        Field(min_length=1),
        Key("a path, from the scenario's folder", "spot prices: parquet, CSV or JSON"),
    ]
    on_demand: Annotated[
        str | None, Key("a path, from the scenario's folder", "on-demand prices: CSV or JSON")
    ] = None


class WorkloadTable(Table):
    """One machine of the user's."""

    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9-]{0,27}$"),
        Key("1 to 28 of a-z, 0-9 and -", "its Name tag and workload id"),
    ]
    shows: Annotated[str, Key("text", "what it is there to show")] = ""
    count: Annotated[
        int,
        Field(ge=1, le=WORKLOADS_MAX),
        Key(f"1 to {WORKLOADS_MAX}", "so many alike, named `name-01` and on if there are several"),
    ] = 1
    type: Annotated[
        str, AfterValidator(_known_type), Key("an instance type", "what it runs on at first")
    ]
    lifecycle: Annotated[_Lifecycle, Key("spot, on-demand", "how it is bought at first")]
    zone: Annotated[
        str,
        Key(
            "cheapest, dearest, or a zone name",
            "where it runs at first: by the price of its type, or by name",
        ),
    ] = "cheapest"
    cpu_vcpu: Annotated[_Demand, Key(_CURVE, "vCPUs that it uses")]
    memory_gib: Annotated[
        _Demand | None, Key(_CURVE, "GiB that it uses; left out: no agent reports memory")
    ] = None
    tags: Annotated[
        _Text,
        Key("tag: value", "tags without `spot-optimizer:`; `managed` and `workload` are added"),
    ] = {}
    other_tags: Annotated[_Text, Key("tag: value", "tags that are not ours")] = {}
    target_group: Annotated[bool, Key("true, false", "it is registered with a target group")] = (
        False
    )
    elastic_ip: Annotated[bool, Key("true, false", "it has an elastic IP (5 in all)")] = False
    persistent: Annotated[
        bool,
        Key("true, false", "its spot request is persistent: EC2 may stop it and start it again"),
    ] = False


# --- events --------------------------------------------------------------------------------------


class EventTable(Table):
    """Base of what is scripted on top of the market."""

    shows: ClassVar[str]
    at: Annotated[_Hour, AtKey]


class WindowTable(EventTable):
    """Base of what lasts."""

    until: Annotated[_Hour | None, UntilKey] = None


class AdvisorTable(EventTable):
    shows = "from now on the Spot Advisor shows another bucket"
    event: Literal["advisor"]
    type: Annotated[str, AfterValidator(_known_types), TypesKey] = "*"
    bucket: Annotated[
        int,
        Field(ge=0, le=4),
        Key("0 to 4", "interruptions a month: <5, 5-10, 10-15, 15-20, >20 %"),
    ]


class PriceSurgeTable(WindowTable):
    shows = "prices are multiplied"
    event: Literal["price-surge"]
    type: Annotated[str, AfterValidator(_known_types), TypesKey] = "*"
    zone: Annotated[str, ZonesKey] = "*"
    factor: Annotated[
        float, Field(gt=0, le=100), Key("above 0, up to 100", "how many times the price")
    ]


class NoCapacityTable(WindowTable):
    shows = "launches are refused"
    event: Literal["no-capacity"]
    type: Annotated[str, AfterValidator(_known_types), TypesKey] = "*"
    zone: Annotated[str, ZonesKey] = "*"
    lifecycle: Annotated[
        Literal["spot", "on-demand", "*"], Key("spot, on-demand, *", "which launches")
    ] = "*"
    error: Annotated[
        str,
        Field(pattern=r"^[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)*$"),
        Key("an error code of EC2", "what EC2 answers"),
    ] = "InsufficientInstanceCapacity"


class NoCapacityForTable(WindowTable):
    shows = "launches on spot are refused in the pools that a workload would like best"
    event: Literal["no-capacity-for"]
    workload: Annotated[str, WhoKey]
    pools: Annotated[int, Field(ge=1, le=1000), Key("1 to 1000", "how many of its cheapest pools")]


class ChecksFailTable(WindowTable):
    shows = "what is launched never passes its status checks"
    event: Literal["checks-fail"]
    type: Annotated[str, AfterValidator(_known_types), TypesKey] = "*"
    zone: Annotated[str, ZonesKey] = "*"


class TerminateTable(EventTable):
    shows = "the user terminates the workload's instance"
    event: Literal["terminate"]
    workload: Annotated[str, WhoKey]


class TagTable(EventTable):
    shows = "the user changes or removes a tag of the workload's instance"
    event: Literal["tag"]
    workload: Annotated[str, WhoKey]
    tag: Annotated[str, Field(min_length=1, max_length=128), Key("a whole tag key", "which tag")]
    value: Annotated[str | None, Key("text, or null", "its new value; null removes it")]


class ProtectTable(EventTable):
    shows = "the user protects the workload's instance from termination"
    event: Literal["protect"]
    workload: Annotated[str, WhoKey]


class DeregisterImageTable(EventTable):
    shows = (
        "the image of the workload's instance is deregistered; those of its architecture share it"
    )
    event: Literal["deregister-image"]
    workload: Annotated[str, WhoKey]


class CommandTable(EventTable):
    shows = "a manual request"
    event: Literal["command"]
    request: Annotated[
        dict[str, Any],
        PlainValidator(_request),
        Key("a manual request as in events/command", "what the function Command is given"),
    ]


class SignalTable(EventTable):
    """Base of what EC2 says of an instance, and of how it is delivered."""

    deliveries: Annotated[
        int, Field(ge=1, le=5), Key("1 to 5", "how often the event is delivered")
    ] = 1
    late_seconds: Annotated[
        float, Field(ge=0, le=LATE_SECONDS_MAX), Key(f"0 to {LATE_SECONDS_MAX}", "how late it is")
    ] = 0


class InterruptingTable(SignalTable):
    """Base of what takes instances away."""

    action: Annotated[
        Literal["terminate", "stop", "hibernate"],
        Key("terminate, stop, hibernate", "what EC2 does; all but the first need `persistent`"),
    ] = "terminate"
    warned: Annotated[bool, Key("true, false", "whether the warning comes at all")] = True


class InterruptionTable(InterruptingTable):
    shows = "EC2 takes back the workload's spot instance"
    event: Literal["interruption"]
    workload: Annotated[str, WhoKey]


class InterruptionWaveTable(InterruptingTable):
    shows = "EC2 takes back all spot instances that run in the pools"
    event: Literal["interruption-wave"]
    type: Annotated[str, AfterValidator(_known_types), TypesKey] = "*"
    zone: Annotated[str, ZonesKey] = "*"


class RebalanceTable(SignalTable):
    shows = "EC2 recommends to move the workload off its spot instance"
    event: Literal["rebalance"]
    workload: Annotated[str, WhoKey]


Event = Annotated[
    AdvisorTable
    | PriceSurgeTable
    | NoCapacityTable
    | NoCapacityForTable
    | ChecksFailTable
    | TerminateTable
    | TagTable
    | ProtectTable
    | DeregisterImageTable
    | CommandTable
    | InterruptionTable
    | InterruptionWaveTable
    | RebalanceTable,
    Field(discriminator="event"),
]


# --- faults --------------------------------------------------------------------------------------


class FaultTable(Table):
    """What goes wrong between the product and AWS."""

    kind: Annotated[_FaultKind, Key(", ".join(kind.value for kind in FaultKind), "what goes wrong")]
    call: Annotated[
        _Call | None,
        Key(
            "service:Operation, as the AWS SDK names them",
            "the call that it happens to; left out: the delivery of an event (`kind` delivered-... or"
            " not-delivered)",
        ),
    ] = None
    caller: Annotated[
        str | None,
        Key(
            "a function or state machine of template.yaml",
            "who calls, or the function that the event is for; left out: whoever",
        ),
    ] = None
    state: Annotated[
        str | None,
        Key(
            "a state in statemachines/", "in whose step the call is made; left out: in any or none"
        ),
    ] = None
    workload: Annotated[
        str | None,
        Key("a workload's name", "in whose switch or rescue it is made; left out: in any or none"),
    ] = None
    occurrence: Annotated[
        int,
        Field(ge=1, le=OCCURRENCE_MAX),
        Key(f"1 to {OCCURRENCE_MAX}", "which of the calls or deliveries that all this fits"),
    ] = 1
    at: Annotated[
        _Hour, Key(f"0 to {HOURS_MAX}, before `hours`", "hour from which on they are counted")
    ] = 0


# --- expectations --------------------------------------------------------------------------------


class ExpectedWorkloadTable(Table):
    """What must be true of a workload at the end; what is left out is not looked at."""

    status: Annotated[
        Literal["managed", "refused", "gone"] | None,
        Key("managed, refused, gone", "what the ledger says of it"),
    ] = None
    decisions: Annotated[
        list[_Kind] | None,
        Key("a list of STAY, SWITCH, FALLBACK", "the kinds that were decided, and no other"),
    ] = None
    done: Annotated[_Count | None, Key(_COUNT, "planned switches that were done")] = None
    rescued: Annotated[_Count | None, Key(_COUNT, "rescues that were done")] = None
    taken_over: Annotated[
        _Count | None, Key(_COUNT, "planned switches that a rescue broke off")
    ] = None
    failed: Annotated[
        _Count | None,
        Key(_COUNT, "switches and rescues that found no capacity, or failed and were undone"),
    ] = None
    signals: Annotated[
        list[_Effect] | None,
        Key(
            "a list of EVACUATE, DRAIN, RECORDED",
            "what EC2's signals led to, and nothing else; duplicates do not count",
        ),
    ] = None
    downtime_seconds: Annotated[
        _Count | None, Key(_COUNT, "for how long in all no machine served it, rounded up")
    ] = None
    original: Annotated[
        Literal["running", "stopped", "terminated"] | None,
        Key("running, stopped, terminated", "what became of the instance that it began on"),
    ] = None
    served: Annotated[
        bool | None,
        Key("true, false", "its target group and elastic IP are with the machine that it runs on"),
    ] = None
    refused_launches: Annotated[_Count | None, Key(_COUNT, "launches that EC2 refused")] = None
    breaker: Annotated[_Breaker | None, Key("open, closed", "its breaker")] = None
    lifecycle: Annotated[_Lifecycle | None, Key("spot, on-demand", "how it is bought")] = None
    type: Annotated[str | None, Key(_GLOB, "what it runs on")] = None


class ExpectTable(Table):
    """What the scenario is to show."""

    stack_breaker: Annotated[_Breaker | None, Key("open, closed", "the stack's breaker")] = None
    faults: Annotated[
        _Count | None, Key(_COUNT, "of `faults`, those that happened: whose call was made")
    ] = None
    workloads: Annotated[
        dict[str, ExpectedWorkloadTable],
        Key("name: expectations", "by workload's name, with * and ? for several"),
    ] = {}


class ScenarioTable(Table):
    """A whole scenario file."""

    schema_version: Annotated[Literal[1], Field(alias="schema"), Key("1", "version of this format")]
    shows: Annotated[str, Field(min_length=1), Key("text", "what it shows, in one line")]
    region: Annotated[
        str | None, Key("a region", "of the built-in market; a recorded one has its own")
    ] = None
    start: Annotated[
        datetime | None,
        BeforeValidator(_moment),
        Key(
            f"a date, or date and time, UTC, from {STARTS_IN[0]} to {STARTS_IN[1] - 1}",
            "start of the virtual time; left out: as the market likes it",
        ),
    ] = None
    hours: Annotated[
        float, Field(ge=0.5, le=HOURS_MAX), Key(f"0.5 to {HOURS_MAX}", "virtual hours to run")
    ] = 24
    seed: Annotated[
        int, Field(ge=0), Key("0 or more", "of market and world; same seed, same run")
    ] = 1
    market: Annotated[
        RecordedFiles | None,
        Key("`prices` and `on_demand`", "files of a recorded market; left out: the built-in one"),
    ] = None
    parameters: Annotated[
        _Text, Key("parameter: value", "parameters of template.yaml; `DryRun` is true if left out")
    ] = {}
    limits: Annotated[
        _Limits,
        Key(
            "figure: value, as docs/world.md allows",
            "rates, times and quotas of AWS that differ from its own",
        ),
    ] = LIMITS
    quotas: Annotated[
        _Quotas,
        Key(
            "`spot-` or `on-demand-`, a family class, `-vcpu`: a whole number",
            "vCPU quotas, such as `spot-standard-vcpu: 64`; left out: `quota_vcpu` of the limits",
        ),
    ] = {}
    rates: Annotated[
        _Rates,
        Key(
            "service:Operation: [burst, refill a second]",
            "token buckets of single operations; left out: those of the limits",
        ),
    ] = {}
    workloads: Annotated[
        list[WorkloadTable],
        Field(min_length=1, max_length=WORKLOADS_MAX),
        Key(f"1 to {WORKLOADS_MAX}", "the machines of the user's"),
    ]
    events: Annotated[list[Event], Key("a list", "what is scripted on top of the market")] = []
    faults: Annotated[
        list[FaultTable], Key("a list", "calls and deliveries that go wrong, each once")
    ] = []
    expect: Annotated[ExpectTable, Key("expectations", "what must be true at the end")] = (
        ExpectTable()
    )
