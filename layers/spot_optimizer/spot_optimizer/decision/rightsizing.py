"""Which sizes a workload needs: at least its home type's, one size up, or smaller."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np

from spot_optimizer.decision.over_or_under_provisioned import RIGHTSIZE_DOWN_HOURS_MIN, UsageClass
from spot_optimizer.decision.selection import Selection
from spot_optimizer.decision.situation import Situation
from spot_optimizer.decision.stages import Safety, Want
from spot_optimizer.market.catalog import Catalog, InstanceType
from spot_optimizer.vocabulary import Lifecycle

SIZE_UP_PAUSE = timedelta(hours=24)
SIZE_UP_ON_DEMAND_FACTOR_MAX = 2.0
"""A type one size up costs at most this many times the home type's on-demand price."""
ROUNDING_POINTS = 1e-9
"""Tolerance of differences in points for floating-point rounding."""


def want_at_least_home(situation: Situation, safety: Safety | None) -> Want:
    """The home type's size or more, for switches that do not right-size.

    A workload on a larger type may need it: it keeps the size of whatever it is short of, and at least
    p95 usage times the headroom; if its memory usage is unknown, it never gets less memory than now.
    Network and EBS are no slower than usage times the headroom, or than the home type's if that usage
    is unknown; if no usage at all is known, they do not matter.
    """
    workload, verdict = situation.workload, situation.usage
    usage, headroom = workload.usage, workload.settings.headroom_factor
    vcpu_min, memory_min = float(situation.home.vcpu), situation.home.memory_gib
    current = situation.table.catalog.types.get(workload.instance_type)
    if current is None:
        return _want(situation, safety, vcpu_min=vcpu_min, memory_min_gib=memory_min)
    vcpu_used, memory_used = 0.0, math.inf
    if usage is not None:
        vcpu_used = math.inf if verdict.cpu_short else usage.cpu_p95_vcpu * headroom
        if usage.memory_p95_gib is not None and not verdict.memory_short:
            memory_used = usage.memory_p95_gib * headroom
    return _want(
        situation,
        safety,
        vcpu_min=max(vcpu_min, min(current.vcpu, vcpu_used)),
        memory_min_gib=max(memory_min, min(current.memory_gib, memory_used)),
    )


def want_when_urgent(situation: Situation, safety: Safety | None) -> Want:
    """The same for failovers and urgent switches: a pool need only be safe now, and pools that refused
    a launch lately are tried last."""
    want = want_at_least_home(situation, safety)
    usage = situation.workload.usage
    return replace(
        want,
        confirm_s=None,
        avoid_refused=False,
        # A slower instance is better than none: only known usage counts.
        network_gbps_min=want.network_gbps_min if usage and usage.network_used_gbps else 0.0,
        ebs_mbps_min=want.ebs_mbps_min if usage and usage.ebs_used_mbps else 0.0,
    )


def want_one_size_up(situation: Situation, safety: Safety | None) -> Want | None:
    """One size up, for SIZE_UP; None if the row does not apply.

    Of what is short (vCPU or memory) the type has at least the next size of the home type's family, and
    more than the current type; of the other at least as much as the home type.
    """
    workload, usage = situation.workload, situation.usage
    if not workload.settings.allow_rightsize_up or usage.usage_class is not UsageClass.UNDER:
        return None
    if workload.sized_up_at and situation.now - workload.sized_up_at < SIZE_UP_PAUSE:
        return None
    catalog, home = situation.table.catalog, situation.home
    current = catalog.types[workload.instance_type]
    vcpu_min, memory_min = float(home.vcpu), home.memory_gib
    if usage.cpu_short:
        vcpu_min = max(next_vcpu(catalog, home), current.vcpu + 1)
    if usage.memory_short:
        memory_min = max(
            next_memory_gib(catalog, home), math.nextafter(current.memory_gib, math.inf)
        )
    return _want(
        situation,
        safety,
        vcpu_min=vcpu_min,
        memory_min_gib=memory_min,
        type_on_demand_max_usd_per_hour=(
            SIZE_UP_ON_DEMAND_FACTOR_MAX * situation.home_on_demand_usd_per_hour
        ),
    )


