"""EC2 does not always say clearly whether it has launched: what may run is found, what was refused for
certain is not waited for."""

from collections.abc import Iterator

import pytest

from simulator.account.executions import Execution
from simulator.call_log import Fault
from simulator.deployed import ZONES
from simulator.stage import SEED, Stage, open_stage
from tests.workflow.scenarios_of_failovers import ready_stage
from tests.workflow.scenarios_of_lost_replies import UNSEEN_REPLACEMENT_ENDED

SPOT = (("m5a.large", ZONES[1], "spot"), ("m6i.large", ZONES[2], "spot"))
LAUNCHER = "LaunchReplacement"


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage with one machine that has a launch template."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        opened.launch()
        opened.take_in()
        opened.api.clear()
        yield opened


def launch_meets(
    stage: Stage, code: str, status: int = 400, *, after_effect: bool = False, times: int = 1
) -> None:
    """RunInstances fails so, once or more often."""
    stage.faults.append(
        Fault("RunInstances", code, LAUNCHER, status=status, after_effect=after_effect, times=times)
    )


@pytest.mark.parametrize(
    ("code", "status"), [("500", 500), ("503", 503), ("InternalError", 500), ("BrandNewError", 500)]
)
def test_a_launch_that_ec2_failed_to_answer_is_found_by_asking_again(
    stage: Stage, code: str, status: int
) -> None:
    """It has happened: the same call with the same token finds its machine, and nothing is refused."""
    launch_meets(stage, code, status, after_effect=True)
    stage.start(stage.order("web", *SPOT))
    assert stage.finish().status == "SUCCEEDED"
    first, second = stage.calls_of("RunInstances")
    assert first.params["ClientToken"] == second.params["ClientToken"]
    assert stage.alive() == {stage.workload()["instance_id"]}
    assert stage.switches()[0].get("refusals", []) == []


@pytest.mark.parametrize(
    "code",
    [
        "RequestTimeout",
        "RequestExpired",
        "SlowDown",
        "ConcurrentTagAccess",
        "EC2ThrottledException",
    ],
)
def test_what_a_wait_cures_is_waited_for(stage: Stage, code: str) -> None:
    """The first candidate is launched a moment later."""
    launch_meets(stage, code)
    stage.start(stage.order("web", *SPOT))
    assert stage.finish().status == "SUCCEEDED"
    (switch,) = stage.switches()
    assert (switch["candidate"], switch.get("refusals", [])) == (0, [])


@pytest.mark.parametrize(
    ("code", "status"), [("IdempotentParameterMismatch", 400), ("BrandNewError", 302)]
)
def test_what_may_have_been_launched_is_looked_for_and_ended(
    stage: Stage, code: str, status: int
) -> None:
    """An answer that does not rule a machine out forgets none: it is found by its tag."""
    original = stage.workload()["instance_id"]
    launch_meets(stage, code, status, after_effect=True)
    stage.start(stage.order("web", *SPOT))
    execution = stage.finish()
    assert execution.error == "NotSwitched"
    assert execution.states[execution.states.index("AbandonSwitch") :] == UNSEEN_REPLACEMENT_ENDED
    assert stage.alive() == {original}
    (switch,) = stage.switches()
    assert switch.get("refusals", []) == []
    assert code in switch["outcome"]["summary"]


def test_the_record_tells_what_ended_the_switch(stage: Stage) -> None:
    """A refusal before it is not what failed, and what may have been launched counts as a failure."""
    stage.world.close_capacity("m5a.large", ZONES[1], "spot")
    stage.faults.append(
        Fault(
            "RunInstances",
            "IdempotentParameterMismatch",
            LAUNCHER,
            when=lambda params: params["InstanceType"] == "m6i.large",
        )
    )
    stage.start(stage.order("web", *SPOT))
    stage.finish()
    (switch,) = stage.switches()
    assert [r["code"] for r in switch["refusals"]] == ["InsufficientInstanceCapacity"]
    assert "IdempotentParameterMismatch" in switch["outcome"]["summary"]
    assert stage.workload()["failures"] == 1


def test_an_unknown_refusal_ends_a_planned_switch(stage: Stage) -> None:
    """Nothing was launched, for certain; nothing else is tried, and it is no failure."""
    original = stage.workload()["instance_id"]
    launch_meets(stage, "BrandNewRefusal", times=10)
    stage.start(stage.order("web", *SPOT))
    execution = stage.finish()
    assert execution.states[-4:] == ("NoCapacity", "NextCandidate", "RecordFailure", "NotSwitched")
    assert len(stage.calls_of("RunInstances")) == 1
    assert [r["scope"] for r in stage.switches()[0]["refusals"]] == ["nothing"]
    assert stage.workload()["failures"] == 0
    assert stage.alive() == {original}


def test_without_its_service_linked_role_spot_alone_is_refused(stage: Stage) -> None:
    """A planned switch whose order holds an on-demand place goes there."""
    stage.world.close_capacity(
        lifecycle="spot", error="AuthFailure.ServiceLinkedRoleCreationNotPermitted"
    )
    stage.start(stage.order("web", *SPOT, ("m5.large", ZONES[1], "on-demand")))
    assert stage.finish().status == "SUCCEEDED"
    assert len(stage.calls_of("RunInstances")) == 2
    assert stage.workload()["lifecycle"] == "on-demand"
    (refusal,) = stage.switches()[0]["refusals"]
    assert "create-service-linked-role" in refusal["cure"]


# --- rescues -------------------------------------------------------------------------------------


