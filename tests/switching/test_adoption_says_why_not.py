"""An instance that a switch would harm is refused with the reason; the others are adopted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spot_optimizer.settings import Settings
from spot_optimizer.switching.adoption import Adoption, judge_adoption
from spot_optimizer.switching.protections import Protections, refuse_protected
from spot_optimizer.vocabulary import Mode
from tests.switching.described_instances import CATALOG, STACK, device, instance


def judge(*rows: dict[str, Any], **context: Any) -> Adoption:
    """The verdict on instances under default settings."""
    return judge_adoption(
        rows, **{"stack": STACK, "settings": Settings(), "catalog": CATALOG, **context}
    )


def tagged(number: int = 1, _changes: dict[str, Any] | None = None, **tags: str) -> dict[str, Any]:
    """An instance with more tags under our prefix (underscores become hyphens)."""
    mine = {f"spot-optimizer:{name.replace('_', '-')}": value for name, value in tags.items()}
    return instance(number, tags={"spot-optimizer:managed": STACK, **mine}, **(_changes or {}))


def reason(row: dict[str, Any], **context: Any) -> str:
    """Why one instance is refused."""
    adoption = judge(row, **context)
    assert not adoption.adopted
    return adoption.refused[0].reason


def test_instance_without_workload_tag_is_adopted_under_its_own_id() -> None:
    """The instance id is the workload's id."""
    (adopted,) = judge(instance()).adopted
    assert adopted.workload_id == adopted.instance_id == instance()["InstanceId"]
    assert (adopted.mode, adopted.type_globs, adopted.subnets) == (Mode.AUTO, ("*",), ())
    assert not adopted.stateless_by_tag


def test_explicit_stateless_tag_is_known_of_an_adopted_instance() -> None:
    """There is no default: without it nothing is moved."""
    (adopted,) = judge(tagged(state="stateless", workload="w", mode="manual")).adopted
    assert adopted.stateless_by_tag
    assert (adopted.workload_id, adopted.mode) == ("w", Mode.MANUAL)


def test_instance_in_a_local_zone_is_adopted_with_a_warning() -> None:
    """The warning says that its exact prices are not known."""
    row = instance(Placement={"AvailabilityZone": "us-west-2-lax-1a"})
    (adopted,) = judge(row).adopted
    (warning,) = [w for w in adopted.warnings if "Local Zone" in w]
    assert "within its Local Zone us-west-2-lax-1a only" in warning
    assert not [w for w in judge(instance()).adopted[0].warnings if "Local Zone" in w]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"State": {"Name": "stopped"}}, "it is stopped"),
        ({"Platform": "windows", "PlatformDetails": "Windows"}, "product is Windows"),
        ({"PlatformDetails": "Red Hat Enterprise Linux"}, "product is Red Hat"),
        ({"ProductCodes": [{"ProductCodeId": "p1", "ProductCodeType": "marketplace"}]}, "p1"),
        ({"RootDeviceType": "instance-store"}, "root is an instance store"),
        ({"InstanceLifecycle": "scheduled"}, "lifecycle is scheduled"),
        ({"Placement": {"Tenancy": "host", "HostId": "h-1"}}, "dedicated host"),
        ({"Placement": {"GroupName": "cluster-1"}}, "placement group cluster-1"),
        ({"OutpostArn": "arn:x"}, "Outpost"),
        (
            {"Placement": {"AvailabilityZone": "us-east-1-wl1-bos-wlz-1"}},
            "Wavelength Zone us-east-1-wl1",
        ),
        ({"CapacityReservationId": "cr-1"}, "capacity reservation cr-1"),
        ({"HibernationOptions": {"Configured": True}}, "hibernate"),
        ({"CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1}}, "1 of 2 vCPU"),
        ({"CpuOptions": {"AmdSevSnp": "enabled"}}, "AmdSevSnp"),
        ({"MaintenanceOptions": {"RebootMigration": "disabled"}}, "reboot migration"),
        ({"NetworkPerformanceOptions": {"BandwidthWeighting": "vpc-1"}}, "vpc-1"),
        ({"KernelId": "aki-1"}, "KernelId"),
        ({"NetworkInterfaces": [{}, {}]}, "2 network interfaces"),
        ({"InstanceType": "zz9.large"}, "zz9.large is not in the region's catalog"),
        ({"Operator": {"Managed": True, "Principal": "eks"}}, "managed by eks"),
    ],
)
def test_unsupported_feature_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    """A switch loses nothing silently."""
    assert words in reason(instance(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PrivateIpAddresses": [{}, {}]}, "2 private addresses"),
        ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.0/28"}]}, "address prefixes"),
        ({"InterfaceType": "efa"}, "type efa"),
        ({"SourceDestCheck": False}, "source/destination check"),
        ({"Attachment": {"DeviceIndex": 0, "DeleteOnTermination": False}}, "outlives the instance"),
        (
            {"Attachment": {"DeviceIndex": 0, "EnaSrdSpecification": {"EnaSrdEnabled": True}}},
            "ENA Express",
        ),
    ],
)
def test_unsupported_network_interface_is_refused_by_name(
    change: dict[str, Any], words: str
) -> None:
    """The network interface is part of the instance."""
    row = instance()
    row["NetworkInterfaces"][0] |= change
    assert words in reason(row)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("aws:autoscaling:groupName", "Auto Scaling group"),
        ("eks:nodegroup-name", "EKS node group"),
        ("kubernetes.io/cluster/prod", "Kubernetes node"),
        ("aws:batch:compute-environment", "Batch"),
        ("aws:elasticmapreduce:job-flow-id", "EMR"),
        ("elasticbeanstalk:environment-name", "Beanstalk"),
        ("aws:ec2spot:fleet-request-id", "Spot Fleet"),
        ("aws:ec2:fleet-id", "EC2 Fleet fleet-1"),
    ],
)
def test_instance_with_another_owner_is_refused(key: str, words: str) -> None:
    """Two owners would replace each other's instances forever."""
    row = instance(tags={"spot-optimizer:managed": STACK, key: "fleet-1"})
    assert words in reason(row)


