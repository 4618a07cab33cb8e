"""After a refused launch, exactly those candidates are tried that can help."""

from itertools import product

import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.error_table import BY_CODE, BY_STATE_REASON
from spot_optimizer.switching.launch_refusals import (
    refusal_of,
    refusal_of_state_reason,
    scope_of_stored,
    stored_scope,
)
from spot_optimizer.switching.next_candidate import family_class, next_candidate
from spot_optimizer.vocabulary import Lifecycle, Scope
from tests.switching.described_instances import Place

ALL = [
    Place(*each)
    for each in product(
        ["m5.large", "r6a.large", "g5.xlarge"], ["us-east-1a", "us-east-1b"], list(Lifecycle)
    )
]


@pytest.mark.parametrize(
    ("code", "message", "scope"),
    [
        ("InsufficientInstanceCapacity", "", Scope.POOL),
        ("UnfulfillableCapacity", "", Scope.POOL),
        ("Unsupported", "Your requested instance type (m5.large) is not supported in", Scope.POOL),
        ("InsufficientFreeAddressesInSubnet", "", Scope.SUBNET),
        ("InsufficientCidrBlocks", "", Scope.SUBNET),
        (
            "InvalidParameterValue",
            "The specified subnet does not have enough free cidr blocks to satisfy the request.",
            Scope.SUBNET,
        ),
        (
            "InvalidParameterValue",
            "No IPv6 CIDR block is associated with the subnet.",
            Scope.SUBNET,
        ),
        ("InvalidParameterValue", "There are no free prefixes in subnet-1.", Scope.SUBNET),
        ("InvalidParameterValue", "The prefix list pl-1 does not exist.", Scope.NOTHING),
        ("VcpuLimitExceeded", "", Scope.FAMILY),
        ("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded", Scope.FAMILY),
        ("RequestLimitExceeded", "", Scope.TIME),
        ("InternalError", "", Scope.TIME),
        ("InvalidLaunchTemplateId.VersionNotFound", "", Scope.TIME),
        ("UnauthorizedOperation", "You may not use this architecture", Scope.NOTHING),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "", Scope.LIFECYCLE),
        ("MaxFleetCountExceeded", "You've reached your quota for maximum", Scope.LIFECYCLE),
        ("InvalidKMSKey.InvalidState", "", Scope.NOTHING),
        ("OptInRequired", "In order to use this AWS Marketplace product", Scope.NOTHING),
        ("InvalidAMIID.Unavailable", "", Scope.NOTHING),
        ("InvalidGroup.NotFound", "", Scope.NOTHING),
        ("InvalidKeyPair.NotFound", "", Scope.NOTHING),
        ("PendingVerification", "", Scope.NOTHING),
        ("TagLimitExceeded", "", Scope.NOTHING),
        ("InvalidParameterValue", "Invalid availability zone: [us-east-1x]", Scope.ZONE),
        (
            "InvalidParameterValue",
            "The architecture 'arm64' of the specified instance type does not match",
            Scope.POOL,
        ),
        (
            "InvalidParameterCombination",
            "Enhanced networking with the Elastic Network Adapter (ENA) is required for the"
            " 'm5.large' instance type.",
            Scope.POOL,
        ),
        ("InvalidParameterCombination", "Network interfaces and an instance-level", Scope.NOTHING),
        ("InsufficientSomethingNewCapacity", "", Scope.POOL),
        ("SomethingNewLimitExceeded", "", Scope.NOTHING),
    ],
)
def test_error_of_a_call_has_its_scope(code: str, message: str, scope: Scope) -> None:
    """Each documented error rules out what it must, and no more."""
    refusal = refusal_of(code, message)
    assert refusal.scope is scope
    assert refusal.cure.endswith(".")
    assert refusal_of(f"Client.{code}", message) == refusal


def test_unknown_error_is_named_and_rules_out_everything() -> None:
    """No other pool is tried at random."""
    refusal = refusal_of("BrandNewError", "?")
    assert refusal.scope is Scope.NOTHING
    assert "BrandNewError" in refusal.cure


def test_error_that_the_sdk_calls_throttling_or_transient_only_waits() -> None:
    """No code that botocore retries is a lasting refusal."""
    codes = (
        *vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"],
        *vars(TransientRetryableChecker)["_TRANSIENT_ERROR_CODES"],
    )
    assert {code: refusal_of(code).scope for code in codes} == dict.fromkeys(codes, Scope.TIME)