def want_smaller(situation: Situation, safety: Safety | None) -> Want | None:
    """A smaller type, for SIZE_DOWN; None if the row does not apply.

    vCPU and memory hold p95 usage and the highest mean of the last hour, both times the headroom; if
    memory usage is unknown, memory is no less than the home type's. Network and EBS are no slower than
    usage times the headroom, or than the home type's if that usage is unknown. A workload that was sized
    up is not sized down within 24 h, because the week behind its p95 barely contains the need for it.
    """
    workload, settings = situation.workload, situation.workload.settings
    usage, home = workload.usage, situation.home
    if not settings.allow_rightsize_down or situation.usage.usage_class is not UsageClass.OVER:
        return None
    if usage is None or usage.hours < RIGHTSIZE_DOWN_HOURS_MIN:
        return None
    if workload.sized_up_at and situation.now - workload.sized_up_at < SIZE_UP_PAUSE:
        return None
    memory_min = home.memory_gib
    if usage.memory_p95_gib is not None:
        memory_min = (
            max((usage.memory_p95_gib, *usage.recent_memory_gib)) * settings.headroom_factor
        )
    return _want(
        situation,
        safety,
        vcpu_min=max((usage.cpu_p95_vcpu, *usage.recent_cpu_vcpu)) * settings.headroom_factor,
        memory_min_gib=memory_min,
        smaller_than_home=True,
    )


def gain_points(selection: Selection) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """By how many points the pools left are forecast to cost less than the current place; NaN if
    unknown."""
    situation = selection.situation
    points = 100.0 * selection.forecast_usd_per_hour / situation.home_on_demand_usd_per_hour
    gain: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = situation.cost_points - points
    return gain


def next_vcpu(catalog: Catalog, home: InstanceType) -> float:
    """vCPU of the next size of the home type's family, twice the home type's for the largest."""
    larger = catalog.next_size_up(home.name)
    return larger.vcpu if larger else 2.0 * home.vcpu


def next_memory_gib(catalog: Catalog, home: InstanceType) -> float:
    """The next step of memory in the home type's family, twice the home type's for the largest.

    Not the memory of the next size by vCPU: in burstable families several sizes share their vCPU.
    """
    return min(
        (
            t.memory_gib
            for t in catalog.types.values()
            if t.family == home.family and not t.bare_metal and t.memory_gib > home.memory_gib
        ),
        default=2.0 * home.memory_gib,
    )


def _want(
    situation: Situation,
    safety: Safety | None,
    *,
    vcpu_min: float,
    memory_min_gib: float,
    smaller_than_home: bool = False,
    type_on_demand_max_usd_per_hour: float | None = None,
) -> Want:
    workload = situation.workload
    usage, home = workload.usage, situation.home
    on_demand = workload.lifecycle is Lifecycle.ON_DEMAND
    network, ebs = (
        _speed_min(used, at_home, workload.settings.headroom_factor) if usage else 0.0
        for used, at_home in (
            (usage.network_used_gbps if usage else None, home.network_gbps),
            (usage.ebs_used_mbps if usage else None, home.ebs_mbps),
        )
    )
    return Want(
        home=situation.home,
        home_on_demand_usd_per_hour=situation.home_on_demand_usd_per_hour,
        globs=workload.type_globs,
        zones=frozenset(workload.subnets),
        safety=safety,
        vcpu_min=vcpu_min,
        memory_min_gib=memory_min_gib,
        image=workload.image,
        may_burst=workload.settings.allow_burstable,
        network_gbps_min=network,
        ebs_mbps_min=ebs,
        confirm_s=workload.settings.confirm_safe_minutes * 60 if on_demand else None,
        smaller_than_home=smaller_than_home,
        type_on_demand_max_usd_per_hour=type_on_demand_max_usd_per_hour,
    )


def _speed_min(used: float | None, at_home: float | None, headroom: float) -> float:
    """The lowest baseline to accept. Usage above the home type's baseline is a burst, which another type
    of the same baseline allows as well."""
    if used is None:
        return at_home or 0.0
    return min(used * headroom, at_home if at_home is not None else math.inf)


def no_smaller_than_the_best(selection: Selection) -> Selection:
    """Without the pools whose type is smaller than the best one's, which becomes the home type: every
    candidate must have at least its size."""
    if not len(selection.ranked):
        return selection
    table, best = selection.situation.table, selection.ranked[0]
    enough = (table.vcpu[selection.ranked] >= table.vcpu[best]) & (
        table.memory_gib[selection.ranked] >= table.memory_gib[best]
    )
    scores = None if selection.scores is None else selection.scores[enough]
    return replace(selection, ranked=selection.ranked[enough], scores=scores)