def test_instance_of_our_own_instant_fleet_is_adopted() -> None:
    """A failover's fleet also leaves the tag, but replaces nothing."""
    row = instance(tags={"spot-optimizer:managed": STACK, "aws:ec2:fleet-id": "fleet-1"})
    assert judge(row, own_fleet_ids=frozenset({"fleet-1"})).adopted


def test_instances_with_one_workload_id_are_both_refused() -> None:
    """Neither is known to be the right one; the reason names both."""
    adoption = judge(tagged(1, workload="w"), tagged(2, workload="w"), tagged(3, workload="v"))
    assert [a.workload_id for a in adoption.adopted] == ["v"]
    assert len(adoption.refused) == 2
    for refused in adoption.refused:
        assert instance(1)["InstanceId"] in refused.reason
        assert instance(2)["InstanceId"] in refused.reason


def test_instances_of_a_live_switch_are_no_duplicates() -> None:
    """Original and replacement share the workload id during the switch."""
    replacement = tagged(2, workload="w")
    adoption = judge(
        tagged(1, workload="w"),
        replacement,
        owned_by_switches=frozenset({replacement["InstanceId"]}),
    )
    assert [a.instance_id for a in adoption.adopted] == [instance(1)["InstanceId"]]
    assert not adoption.refused


@pytest.mark.parametrize("state", ["terminated", "shutting-down", "pending"])
def test_starting_or_ending_instance_is_not_judged(state: str) -> None:
    """EC2 shows a terminated instance with its tags for an hour."""
    adoption = judge(tagged(1, workload="w"), tagged(2, {"State": {"Name": state}}, workload="w"))
    assert (len(adoption.adopted), len(adoption.refused)) == (1, 0)


def test_instance_of_another_stack_is_not_judged() -> None:
    """Neither without our tag nor with another stack's."""
    other = instance(tags={"spot-optimizer:managed": "another", "spot-optimizer:mode": "??"})
    assert judge(instance(tags={}), other) == Adoption((), ())


def test_instance_store_is_lost_only_if_its_tag_allows_it() -> None:
    """The catalog knows which types have one."""
    change = {"InstanceType": "m5d.large"}
    assert "instance-store-may-be-lost = true" in reason(tagged(1, change))
    assert judge(tagged(1, change, instance_store_may_be_lost="true")).adopted


