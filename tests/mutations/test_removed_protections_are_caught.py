"""Mutation tests: without any one protection a run violates what it protects."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from simulator.trials.pool import Servers
from simulator.trials.run import RunResult, RunSpec
from tests.mutations.removals import REMOVALS

SEED = 1


@dataclass(frozen=True)
class Proof:
    """A run that is clean with the protection, and what it shows without.

    Attributes:
        call: the call of the clean run that meets the fault, as the soak prints it.
    """

    trial: str
    shows: str
    kind: str = ""
    call: str = ""


PROOFS = {
    "client_token": Proof(
        "switch", "invariant 12 .* 2 instances", "lost-reply", "ec2.RunInstances by LaunchReplacement"
    ),
    "health_gate": Proof("undo-untargeted", "invariant 1 .* unhealthy instance"),
    "fence": Proof("overtaken", "invariant 7 .* stale token"),
    "claim_expiry": Proof("dead-claim", "TrialFailed: .* is FAILED"),
    "breaker_check": Proof("breaker", "invariant 8 .* breaker open"),
    "sweep": Proof(
        "switch", "not quiet 0:20:00 after", "aborted", "ec2.RunInstances by LaunchReplacement"
    ),
    "deduplication": Proof(
        "failover", "invariant 5 .* 2 executions", "lost-reply",
        "stepfunctions.StartExecution by HandleSignal",
    ),
    "retry_bound": Proof("undo", "not quiet 0:20:00 after"),
    "tag_check": Proof("capacity-loop", "the stranger"),
    "commit": Proof("switch", "invariant 1 .* terminated without a permission"),
}  # fmt: skip


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """One process that runs trials."""
    with Servers(1) as opened:
        yield opened


def carry_out(servers: Servers, spec: RunSpec) -> RunResult:
    """One run; it is printed so that it can be repeated."""
    print(spec.command, spec.without)
    (result,) = servers.run([spec])
    return result


def with_fault(servers: Servers, proof: Proof) -> RunSpec:
    """The run of a proof, its fault at the call that it names."""
    run = RunSpec(proof.trial, SEED)
    if not proof.kind:
        return run
    calls = [call for call, *_ in carry_out(servers, run).calls]
    number = next(n for n, call in enumerate(calls, start=1) if call.endswith(f" {proof.call}"))
    return replace(run, faults=(f"{number}:{proof.kind}",))


def test_every_protection_has_a_proof() -> None:
    """Ten protections, each with a run that needs it."""
    assert set(PROOFS) == set(REMOVALS)
    assert len(PROOFS) == 10


def test_intact_product_passes_behind_the_same_seams(servers: Servers) -> None:
    """Calls that are rewritten to themselves leave a run as it is: the removal alone is caught."""
    for trial in ("switch", "failover", "breaker"):
        intact = RunSpec(trial, SEED)
        clean = carry_out(servers, intact)
        rewritten = carry_out(servers, replace(intact, without="tests.mutations.removals:nothing"))
        assert (clean.violation, rewritten.violation) == (None, None)
        assert rewritten.trace == clean.trace


@pytest.mark.parametrize("removed", PROOFS)
def test_removal_of_a_protection_is_caught(servers: Servers, removed: str) -> None:
    """The run is clean with it, and violates what it protects without it."""
    proof = PROOFS[removed]
    intact = with_fault(servers, proof)
    assert carry_out(servers, intact).violation is None
    without = carry_out(servers, replace(intact, without=f"tests.mutations.removals:{removed}"))
    assert without.violation is not None
    assert re.search(proof.shows, without.violation), without.violation
