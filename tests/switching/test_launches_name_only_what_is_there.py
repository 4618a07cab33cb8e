"""What others have deleted is said in words, and left out where a launch can do without it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.switching.launch_resources import (
    LaunchResources,
    launch_findings,
    resources_of,
)
from spot_optimizer.switching.launch_template import template_data

PROFILE = "arn:aws:iam::111122223333:instance-profile/web"


def _instance(state: str) -> dict[str, Any]:
    return {
        "InstanceId": "i-1",
        "InstanceType": "m5.large",
        "ImageId": "ami-1",
        "KeyName": "team",
        "RootDeviceName": "/dev/xvda",
        "IamInstanceProfile": {"Arn": PROFILE},
        "Placement": {"Tenancy": "default", "AvailabilityZone": "us-east-1a"},
        "SecurityGroups": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}],
        "Tags": [{"Key": "spot-optimizer:state", "Value": state}] if state else [],
        "BlockDeviceMappings": [
            {"DeviceName": f"/dev/{name}", "Ebs": {"VolumeId": name, "DeleteOnTermination": True}}
            for name in ("xvda", "sdf", "sdg")
        ],
    }


VOLUMES = [
    {"VolumeId": "xvda", "Size": 8, "VolumeType": "gp3", "SnapshotId": "snap-root"},
    {"VolumeId": "sdf", "Size": 50, "VolumeType": "gp3", "SnapshotId": "snap-data"},
    {"VolumeId": "sdg", "Size": 20, "VolumeType": "gp3", "SnapshotId": ""},
]
NAMED = LaunchResources(
    images=frozenset({"ami-1"}),
    snapshots=frozenset({"snap-data"}),
    security_groups=frozenset({"sg-1", "sg-2"}),
    key_pairs=frozenset({"team"}),
    instance_profiles=frozenset({PROFILE}),
)


def _some(of: frozenset[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(sorted({*of, "of another instance"})))


_GONE = st.builds(
    LaunchResources,
    images=_some(NAMED.images),
    snapshots=_some(NAMED.snapshots | {"snap-root"}),
    security_groups=_some(NAMED.security_groups),
    key_pairs=_some(NAMED.key_pairs),
    instance_profiles=_some(NAMED.instance_profiles),
)


def _names(resources: LaunchResources) -> set[str]:
    return {
        *resources.images,
        *resources.snapshots,
        *resources.security_groups,
        *resources.key_pairs,
        *resources.instance_profiles,
    }


def _data(state: str, gone: LaunchResources) -> dict[str, Any]:
    return template_data(
        {},
        _instance(state),
        VOLUMES,
        stack="s",
        workload_id="w",
        interface_tags={},
        gone=gone,
    )


def test_a_launch_names_all_that_is_looked_up() -> None:
    assert resources_of(_instance(""), VOLUMES) == NAMED


@given(_GONE, st.sampled_from(["", "stateless"]))
def test_everything_that_is_gone_is_said_by_name(gone: LaunchResources, state: str) -> None:
    """What the instance does not use is no concern of it, and its root volume comes from its image."""
    found = launch_findings(_instance(state), VOLUMES, gone)
    said = " ".join((*found.problems, *found.losses))
    for name in _names(NAMED):
        assert (name in said) == (name in _names(gone))
    assert "snap-root" not in said
    assert "another" not in said


@given(_GONE, st.sampled_from(["", "stateless"]))
def test_a_launch_names_nothing_that_it_can_do_without(gone: LaunchResources, state: str) -> None:
    """No key pair, no role, and a blank volume where the user has said so; nothing else changes."""
    whole, data = _data(state, LaunchResources()), _data(state, gone)
    assert ("KeyName" in data) == ("team" not in gone.key_pairs)
    assert ("IamInstanceProfile" in data) == (PROFILE not in gone.instance_profiles)
    blank = state == "stateless" and "snap-data" in gone.snapshots
    assert ("snap-data" in str(data["BlockDeviceMappings"])) != blank
    if blank:
        whole["BlockDeviceMappings"][1]["Ebs"].pop("SnapshotId")
    for name in whole.keys() - {"KeyName", "IamInstanceProfile"}:
        assert data[name] == whole[name]


@pytest.mark.parametrize(("state", "held"), [("", True), ("stateless", False)])
def test_only_the_user_may_give_up_the_data_of_a_snapshot(state: str, held: bool) -> None:
    """Without the tag, planned switches wait; with it, they go on with a blank volume."""
    gone = LaunchResources(snapshots=frozenset({"snap-data"}))
    found = launch_findings(_instance(state), VOLUMES, gone)
    assert (bool(found.problems), bool(found.losses)) == (held, not held)
