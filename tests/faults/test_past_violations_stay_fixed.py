"""Runs that once violated an invariant, each by the call and the kind of its fault."""

from collections.abc import Iterator

import pytest

from simulator.trials.pool import Servers
from simulator.trials.run import RunResult, RunSpec

SEED = 1


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """One process that runs trials."""
    with Servers(1) as opened:
        yield opened


def with_fault(
    servers: Servers, trial: str, kind: str, call: str, occurrence: int = 0
) -> RunResult:
    """The run of a trial with a fault at the first such call, or at a later ``occurrence``."""
    (clean,) = servers.run([RunSpec(trial, SEED)])
    calls = [name for name, *_ in clean.calls]
    numbers = [n for n, name in enumerate(calls, start=1) if name.endswith(f" {call}")]
    number = numbers[occurrence]
    spec = RunSpec(trial, SEED, (f"{number}:{kind}",))
    print(spec.command)
    (result,) = servers.run([spec])
    assert result.violation is None
    return result


def test_expired_claim_leaves_no_live_record(servers: Servers) -> None:
    """A switch stopped at its claim has neither claim nor instance once another one has claimed."""
    result = with_fault(
        servers, "overtaken", "aborted", "dynamodb.TransactWriteItems by UpdateLedger"
    )
    assert sorted(result.outcomes) == ["web DONE", "web FAILED"]


def test_stopped_instance_fails_over_again(servers: Servers) -> None:
    """A cycle between two failovers does not refuse the workload because its instance is stopped."""
    result = with_fault(
        servers,
        "failover-stop",
        "denied",
        "ec2.DescribeLaunchTemplateVersions by LaunchReplacement",
    )
    assert result.outcomes[-1] == "web DONE"
    assert "web FAILED" in result.outcomes


def test_replacement_that_has_ended_is_not_registered(servers: Servers) -> None:
    """ELB refuses it by name; the switch treats it as a replacement that does not become healthy."""
    with_fault(servers, "failover-during-hand-over", "denied", "ec2.DescribeInstances by FailOver")


def test_interruption_is_not_forgotten_in_a_long_back_off(servers: Servers) -> None:
    """EC2 shows a terminated instance for an hour; after three failures the back-off is as long."""
    result = with_fault(
        servers, "failover-during-boot", "denied", "dynamodb.GetItem by LaunchReplacement"
    )
    assert result.outcomes.count("web FAILED") >= 3
    assert result.outcomes[-1] == "web DONE"


def test_replacement_of_a_failover_is_not_adopted_before_its_commit(servers: Servers) -> None:
    """Once a cycle adopted it, the failover failed and terminated it, and no signal reported that."""
    (result,) = servers.run([RunSpec("failover-sick", SEED)])
    assert result.violation is None
    assert result.outcomes[-1] == "web DONE"


def test_committed_switch_that_was_taken_over_leaves_no_original(servers: Servers) -> None:
    """Its record is DONE; if it is stopped before it terminates its original, the sweep resumes it."""
    with_fault(servers, "failover-after-commit", "aborted", "elbv2.DeregisterTargets by HandOver")


def test_two_leftovers_of_a_terminated_instance_become_one(servers: Servers) -> None:
    """A committed switch's original and a failed failover's replacement; the workload is on neither."""
    with_fault(
        servers, "failover-after-commit", "denied", "elbv2.DescribeTargetHealth by HandOver", 15
    )


def test_original_that_has_stopped_is_not_waited_for_again(servers: Servers) -> None:
    """A failover that the sweep starts knows that its original does not end, and ends in time."""
    result = with_fault(servers, "failover-stop", "aborted", "lambda.Invoke by FailOver", 1)
    assert result.outcomes == ("web FAILED", "web DONE")


def test_original_that_is_about_to_end_is_not_adopted(servers: Servers) -> None:
    """Its replacement is gone and the failover has failed; once a cycle adopted it, and its switch
    terminated it."""
    (result,) = servers.run([RunSpec("failover-full-after-commit", SEED)])
    assert result.violation is None
    assert result.outcomes[-1] == "web DONE"


def test_last_instance_of_an_ended_switch_is_adopted(servers: Servers) -> None:
    """Its switch was committed and stopped, a user terminated its replacement: the original serves on."""
    (result,) = servers.run([RunSpec("ended-after-commit", SEED)])
    assert result.violation is None
