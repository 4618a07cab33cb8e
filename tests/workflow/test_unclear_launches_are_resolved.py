"""EC2's answer may not say whether it launched: a possible instance is found, a certain refusal is not
waited for."""

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
    """A stage with one instance that has a launch template."""
    print(f"seed {SEED}")
    with open_stage() as opened:
        opened.launch()
        opened.adopt()
        opened.api.clear()
        yield opened


def launch_meets(
    stage: Stage, code: str, status: int = 400, *, after_effect: bool = False, times: int = 1
) -> None:
    """RunInstances fails with this error, once or more often."""
    stage.faults.append(
        Fault("RunInstances", code, LAUNCHER, status=status, after_effect=after_effect, times=times)
    )


@pytest.mark.parametrize(
    ("code", "status"), [("500", 500), ("503", 503), ("InternalError", 500), ("BrandNewError", 500)]
)
def test_launch_with_a_lost_answer_is_found_by_the_retry(
    stage: Stage, code: str, status: int
) -> None:
    """The same call with the same token returns the instance, and nothing is refused."""
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
def test_transient_launch_error_is_retried(stage: Stage, code: str) -> None:
    """The first candidate is launched shortly after."""
    launch_meets(stage, code)
    stage.start(stage.order("web", *SPOT))
    assert stage.finish().status == "SUCCEEDED"
    (switch,) = stage.switches()
    assert (switch["candidate"], switch.get("refusals", [])) == (0, [])


@pytest.mark.parametrize(
    ("code", "status"), [("IdempotentParameterMismatch", 400), ("BrandNewError", 302)]
)
def test_possible_instance_of_an_unclear_answer_is_found_and_terminated(
    stage: Stage, code: str, status: int
) -> None:
    """An error that does not rule out an instance has it found by its tag."""
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


def test_record_has_the_error_that_ended_the_switch(stage: Stage) -> None:
    """An earlier refusal is not the failure, and a possible instance counts as one."""
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


def test_unknown_refusal_ends_a_planned_switch(stage: Stage) -> None:
    """Certainly nothing was launched; nothing else is tried, and it is no failure."""
    original = stage.workload()["instance_id"]
    launch_meets(stage, "BrandNewRefusal", times=10)
    stage.start(stage.order("web", *SPOT))
    execution = stage.finish()
    assert execution.states[-4:] == ("NoCapacity", "NextCandidate", "RecordFailure", "NotSwitched")
    assert len(stage.calls_of("RunInstances")) == 1
    assert [r["scope"] for r in stage.switches()[0]["refusals"]] == ["nothing"]
    assert stage.workload()["failures"] == 0
    assert stage.alive() == {original}


def test_missing_service_linked_role_refuses_only_spot(stage: Stage) -> None:
    """A planned switch with an on-demand candidate launches that."""
    stage.world.close_capacity(
        lifecycle="spot", error="AuthFailure.ServiceLinkedRoleCreationNotPermitted"
    )
    stage.start(stage.order("web", *SPOT, ("m5.large", ZONES[1], "on-demand")))
    assert stage.finish().status == "SUCCEEDED"
    assert len(stage.calls_of("RunInstances")) == 2
    assert stage.workload()["lifecycle"] == "on-demand"
    (refusal,) = stage.switches()[0]["refusals"]
    assert "create-service-linked-role" in refusal["cure"]


# --- failovers -----------------------------------------------------------------------------------


def only_failover(stage: Stage) -> Execution:
    """The one failover; the end of the original must not start a second."""
    stage.finish()
    (execution,) = stage.account.executions()
    return execution


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("MaxFleetCountExceeded", "too many fleets"),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "create-service-linked-role"),
        ("UnauthorizedOperation", "allow it in the role's policy"),
        ("InvalidFleetConfig", "names the parameter"),
        ("BrandNewRefusal", "not a known EC2 error code"),
    ],
)
def test_refused_fleet_leaves_on_demand_to_a_failover(code: str, cure: str) -> None:
    """The whole call is refused: one on-demand instance is launched, and the record has the cure."""
    with ready_stage() as (stage, originals):
        stage.faults.append(Fault("CreateFleet", code, LAUNCHER))
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        assert stage.workload()["lifecycle"] == "on-demand"
        (refusal,) = stage.switches()[0]["refusals"]
        assert (refusal["code"], refusal["scope"]) == (code, "lifecycle")
        assert cure in refusal["cure"]


