"""Interruptions by EC2, and the failovers that follow."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from simulator.account_id import DEFAULT_ACCOUNT_ID
from simulator.call_log import Fault
from simulator.deployed import REGION, ZONES
from simulator.limit_table import changed
from simulator.stage import WORKLOADS_MAX, Stage, open_stage
from simulator.world import DataVolume
from tests.workflow.faults import lost, record_of, step, workload_of
from tests.workflow.story import Story, record

KEY = f"arn:aws:kms:{REGION}:{DEFAULT_ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@contextmanager
def ready_stage(
    *workloads: str, launch: Mapping[str, Any] | None = None, **options: Any
) -> Iterator[tuple[Stage, dict[str, str]]]:
    """A stage whose workloads have a failover plan, and their instances by workload.

    ``options``: those of the stage.
    """
    with open_stage(**options) as stage:
        originals = {name: stage.launch(name, **(launch or {})) for name in workloads or ("web",)}
        stage.adopt()
        stage.cycle()
        stage.api.clear()
        yield stage, originals


def fails(operation: str, when: Callable[[Mapping[str, Any]], bool], workload: str) -> Fault:
    """A call of a failover that is always refused."""
    return Fault(operation, caller="FailOver", workload=workload, when=when)


def clean_failover() -> Story:
    """EC2 warns and terminates; the instance has a target group and an address."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True, tags={"team": "shop"})
        stage.adopt()
        stage.cycle()
        stage.api.clear()
        at_commit: list[str] = []
        stage.before_call["TransactWriteItems"] = lambda: at_commit.append(
            stage.world.state_of(original)
        )
        stage.world.interrupt(original)
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage,
            original=original,
            replacement=replacement,
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
            tags=dict(stage.world.tags_of(replacement)),
            original_ended_by=stage.world.instances[original].state_reason,
        )


def failover_without_a_target_group() -> Story:
    """The failover does not wait for health: it commits once the replacement runs."""
    with ready_stage() as (stage, originals):
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"], next_cycle=stage.cycle())


def original_only_stops() -> Story:
    """EC2 stops the instance of a persistent request, and keeps it stopped."""
    with ready_stage(launch={"persistent": True}) as (stage, originals):
        stage.world.interrupt(originals["web"], "stop")
        stage.finish()
        return record(
            stage, original=originals["web"], tags=dict(stage.world.tags_of(originals["web"]))
        )


def persistent_request_is_interrupted() -> Story:
    """EC2 terminates the instance of a persistent request, which would launch another one."""
    with ready_stage(launch={"persistent": True}) as (stage, originals):
        stage.world.interrupt(originals["web"], "terminate")
        stage.finish()
        return record(stage, original=originals["web"])


def all_spot_pools_are_full() -> Story:
    """No pool of the plan has capacity: the home type is launched on-demand."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        stage.world.close_capacity("m5.large", ZONES[0], "on-demand")
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"])


def nothing_has_capacity() -> Story:
    """Neither spot nor on-demand has capacity: the workload is down, and an alert is sent."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity()
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"])


def _graceful(stage: Stage, until: str) -> None:
    stage.start(stage.order("web", ("m5a.large", ZONES[1], "spot"), name="graceful"))
    stage.run_until_entered(until)


def switch_taken_over_before_its_launch() -> Story:
    """The graceful switch is claimed, its launch fails for a while, the interruption comes."""
    with ready_stage(launch={"address": True}) as (stage, originals):
        busy = Fault("Invoke", code="ServiceException", when=step("LaunchReplacement"), times=1)
        stage.faults.append(busy)
        _graceful(stage, "LaunchReplacement")
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"], address_holder=stage.address_holder())


def switch_taken_over_while_it_launches() -> Story:
    """Its launch is under way when the interruption comes: two replacements, one too many."""
    with ready_stage(launch={"address": True}) as (stage, originals):
        stage.faults.append(lost("Invoke", step("LaunchReplacement"), times=1))
        _graceful(stage, "LaunchReplacement")
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"], address_holder=stage.address_holder())


def switch_taken_over_after_its_launch() -> Story:
    """The graceful switch's replacement boots when the interruption comes."""
    with ready_stage(launch={"address": True}) as (stage, originals):
        _graceful(stage, "WaitForBoot")
        (launched,) = stage.alive() - {originals["web"]}
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(
            stage,
            original=originals["web"],
            launched=launched,
            address_holder=stage.address_holder(),
        )


