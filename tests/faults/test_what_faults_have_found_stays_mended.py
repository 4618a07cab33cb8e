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


def with_fault(servers: Servers, trial: str, kind: str, call: str) -> RunResult:
    """The run of a trial with a fault at the first such call."""
    (clean,) = servers.run([RunSpec(trial, SEED)])
    calls = [name for name, *_ in clean.calls]
    number = next(n for n, name in enumerate(calls, start=1) if name.endswith(f" {call}"))
    spec = RunSpec(trial, SEED, (f"{number}:{kind}",))
    print(spec.command)
    (result,) = servers.run([spec])
    assert result.violation is None
    return result


def test_an_expired_claim_leaves_no_live_record(servers: Servers) -> None:
    """Stopped at its claim, a switch has neither claim nor instance once another one has claimed."""
    result = with_fault(
        servers, "overtaken", "aborted", "dynamodb.TransactWriteItems by UpdateLedger"
    )
    assert sorted(result.outcomes) == ["web DONE", "web FAILED"]


def test_a_stopped_machine_is_rescued_again(servers: Servers) -> None:
    """A cycle between two rescues does not refuse it because it stands still."""
    result = with_fault(
        servers, "failover-stop", "denied", "ec2.DescribeLaunchTemplateVersions by LaunchReplacement"
    )
    assert result.outcomes[-1] == "web DONE"
    assert "web FAILED" in result.outcomes


def test_a_replacement_that_has_ended_is_not_registered(servers: Servers) -> None:
    """ELB refuses it by name; the run takes that for a replacement that does not become healthy."""
    with_fault(servers, "failover-during-hand-over", "denied", "ec2.DescribeInstances by FailOver")
