"""Switches that fail after the launch and before the commit."""

from collections.abc import Mapping

from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import WORKLOADS_MAX, open_stage
from tests.workflow.faults import inject, record_of, step, workload_of
from tests.workflow.story import Story, record


def replacement_never_passes_its_checks() -> Story:
    """The replacement runs, but its status checks never pass."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.world.fail_status_checks("m5a.large", ZONES[1])
        stage.force()
        stage.finish()
        return record(stage, original=original)


def replacement_dies_at_boot() -> Story:
    """The replacement is terminated while it boots."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        (replacement,) = stage.alive() - {original}
        stage.world.terminate_instance(replacement)
        stage.finish()
        return record(stage, original=original)


def target_never_healthy() -> Story:
    """The replacement passes its status checks, but not those of its target group."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForTargets")
        (replacement,) = stage.alive() - {original}
        stage.world.instances[replacement].impaired = True
        stage.finish()
        return record(
            stage,
            original=original,
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
        )


def original_in_a_classic_load_balancer() -> Story:
    """The original is registered with a target group and with a Classic Load Balancer."""
    with open_stage() as stage:
        group = stage.world.create_target_group("shop")
        original = stage.launch(target_group_arn=group, address=True)
        stage.world.set_classic_load_balancer("other")
        stage.world.set_classic_load_balancer("legacy", original)
        stage.adopt()
        stage.force()
        stage.finish()
        return record(stage, original=original)


BEFORE_COMMIT: Mapping[str, Fault] = {
    "RecordLaunched": Fault("UpdateItem", when=record_of("LAUNCHED")),
    "InspectReplacement": Fault("Invoke", when=step("InspectReplacement")),
    "RecordHealthy": Fault("UpdateItem", when=record_of("HEALTHY")),
    "HandOver": Fault("Invoke", when=step("HandOver", "shift")),
    "RecordHandedOver": Fault("UpdateItem", when=record_of("HANDED_OVER")),
    "CommitSwitch": Fault("Invoke", when=step("UpdateLedger", "commit")),
}
"""State between launch and commit -> the fault that ends it."""


def every_step_before_the_commit_fails() -> Story:
    """One workload for each state of BEFORE_COMMIT, whose call is always refused."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        group = stage.world.create_target_group("shop")
        originals = {
            state: stage.launch(
                workload_of(state), target_group_arn=group, address=state == "CommitSwitch"
            )
            for state in BEFORE_COMMIT
        }
        stage.adopt()
        inject(stage, BEFORE_COMMIT)
        for state in BEFORE_COMMIT:
            stage.force(workload_of(state))
        stage.finish()
        return record(
            stage,
            originals=originals,
            targets=stage.targets(group),
            address_holder=stage.address_holder(),
        )


UNDOING: Mapping[str, Fault] = {
    "UndoHandOver": Fault("Invoke", when=step("HandOver", "undo")),
    "TerminateReplacement": Fault("TerminateInstances"),
    "RecordFailure": Fault("Invoke", when=step("UpdateLedger", "fail")),
    "AbandonSwitch": Fault("Invoke", when=step("UpdateLedger", "abandon")),
}
"""State of undoing a switch -> the fault that ends it."""


def undoing_fails() -> Story:
    """One workload for each state of UNDOING; their replacements never pass their checks."""
    with open_stage(StackBreakerWorkloads=WORKLOADS_MAX) as stage:
        originals = {state: stage.launch(workload_of(state)) for state in UNDOING}
        stage.adopt()
        stage.world.fail_status_checks("m5a.large", ZONES[1])
        inject(stage, UNDOING)
        for state in UNDOING:
            stage.force(workload_of(state))
        stage.finish()
        return record(stage, originals=originals)


def launching_breaks() -> Story:
    """The launch function cannot be invoked."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.faults.append(Fault("Invoke", when=step("LaunchReplacement")))
        stage.force()
        stage.finish()
        return record(stage, original=original)


def ledger_unreachable_after_the_launch() -> Story:
    """From the launch on, every call to the ledger is refused."""
    with open_stage() as stage:
        original = stage.launch()
        stage.adopt()
        stage.force()
        stage.run_until_entered("WaitForBoot")
        stage.faults += [
            Fault("UpdateItem", code="InternalServerError"),
            Fault("Invoke", code="ServiceException", when=step("UpdateLedger")),
        ]
        stage.finish()
        return record(stage, original=original)
