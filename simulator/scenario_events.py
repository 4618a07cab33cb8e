"""Events that a scenario scripts on top of the market: ``events`` of its file."""

import json
from collections.abc import Callable
from math import inf, isinf
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationInfo

from simulator.scenario_fields import (
    HOURS_MAX,
    SUBNETS_MAX,
    Allowed,
    Hour,
    Lifecycle,
    Table,
    TypeGlob,
    ZoneGlob,
)

LATE_SECONDS_MAX = 100_000
"""More than a day: EventBridge gives up then, and so do its targets."""
_MONTHLY_RATES = ("<5 %", "5-10 %", "10-15 %", "15-20 %", ">20 %")


def _accepted(request: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Validated by whoever reads the file, who may know the contract of Command (context ``accept``)."""
    accept: Callable[[object], object] | None = (info.context or {}).get("accept")
    if accept is not None:
        accept(request)
    return request


_ErrorCode = Annotated[
    str, Field(pattern=r"^[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)*$"), Allowed("an error code of EC2")
]
_Request = Annotated[
    dict[str, Any], AfterValidator(_accepted), Allowed("a manual request as in events/command")
]


class Event(Table):
    """Base of all events."""

    hour: Annotated[Hour, Allowed(f"0 to {HOURS_MAX}, before `hours`")] = Field(
        validation_alias="at"
    )
    """Hours since the start at which it happens."""


class WindowEvent(Event):
    """Base of what lasts for a while."""

    until: Annotated[Hour | None, Allowed("hours after `at`")] = None
    """Hours since the start at which it ends; default: never."""

    @property
    def until_hour(self) -> float:
        """When it ends; infinite if it lasts to the end."""
        return inf if self.until is None else self.until

    @property
    def _until(self) -> str:
        return "" if self.until is None else f" until hour {self.until:g}"


class InPools(Event):
    """Base of what happens in some pools."""

    instance_type: TypeGlob = Field(default="*", validation_alias="type")
    """Instance types."""
    availability_zone: ZoneGlob = Field(default="*", validation_alias="zone")
    """Availability zones."""

    @property
    def _pools(self) -> str:
        if (self.instance_type, self.availability_zone) == ("*", "*"):
            return "every pool"
        if self.instance_type == "*":
            return f"every pool of {self.availability_zone}"
        if self.availability_zone == "*":
            return self.instance_type
        return f"{self.instance_type}/{self.availability_zone}"


class ToWorkload(Event):
    """Base of what happens to one workload."""

    workload: Annotated[str, Allowed("a workload's name")]
    """Which workload."""


class Signal(Event):
    """Base of what EC2 reports about an instance."""

    deliveries: Annotated[int, Field(ge=1, le=5)] = 1
    """How often the event is delivered."""
    late_seconds: Annotated[float, Field(ge=0, le=LATE_SECONDS_MAX)] = 0
    """How late it is."""

    @property
    def _delivery(self) -> str:
        times = f" {self.deliveries} times" if self.deliveries > 1 else ""
        return times + (f" {self.late_seconds:g} s late" if self.late_seconds else "")


class InterruptionSignal(Signal):
    """Base of what takes instances away."""

    action: Literal["terminate", "stop", "hibernate"] = "terminate"
    """What EC2 does; `stop` and `hibernate` need `persistent`."""
    warned: bool = True
    """Whether EC2 sends a warning; it does so by best effort."""

    @property
    def _how(self) -> str:
        warning = f"warned{self._delivery}" if self.warned else "without a warning"
        return f"({self.action}), {warning}"


class AdvisorChange(Event):
    """From now on the Spot Advisor shows another bucket."""

    event: Literal["advisor"] = "advisor"
    instance_type: TypeGlob = Field(default="*", validation_alias="type")
    """Instance types."""
    bucket: Annotated[int, Field(ge=0, le=4)]
    """Interruptions a month: <5, 5-10, 10-15, 15-20, >20 %."""

    def __str__(self) -> str:
        rate = _MONTHLY_RATES[self.bucket]
        return f"the Spot Advisor puts {self.instance_type} at {rate} interruptions"


class PriceSurge(WindowEvent, InPools):
    """Prices are multiplied."""

    event: Literal["price-surge"] = "price-surge"
    factor: Annotated[float, Field(gt=0, le=100), Allowed("above 0, up to 100")]
    """How many times the price."""

    def __str__(self) -> str:
        hours = self.until_hour - self.hour
        span = "from now on" if isinf(hours) else f"for {hours:g} h"
        return f"{self._pools} costs {self.factor:g} times as much {span}"


class NoCapacity(WindowEvent, InPools):
    """Launches are refused."""

    event: Literal["no-capacity"] = "no-capacity"
    lifecycle: Literal[Lifecycle, "*"] = "*"
    """Which launches."""
    error: _ErrorCode = "InsufficientInstanceCapacity"
    """EC2's answer."""
    subnet: Annotated[int | None, Field(ge=1, le=SUBNETS_MAX), Allowed(f"1 to {SUBNETS_MAX}")] = (
        None
    )
    """Only launches into this subnet of each zone; default: all."""

    def __str__(self) -> str:
        how = "" if self.lifecycle == "*" else f"{self.lifecycle} "
        where = self._pools if self.subnet is None else f"{self._pools}, subnet {self.subnet},"
        return f"{how}launches in {where} are refused with {self.error}{self._until}"


class CapacityShortage(WindowEvent, ToWorkload):
    """Spot launches are refused in the pools that a workload would like best."""

    event: Literal["no-capacity-for"] = "no-capacity-for"
    pools: Annotated[int, Field(ge=1, le=1000)]
    """How many of the workload's cheapest pools."""

    def __str__(self) -> str:
        return f"the {self.pools} cheapest pools for {self.workload} have no capacity{self._until}"


class ChecksFail(WindowEvent, InPools):
    """What is launched never passes its status checks."""

    event: Literal["checks-fail"] = "checks-fail"

    def __str__(self) -> str:
        return f"what is launched in {self._pools} never becomes healthy{self._until}"


class UserTerminates(ToWorkload):
    """The user terminates the workload's instance."""

    event: Literal["terminate"] = "terminate"

    def __str__(self) -> str:
        return f"the user terminates the instance of {self.workload}"


class UserTags(ToWorkload):
    """The user changes or removes a tag of the workload's instance."""

    event: Literal["tag"] = "tag"
    tag: Annotated[str, Field(min_length=1, max_length=128), Allowed("a whole tag key")]
    """Which tag."""
    value: Annotated[str | None, Allowed("text, or null")]
    """Its new value; null removes it."""

    def __str__(self) -> str:
        if self.value is None:
            return f"the user removes the tag {self.tag} of {self.workload}"
        return f"the user tags {self.workload} {self.tag} = {self.value}"


class UserProtects(ToWorkload):
    """The user protects the workload's instance from termination."""

    event: Literal["protect"] = "protect"

    def __str__(self) -> str:
        return f"the user protects the instance of {self.workload} from termination"


class ImageDeregistered(ToWorkload):
    """The image of the workload's instance is deregistered; workloads of its architecture share it."""

    event: Literal["deregister-image"] = "deregister-image"

    def __str__(self) -> str:
        return f"the image of {self.workload} is deregistered"


class ManualCommand(Event):
    """A manual request."""

    event: Literal["command"] = "command"
    request: _Request
    """Input of the function Command."""

    def __str__(self) -> str:
        return f"manual request {json.dumps(self.request)}"


class Interruption(InterruptionSignal, ToWorkload):
    """EC2 interrupts the workload's spot instance."""

    event: Literal["interruption"] = "interruption"

    def __str__(self) -> str:
        return f"EC2 interrupts {self.workload} {self._how}"


class InterruptionWave(InterruptionSignal, InPools):
    """EC2 interrupts all spot instances in the pools."""

    event: Literal["interruption-wave"] = "interruption-wave"

    def __str__(self) -> str:
        return f"EC2 interrupts all spot instances in {self._pools} {self._how}"


class Rebalance(Signal, ToWorkload):
    """EC2 sends a rebalance recommendation for the workload's spot instance."""

    event: Literal["rebalance"] = "rebalance"

    def __str__(self) -> str:
        how = self._delivery
        return f"EC2 recommends to rebalance {self.workload}{how and f', delivered{how}'}"


class ScheduledEvent(Signal, ToWorkload):
    """EC2 schedules the stop, retirement, reboot or maintenance of the workload's instance."""

    event: Literal["scheduled-event"] = "scheduled-event"
    code: Literal[
        "instance-retirement",
        "instance-stop",
        "instance-reboot",
        "system-reboot",
        "system-maintenance",
    ] = "instance-retirement"
    """What EC2 will do; the first two end the instance."""
    notice_hours: Annotated[float, Field(gt=0, le=HOURS_MAX), Allowed(f"above 0, to {HOURS_MAX}")]
    """How long before."""
    published: bool = True
    """Whether AWS Health sends an event; DescribeInstanceStatus shows it in any case."""

    def __str__(self) -> str:
        how = f"published{self._delivery}" if self.published else "not published"
        return f"EC2 schedules {self.code} of {self.workload} in {self.notice_hours:g} h, {how}"


Scripted = (
    AdvisorChange
    | PriceSurge
    | NoCapacity
    | CapacityShortage
    | ChecksFail
    | UserTerminates
    | UserTags
    | UserProtects
    | ImageDeregistered
    | ManualCommand
    | Interruption
    | InterruptionWave
    | Rebalance
    | ScheduledEvent
)

EVENTS: dict[str, type[Event]] = {
    get_args(kind.model_fields["event"].annotation)[0]: kind for kind in get_args(Scripted)
}
"""Word in ``event`` -> its table."""
