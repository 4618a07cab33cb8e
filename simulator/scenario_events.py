"""Rows of ``events`` as scripted events."""

from math import inf

from simulator.scenario import (
    AdvisorChange,
    CapacityShortage,
    ChecksFail,
    ImageDeregistered,
    Interruption,
    InterruptionWave,
    ManualCommand,
    NoCapacity,
    PriceSurge,
    Rebalance,
    Scripted,
    UserProtects,
    UserTags,
    UserTerminates,
)
from simulator.scenario_schema import (
    AdvisorTable,
    ChecksFailTable,
    CommandTable,
    DeregisterImageTable,
    Event,
    InterruptionTable,
    InterruptionWaveTable,
    NoCapacityForTable,
    NoCapacityTable,
    PriceSurgeTable,
    ProtectTable,
    RebalanceTable,
    SignalTable,
    TagTable,
    TerminateTable,
    WindowTable,
)


def scripted(row: Event) -> Scripted:
    """What the row scripts."""
    if isinstance(row, WindowTable):
        return _window(row, inf if row.until is None else row.until)
    if isinstance(row, SignalTable):
        return _signal(row)
    match row:
        case AdvisorTable():
            return AdvisorChange(row.at, row.type, row.bucket)
        case TerminateTable():
            return UserTerminates(row.at, row.workload)
        case TagTable():
            return UserTags(row.at, row.workload, row.tag, row.value)
        case ProtectTable():
            return UserProtects(row.at, row.workload)
        case DeregisterImageTable():
            return ImageDeregistered(row.at, row.workload)
        case CommandTable():
            return ManualCommand(row.at, row.request)
    raise TypeError(f"{row!r} is no event")


def _signal(row: SignalTable) -> Scripted:
    delivery = (row.deliveries, row.late_seconds)
    match row:
        case InterruptionTable():
            return Interruption(row.at, row.workload, row.action, row.warned, *delivery)
        case InterruptionWaveTable():
            return InterruptionWave(row.at, row.type, row.zone, row.action, row.warned, *delivery)
        case RebalanceTable():
            return Rebalance(row.at, row.workload, *delivery)
    raise TypeError(f"{row!r} is no event")


def _window(row: WindowTable, until: float) -> Scripted:
    match row:
        case PriceSurgeTable():
            return PriceSurge(row.at, until, row.type, row.factor, row.zone)
        case NoCapacityForTable():
            return CapacityShortage(row.at, until, row.workload, row.pools)
        case NoCapacityTable():
            return NoCapacity(row.at, until, row.type, row.zone, row.lifecycle, row.error)
        case ChecksFailTable():
            return ChecksFail(row.at, until, row.type, row.zone)
    raise TypeError(f"{row!r} is no event")
