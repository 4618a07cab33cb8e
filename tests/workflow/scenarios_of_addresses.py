"""Switches of an instance whose target is registered by private address."""

from datetime import timedelta
from typing import Any

import boto3

from simulator.call_log import Fault
from simulator.stage import Stage, open_stage
from tests.workflow.faults import step
from tests.workflow.story import Story, record

DRAIN = timedelta(minutes=10)


def clean_switch_by_address() -> Story:
    """The instance is registered by its address; nothing goes wrong."""
    with open_stage() as stage:
        group, original, address = _registered_by_address(stage)
        stage.force()
        known: list[str] = []
        stage.before_call["RegisterTargets"] = lambda: known.append(_carried_on(stage))
        at_deregistration: dict[str, Any] = {}
        stage.before_call["DeregisterTargets"] = lambda: at_deregistration.update(
            stage.targets(group)
        )
        at_end: dict[str, Any] = {}
        stage.before_call["TerminateInstances"] = lambda: at_end.update(stage.targets(group))
        stage.finish()
        replacement = stage.workload()["instance_id"]
        return record(
            stage,
            original=original,
            address=address,
            replacement_address=_address(stage, replacement),
            known_at_registration=known,
            targets_at_deregistration=at_deregistration,
            targets_at_end=at_end,
        )


def replacement_ends_while_registered_by_address() -> Story:
    """The replacement ends before it is healthy; the next replacement gets its address."""
    with open_stage() as stage:
        group, original, address = _registered_by_address(stage)
        stage.force()
        registered: list[str] = []
        stage.before_call["RegisterTargets"] = lambda: registered.append("now")
        while not registered:
            due = stage.account.clock.next_deadline()
            assert due is not None
            stage.account.run_until(due)
        (first,) = stage.alive() - {original}
        first_address = _address(stage, first)
        stage.world.terminate_instance(first)
        stage.finish()
        targets_after_undo = stage.targets(group)
        stage.force()
        stage.run_until_entered("WaitForTargets")
        targets_at_second = stage.targets(group)
        (second,) = stage.alive() - {original}
        second_address = _address(stage, second)
        stage.finish()
        return record(
            stage,
            original=original,
            replacement=second,
            address=address,
            addresses=(first_address, second_address),
            targets_after_undo=targets_after_undo,
            targets_at_second=targets_at_second,
        )


def original_ends_before_its_address_is_deregistered() -> Story:
    """The original ends between commit and release: EC2 forgets its address."""
    with open_stage() as stage:
        group, original, address = _registered_by_address(stage)
        stage.faults.append(Fault("Invoke", when=step("HandOver", "release"), times=7))
        stage.force()
        stage.run_until_entered("ReleaseOriginal")
        stage.world.terminate_instance(original)
        states: list[str] = []
        stage.before_call["DeregisterTargets"] = lambda: states.append(
            stage.world.state_of(original)
        )
        stage.finish()
        replacement_address = _address(stage, stage.workload()["instance_id"])
        return record(
            stage,
            address=address,
            replacement_address=replacement_address,
            original_at_release=states,
            targets=stage.targets(group),
        )


def _registered_by_address(stage: Stage) -> tuple[str, str, str]:
    """Target group, adopted instance and its address."""
    group = stage.world.create_target_group("shop", target_type="ip", deregistration_delay=DRAIN)
    original = stage.launch(target_group_arn=group)
    stage.adopt()
    return group, original, _address(stage, original)


def _carried_on(stage: Stage) -> str:
    """What the newest execution has so far."""
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    arn = stage.account.executions()[-1].arn
    return str([page["events"] for page in pages.paginate(executionArn=arn)])


def _address(stage: Stage, instance_id: str) -> str:
    address: str = stage.describe(instance_id)["PrivateIpAddress"]
    return address