def test_failover_skips_the_pool_of_an_unknown_refusal() -> None:
    """Its original ends: the next place is tried, although the code is unknown."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        launch_meets(stage, "BrandNewRefusal")
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        codes = [r["code"] for r in stage.switches()[0]["refusals"]]
        assert codes == ["InsufficientInstanceCapacity", "BrandNewRefusal"]
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_possible_instance_of_a_failover_is_terminated() -> None:
    """It is terminated, and the failover that the end of the original starts has one instance."""
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
def test_repeated_fleet_answer_without_its_instance_is_completed(code: str, status: int) -> None:
    """The first answer was lost; the second has only the fleet, DescribeFleets the instance."""
    with ready_stage() as (stage, originals):
        stage.faults.append(
            Fault("CreateFleet", code, LAUNCHER, status=status, after_effect=True, times=1)
        )
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        first, second = stage.calls_of("CreateFleet")
        assert first.params["ClientToken"] == second.params["ClientToken"]
        assert stage.workload()["lifecycle"] == "spot"
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_repeated_fleet_answer_without_its_errors_is_completed() -> None:
    """All pools were full, and the first answer was lost: the record has the errors."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        stage.faults.append(
            Fault("CreateFleet", "503", LAUNCHER, status=503, after_effect=True, times=1)
        )
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 2
        assert stage.workload()["lifecycle"] == "on-demand"
        (refusal,) = stage.switches()[0]["refusals"]
        assert refusal["code"] == "InsufficientInstanceCapacity"


def test_fleet_that_cannot_be_described_yet_is_retried() -> None:
    """The repeated answer has neither instance nor error, so nothing follows from it."""
    with ready_stage() as (stage, originals):
        stage.faults += [
            Fault("CreateFleet", "503", LAUNCHER, status=503, after_effect=True, times=1),
            Fault("DescribeFleets", "InvalidFleetId.NotFound", LAUNCHER, times=2),
        ]
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        assert stage.switches()[0].get("refusals", []) == []
        assert stage.alive() == {stage.workload()["instance_id"]}


@pytest.mark.parametrize("code", ["InvalidFleetId.NotFound", "UnauthorizedOperation"])
def test_fleet_whose_answer_has_errors_need_not_be_described(code: str) -> None:
    """If it is too new, or may not be described, on-demand does not wait for it."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot")
        stage.faults.append(Fault("DescribeFleets", code, LAUNCHER))
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 1
        assert stage.workload()["lifecycle"] == "on-demand"


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "InternalError", "Unavailable"])
def test_throttled_fleet_is_tried_once_more(code: str) -> None:
    """No pool lacks capacity: a second fleet, with its own token, launches the instance."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot", error=code)

        def is_available_again() -> None:
            if stage.calls_of("CreateFleet"):
                stage.world.reopen_capacity()

        stage.before_call["CreateFleet"] = is_available_again
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        first, second = stage.calls_of("CreateFleet")
        assert first.params["ClientToken"] != second.params["ClientToken"]
        assert stage.workload()["lifecycle"] == "spot"
        (refusal,) = stage.switches()[0]["refusals"]
        assert (refusal["code"], refusal["scope"], refusal["again"]) == (code, "time", True)
        assert stage.alive() == {stage.workload()["instance_id"]}


def test_throttled_fleet_is_not_tried_a_third_time() -> None:
    """The workload has two minutes: then on-demand is launched."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity(lifecycle="spot", error="RequestLimitExceeded")
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 2
        assert stage.workload()["lifecycle"] == "on-demand"
        refusals = stage.switches()[0]["refusals"]
        assert [r["scope"] for r in refusals] == ["time", "lifecycle"]


def test_one_full_pool_is_enough_for_on_demand() -> None:
    """The throttled pools may be full as well: a failover does not wait for them."""
    with ready_stage() as (stage, originals):
        stage.world.close_capacity("m5.*", lifecycle="spot")
        stage.world.close_capacity(lifecycle="spot", error="RequestLimitExceeded")
        stage.world.interrupt(originals["web"])
        assert only_failover(stage).status == "SUCCEEDED"
        assert len(stage.calls_of("CreateFleet")) == 1
        assert stage.workload()["lifecycle"] == "on-demand"