def original_interrupted_after_the_commit() -> Story:
    """The switch is committed and its original drains: its interruption has no effect."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group)
        stage.adopt()
        stage.cycle()
        _graceful(stage, "WaitForDrain")
        stage.world.interrupt(original)
        stage.finish()
        return record(stage, original=original)


def replacement_interrupted_after_the_commit() -> Story:
    """The switch is committed and its original drains when its replacement is interrupted."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group)
        stage.adopt()
        stage.cycle()
        _graceful(stage, "WaitForDrain")
        replacement = stage.workload()["instance_id"]
        stage.world.interrupt(replacement)
        stage.finish()
        return record(
            stage, original=original, replacement=replacement, targets=stage.targets(group)
        )


REFUSED_FOR_GOOD: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    "NoCapacity": ("Invoke", step("UpdateLedger", "refuse")),
    "LaunchReplacement": ("Invoke", step("LaunchReplacement")),
    "RecordLaunched": ("UpdateItem", record_of("LAUNCHED")),
    "CheckReplacement": ("DescribeInstances", lambda _: True),
    "RecordRunning": ("UpdateItem", record_of("HEALTHY")),
    "HandOver": ("Invoke", step("HandOver", "fail-over")),
    "RecordHandedOver": ("UpdateItem", record_of("HANDED_OVER")),
    "CommitFailOver": ("Invoke", step("UpdateLedger", "commit")),
    "ReleaseOriginal": ("Invoke", step("HandOver", "release")),
    "RecordSuccess": ("Invoke", step("UpdateLedger", "succeed")),
}
"""State -> the call that is refused to one workload's failover."""


def every_step_of_a_failover_fails() -> Story:
    """One workload for each state of REFUSED_FOR_GOOD, whose call is always refused."""
    names = [workload_of(state) for state in REFUSED_FOR_GOOD]
    with ready_stage(*names, StackBreakerWorkloads=WORKLOADS_MAX) as (stage, originals):
        stage.faults += [
            fails(operation, when, workload_of(state))
            for state, (operation, when) in REFUSED_FOR_GOOD.items()
        ]
        full = workload_of("NoCapacity")
        refusal = Fault(
            "CreateFleet",
            code="InsufficientInstanceCapacity",
            caller="LaunchReplacement",
            when=lambda params: full in str(params),
        )
        stage.faults.append(refusal)
        for original in originals.values():
            stage.world.interrupt(original)
        stage.finish()
        return record(stage, originals=originals)


def commit_replies_of_a_failover_are_lost() -> Story:
    """The failover commits, but no reply of the commit arrives."""
    with ready_stage() as (stage, originals):
        silent = lost("Invoke", step("UpdateLedger", "commit"))
        silent.caller = "FailOver"
        stage.faults.append(silent)
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"])


def failover_under_the_global_stop() -> Story:
    """The global stop holds even a failover."""
    with ready_stage() as (stage, originals):
        stage.command(command="stop")
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"])


def replacement_never_runs() -> Story:
    """The replacement is still pending after four minutes."""
    with ready_stage(limits=changed({"boot_s": [240, 250]})) as (stage, originals):
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"])


def key_lacks_its_grant_for_spot() -> Story:
    """EC2 accepts the launch of a spot instance whose volume's key it may not use, and ends it."""
    disk = DataVolume("/dev/sdf", 20, encrypted=True, kms_key_id=KEY, delete_on_termination=True)
    with ready_stage(launch={"volumes": [disk]}, KmsKeyArns=KEY) as (stage, originals):
        stage.world.interrupt(originals["web"])
        stage.finish()
        return record(stage, original=originals["web"])


def host_of_the_replacement_fails() -> Story:
    """EC2 has an internal error while it starts the replacement."""
    with ready_stage() as (stage, originals):
        stage.world.interrupt(originals["web"])
        stage.run_until_entered("WaitUntilRunning")
        (ended,) = stage.alive() - set(originals.values())
        stage.world.fail_hardware(ended)
        stage.finish()
        return record(stage, original=originals["web"], ended=ended)