@pytest.mark.parametrize(
    ("code", "scope"),
    [
        ("Client.InternalError", Scope.NOTHING),
        ("Server.InternalError", Scope.POOL),
        ("Server.InsufficientInstanceCapacity", Scope.POOL),
        ("Server.SpotInstanceTermination", Scope.POOL),
        ("Client.VolumeLimitExceeded", Scope.NOTHING),
        ("Client.InvalidSnapshot.NotFound", Scope.NOTHING),
        ("Client.InstanceInitiatedShutdown", Scope.NOTHING),
        ("Client.InvalidKMSKey.InvalidState", Scope.NOTHING),
    ],
)
def test_instance_that_ended_at_launch_has_its_scope(code: str, scope: Scope) -> None:
    """Its StateReason is sorted like the error of a call."""
    assert refusal_of_state_reason(code).scope is scope


def test_unusable_kms_key_is_named_when_the_instance_ends() -> None:
    """A launch that succeeds and then ends for lack of a KMS grant says so."""
    assert "KMS" in refusal_of_state_reason("Client.InternalError").cure


def test_every_cure_is_one_sentence_for_people() -> None:
    """No row of the table is empty or a fragment."""
    for refusal in (*BY_CODE.values(), *BY_STATE_REASON.values()):
        assert refusal.cure[0].isupper()
        assert refusal.cure.endswith(".")


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [
        ("m5.large", "Standard"),
        ("t4g.micro", "Standard"),
        ("im4gn.large", "Standard"),
        ("trn1.2xlarge", "TRN"),
        ("inf2.xlarge", "INF"),
        ("g5.xlarge", "G and VT"),
        ("vt1.3xlarge", "G and VT"),
        ("p4d.24xlarge", "P"),
        ("x2gd.large", "X"),
        ("u-6tb1.metal", "High memory"),
        ("hpc7a.96xlarge", "HPC"),
        ("dl1.24xlarge", "DL"),
    ],
)
def test_families_share_a_quota_as_aws_groups_them(instance_type: str, expected: str) -> None:
    """A quota error of one class says nothing about another."""
    assert family_class(instance_type) == expected


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (
            Scope.POOL,
            lambda p: (
                (p.instance_type, p.availability_zone, p.lifecycle)
                != ("m5.large", "us-east-1a", Lifecycle.SPOT)
            ),
        ),
        (Scope.SUBNET, lambda p: p.subnet_id != "subnet-0000000b"),
        (Scope.ZONE, lambda p: p.availability_zone != "us-east-1a"),
        (
            Scope.FAMILY,
            lambda p: p.instance_type == "g5.xlarge" or p.lifecycle is not Lifecycle.SPOT,
        ),
        (Scope.LIFECYCLE, lambda p: p.lifecycle is not Lifecycle.SPOT),
        (Scope.TIME, lambda _: False),
        (Scope.NOTHING, lambda _: False),
    ],
)
def test_refusal_rules_out_exactly_its_scope(scope: Scope, left: object) -> None:
    """Over all pairs of candidates: a refusal leaves exactly those outside its scope."""
    first = Place("m5.large", "us-east-1a")
    for other in ALL:
        expected = 1 if other != first and left(other) else None  # type: ignore[operator]
        assert next_candidate([first, other], [(0, scope)]) == expected, other


@given(
    candidates=st.lists(st.sampled_from(ALL), min_size=1, max_size=8),
    scopes=st.lists(st.sampled_from(list(Scope)), max_size=8),
)
def test_candidates_are_tried_at_most_once_in_rank_order(
    candidates: list[Place], scopes: list[Scope]
) -> None:
    """Whatever EC2 answers, the loop over the candidates ends."""
    refused: list[tuple[int, Scope]] = []
    for scope in scopes:
        index = next_candidate(candidates, refused)
        if index is None:
            break
        assert index > max((i for i, _ in refused), default=-1)
        refused.append((index, scope))
    assert len(refused) <= len(candidates)


def test_first_candidate_is_the_best_ranked() -> None:
    """Nothing refused yet, nothing skipped."""
    assert next_candidate(ALL, []) == 0
    assert next_candidate([], []) is None


def test_full_subnet_leads_to_the_zones_next_one() -> None:
    """Then to the next zone; a pool without capacity is not tried in its other subnets."""
    here = [Place("m5.large", "us-east-1a", subnet_id=f"subnet-{n}") for n in range(2)]
    there = Place("m5.large", "us-east-1b", subnet_id="subnet-2")
    candidates = [*here, there]
    assert next_candidate(candidates, [(0, Scope.SUBNET)]) == 1
    assert next_candidate(candidates, [(0, Scope.SUBNET), (1, Scope.SUBNET)]) == 2
    assert next_candidate(candidates, [(0, Scope.POOL)]) == 2


@pytest.mark.parametrize("code", sorted({*BY_CODE, "Unheard"}))
def test_stored_scope_is_known_to_version_0_1_0_and_read_back_whole(code: str) -> None:
    """It knows no subnets: it reads a zone, and skips it whole."""
    scope = refusal_of(code).scope
    assert stored_scope(scope) in set(Scope) - {Scope.SUBNET}
    assert scope_of_stored(stored_scope(scope), code, "") is scope