def test_volume_is_lost_only_if_its_tags_allow_it() -> None:
    """A kept volume never; a data volume if it is deleted on termination and the tag says stateless."""
    data = {"BlockDeviceMappings": [device("/dev/xvda", "vol-a"), device("/dev/sdf", "vol-b")]}
    kept = {"BlockDeviceMappings": [device("/dev/xvda", "vol-a", delete=False)]}
    assert "vol-b at /dev/sdf is a data volume" in reason(tagged(1, data))
    assert judge(tagged(1, data, state="stateless")).adopted
    assert "vol-a at /dev/xvda is kept" in reason(tagged(1, kept, state="stateless"))


@pytest.mark.parametrize("auto_terminate", ["true", "false"])
def test_termination_protection_and_auto_terminate_exclude_each_other(auto_terminate: str) -> None:
    """The original could not be terminated; if it need not be, a warning says that spot has none."""
    row = tagged(1, auto_terminate=auto_terminate)
    protections = {row["InstanceId"]: Protections(termination=True, stop=False)}
    verdict = refuse_protected(judge(row).adopted, protections)
    if auto_terminate == "true":
        assert "termination protection is on" in verdict.refused[0].reason
    else:
        (adopted,) = verdict.adopted
        assert any("termination protection" in warning for warning in adopted.warnings)


def test_stop_protection_is_refused() -> None:
    """A replacement cannot have it."""
    protections = {instance()["InstanceId"]: Protections(termination=False, stop=True)}
    verdict = refuse_protected(judge(instance()).adopted, protections)
    assert "stop protection" in verdict.refused[0].reason


def test_an_instance_that_was_not_read_is_not_refused_for_protections() -> None:
    """What a cycle does not know of an instance counts neither way."""
    adopted = judge(instance()).adopted
    assert refuse_protected(adopted, {}).adopted == adopted


def test_cloudformation_and_dedicated_tenancy_are_adopted_with_warnings() -> None:
    """Neither prevents a switch."""
    row = tagged(1, {"Placement": {"Tenancy": "dedicated"}}, state="stateless")
    row["Tags"].append({"Key": "aws:cloudformation:stack-name", "Value": "infra"})
    (adopted,) = judge(row).adopted
    assert "infra" in adopted.warnings[0]
    assert "dedicated" in adopted.warnings[1]


def test_invalid_tags_and_types_are_refused() -> None:
    """A pattern that matches nothing would leave the workload without a pool."""
    assert "mode = 'x'" in reason(tagged(mode="x"))
    assert "'m9*' matches no type" in reason(tagged(types="m5*,m9*"))


def test_refusal_names_all_reasons_at_once() -> None:
    """Nobody has to correct one thing per cycle."""
    text = reason(instance(OutpostArn="arn:x", KernelId="aki-1"))
    assert "Outpost" in text
    assert "KernelId" in text


@given(
    broken=st.sampled_from(["InstanceType", "BlockDeviceMappings", "NetworkInterfaces"]),
    value=st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just([1])),
)
def test_instance_that_cannot_be_judged_never_stops_the_others(broken: str, value: object) -> None:
    """Whatever a field contains, the other workload is adopted."""
    adoption = judge(tagged(1, {broken: value}, workload="bad"), tagged(2, workload="good"))
    assert "good" in [a.workload_id for a in adoption.adopted]
    assert len(adoption.adopted) + len(adoption.refused) == 2


def test_verdict_is_in_the_order_of_workload_ids() -> None:
    """The order of EC2's pages does not change the verdict."""
    rows = [tagged(number, workload=f"w{9 - number}") for number in range(1, 6)]
    assert judge(*rows) == judge(*reversed(rows))
    assert [a.workload_id for a in judge(*rows).adopted] == ["w4", "w5", "w6", "w7", "w8"]


def test_product_code_outside_the_marketplace_is_no_obstacle() -> None:
    """AWS gives its own images product codes of type devpay or without a type."""
    codes = [{"ProductCodeId": "abc", "ProductCodeType": "devpay"}]
    assert judge(tagged(_changes={"ProductCodes": codes})).adopted