def only_rescue(stage: Stage) -> Execution:
    """It needs no second one, which the end of the original would start."""
    stage.finish()
    (execution,) = stage.account.executions()
    return execution


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("MaxFleetCountExceeded", "too many fleets"),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "create-service-linked-role"),
        ("UnauthorizedOperation", "widen its policy"),
        ("InvalidFleetConfig", "names the parameter"),
        ("BrandNewRefusal", "not a known EC2 error code"),
    ],
)
def test_a_refused_fleet_leaves_on_demand_to_a_rescue(code: str, cure: str) -> None:
    """The call as such is refused: one machine is bought all the same, and the record keeps the cure."""
    with ready_stage() as (stage, originals):
        stage.faults.append(Fault("CreateFleet", code, LAUNCHER))
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        assert stage.workload()["lifecycle"] == "on-demand"
        (refusal,) = stage.switches()[0]["refusals"]
        assert (refusal["code"], refusal["scope"]) == (code, "lifecycle")
        assert cure in refusal["cure"]


def test_a_rescue_passes_over_what_an_unknown_refusal_concerns() -> None:
    """Its original goes: the next place is tried, although nobody knows what the code means."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        launch_meets(stage, "BrandNewRefusal")
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        codes = [r["code"] for r in stage.switches()[0]["refusals"]]
        assert codes == ["InsufficientInstanceCapacity", "BrandNewRefusal"]
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_what_a_rescue_may_have_launched_is_not_left_running() -> None:
    """It is ended, and the next rescue, which the end of the original starts, has one machine."""
    with ready_stage() as (stage, originals):
        stage.faults.append(
            Fault(
                "CreateFleet", "IdempotentParameterMismatch", LAUNCHER, after_effect=True, times=1
            )
        )
        stage.world.interrupt(originals["web"])
        stage.finish()
        first, *_ = [e for e in stage.account.executions() if e.state_machine == "FailOver"]
        assert "FindReplacement" in first.states
        assert len(stage.calls_of("TerminateInstances")) == 1
        assert stage.alive() == {stage.workload()["instance_id"]}
        assert stage.workload()["lifecycle"] == "spot"


@pytest.mark.parametrize(("code", "status"), [("503", 503), ("InternalError", 500)])
def test_a_fleet_that_answers_again_without_its_machine_is_asked_for_it(
    code: str, status: int
) -> None:
    """Its first answer got lost; the second names the fleet alone, DescribeFleets the machine."""
    with ready_stage() as (stage, originals):
        stage.faults.append(
            Fault("CreateFleet", code, LAUNCHER, status=status, after_effect=True, times=1)
        )
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        first, second = stage.calls_of("CreateFleet")
        assert first.params["ClientToken"] == second.params["ClientToken"]
        assert stage.workload()["lifecycle"] == "spot"
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_a_fleet_that_answers_again_without_its_errors_is_asked_for_them() -> None:
    """All pools were full, and the first answer got lost: the record says so all the same."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        stage.faults.append(
            Fault("CreateFleet", "503", LAUNCHER, status=503, after_effect=True, times=1)
        )
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 2
        assert stage.workload()["lifecycle"] == "on-demand"
        (refusal,) = stage.switches()[0]["refusals"]
        assert refusal["code"] == "InsufficientInstanceCapacity"


def test_a_fleet_that_cannot_be_described_yet_is_waited_for() -> None:
    """The repeated answer names no machine and no error, so nothing follows from it."""
    with ready_stage() as (stage, originals):
        stage.faults += [
            Fault("CreateFleet", "503", LAUNCHER, status=503, after_effect=True, times=1),
            Fault("DescribeFleets", "InvalidFleetId.NotFound", LAUNCHER, times=2),
        ]
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        assert stage.switches()[0].get("refusals", []) == []
        assert stage.alive() == {stage.workload()["instance_id"]}


@pytest.mark.parametrize("code", ["InvalidFleetId.NotFound", "UnauthorizedOperation"])
def test_a_fleet_that_has_told_its_errors_need_not_be_described(code: str) -> None:
    """So new that EC2 does not find it, or not allowed: on-demand is not waited for."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        stage.faults.append(Fault("DescribeFleets", code, LAUNCHER))
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 1
        assert stage.workload()["lifecycle"] == "on-demand"


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "InternalError", "Unavailable"])
def test_a_busy_ec2_is_asked_for_spot_once_more(code: str) -> None:
    """No pool lacks capacity: a second fleet, with a token of its own, has the machine."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot", error=code)

        def has_time_again() -> None:
            if stage.calls_of("CreateFleet"):
                stage.world.reopen_capacity()

        stage.before_call["CreateFleet"] = has_time_again
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        first, second = stage.calls_of("CreateFleet")
        assert first.params["ClientToken"] != second.params["ClientToken"]
        assert stage.workload()["lifecycle"] == "spot"
        (refusal,) = stage.switches()[0]["refusals"]
        assert (refusal["code"], refusal["scope"], refusal["again"]) == (code, "time", True)
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_a_busy_ec2_is_not_asked_for_spot_a_third_time() -> None:
    """The workload has two minutes: then on-demand is bought."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot", error="RequestLimitExceeded")
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 2
        assert stage.workload()["lifecycle"] == "on-demand"
        refusals = stage.switches()[0]["refusals"]
        assert [r["scope"] for r in refusals] == ["time", "lifecycle"]


def test_one_full_pool_is_enough_to_buy_on_demand() -> None:
    """What EC2 had no time for may be full as well: a rescue does not wait for it."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity("m5.*", lifecycle="spot")
        stage.world.close_capacity(lifecycle="spot", error="RequestLimitExceeded")
        stage.world.interrupt(originals["web"])
        assert only_rescue(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 1
        assert stage.workload()["lifecycle"] == "on-demand"
