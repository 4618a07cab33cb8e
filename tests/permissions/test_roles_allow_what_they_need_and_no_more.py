"""Each role of the template is asked what it should allow, and what it must not."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.deployed import REGION, STACK
from simulator.permissions.demand import Demand, demand, tag_context
from tests.permissions.conftest import INSTANCE_ROLE, KEY, LICENSE, Deployed

OURS = {"spot-optimizer:managed": STACK}
LET_GO = {"spot-optimizer:workload": "web"}
ADOPTED = {**OURS, **LET_GO}
LAUNCHED = {**OURS, "spot-optimizer:workload": "web", "spot-optimizer:switch": "web-1"}
ANOTHER_STACKS = {"spot-optimizer:managed": "another-stack"}
UNTAGGED: dict[str, str] = {}


TEMPLATE_ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:launch-template/lt-1"


def _ec2(kind: str, name: str = "*") -> str:
    account = "" if kind in ("image", "snapshot") else ACCOUNT_ID
    return f"arn:aws:ec2:{REGION}:{account}:{kind}/{name}"


def _on_instance(action: str, tags: dict[str, str]) -> Demand:
    return demand(f"ec2:{action}", _ec2("instance", "i-1"), tag_context(present=tags))


def _untag(tags: dict[str, str], *keys: str) -> Demand:
    """Without keys DeleteTags removes all of a user's tags (API_DeleteTags)."""
    context = tag_context(requested=dict.fromkeys(keys, ""), present=tags)
    return demand("ec2:DeleteTags", _ec2("instance", "i-1"), context)


def _tag(kind: str, present: dict[str, str], requested: dict[str, str]) -> Demand:
    context = tag_context(requested=requested, present=present)
    return demand("ec2:CreateTags", _ec2(kind, "x-1"), context)


def _tag_new(kind: str, requested: dict[str, str], by: str) -> Demand:
    context = {**tag_context(requested=requested), "ec2:CreateAction": (by,)}
    return demand("ec2:CreateTags", _ec2(kind), context)


def _create(action: str, kind: str, tags: dict[str, str]) -> Demand:
    return demand(f"ec2:{action}", _ec2(kind), tag_context(requested=tags))


def _launch(
    action: str, kind: str, tags: dict[str, str], template: str | None = TEMPLATE_ARN
) -> Demand:
    """Something that a launch creates, by default from a launch template of this account."""
    from_template = {"ec2:LaunchTemplate": (template,)} if template else {}
    return demand(f"ec2:{action}", _ec2(kind), {**tag_context(requested=tags), **from_template})


def _use(action: str, kind: str, tags: dict[str, str] = UNTAGGED) -> Demand:
    return demand(f"ec2:{action}", _ec2(kind, "x-1"), tag_context(present=tags))


def _in_shared_vpc(action: str, kind: str) -> Demand:
    """Subnets and groups of a VPC that another account shares have that account's id (VPC user guide,
    "Share your VPC subnets with other accounts")."""
    return demand(f"ec2:{action}", _ec2(kind, "x-1").replace(ACCOUNT_ID, "210987654321"))


def _pass_role(role: str, to: str = "ec2.amazonaws.com") -> Demand:
    return demand("iam:PassRole", role, {"iam:PassedToService": (to,)})


def _key(action: str, key: str = KEY, *, via: str | None = "ec2", grant: bool = True) -> Demand:
    context: dict[str, tuple[str, ...]] = {"kms:GrantIsForAWSResource": (str(grant).lower(),)}
    if via:
        context["kms:ViaService"] = (f"{via}.{REGION}.amazonaws.com",)
    return demand(f"kms:{action}", key, context)


class Case(NamedTuple):
    """A role (by the logical id of what has it) and what it is asked."""

    role: str
    what: str
    asked: Callable[[Deployed], Demand]


def _case(role: str, what: str, asked: Demand) -> Case:
    return Case(role, what, lambda _deployed: asked)


def _table(role: str, action: str, partition: str, *, other: bool = False) -> Case:
    def asked(deployed: Deployed) -> Demand:
        table = "another-table" if other else deployed.ids["Ledger"]
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}"
        return demand(f"dynamodb:{action}", arn, {"dynamodb:LeadingKeys": (partition,)})

    return Case(
        role, f"{action} {partition} in {'another table' if other else 'the ledger'}", asked
    )


def _object(role: str, action: str, key: str, *, other: bool = False) -> Case:
    def asked(deployed: Deployed) -> Demand:
        bucket = "another-bucket" if other else deployed.ids["DataBucket"]
        return demand(f"s3:{action}", f"arn:aws:s3:::{bucket}/{key}")

    return Case(role, f"{action} of {key}{' in another bucket' if other else ''}", asked)


def _start(role: str, state_machine: str) -> Case:
    def asked(deployed: Deployed) -> Demand:
        foreign = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:another"
        return demand("states:StartExecution", deployed.ids.get(state_machine, foreign))

    return Case(role, f"start {state_machine}", asked)


def _invoke(role: str, function: str) -> Case:
    def asked(deployed: Deployed) -> Demand:
        name, _, qualifier = function.partition(":")
        name = ":".join(filter(None, (deployed.ids.get(name, name), qualifier)))
        return demand(
            "lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}"
        )

    return Case(role, f"invoke {function}", asked)


def _move_alias(function: str) -> Case:
    def asked(deployed: Deployed) -> Demand:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{deployed.ids[function]}"
        return demand("lambda:UpdateAlias", arn)

    return Case("GradualDeployment", f"move the alias of {function}", asked)


LAUNCH = "LaunchReplacement"
ALLOWED = (
    _case("SwitchInstance", "terminate what is managed", _on_instance("TerminateInstances", OURS)),
    _case(
        "FailOver", "terminate what a switch launched", _on_instance("TerminateInstances", LAUNCHED)
    ),
    _case(
        "Sweep", "terminate what a switch launched", _on_instance("TerminateInstances", LAUNCHED)
    ),
    _case("SwitchInstance", "let an original go", _untag(ADOPTED, "spot-optimizer:managed")),
    _case("FailOver", "let an original go", _untag(ADOPTED, "spot-optimizer:managed")),
    _case("SwitchInstance", "let it go once more", _untag(LET_GO, "spot-optimizer:managed")),
    _case("FailOver", "let it go once more", _untag(LET_GO, "spot-optimizer:managed")),
    _case("Decide", "name a workload", _tag("instance", OURS, {"spot-optimizer:workload": "i-1"})),
    _case(
        "Decide", "make a tagged template", _create("CreateLaunchTemplate", "launch-template", OURS)
    ),
    _case(
        "Decide", "tag a new template", _tag_new("launch-template", OURS, "CreateLaunchTemplate")
    ),
    _case(
        "Decide",
        "update our template",
        _use("CreateLaunchTemplateVersion", "launch-template", OURS),
    ),
    _case("Decide", "read a managed instance", _on_instance("GetLaunchTemplateData", OURS)),
    _case(
        "InspectReplacement", "read a managed one", _on_instance("DescribeInstanceAttribute", OURS)
    ),
    _case(LAUNCH, "launch tagged", _launch("RunInstances", "instance", LAUNCHED)),
    _case(LAUNCH, "launch a tagged interface", _launch("RunInstances", "network-interface", OURS)),
    _case(LAUNCH, "launch a tagged volume", _launch("RunInstances", "volume", LAUNCHED)),
    _case(LAUNCH, "launch from our template", _use("RunInstances", "launch-template", OURS)),
    _case(
        LAUNCH, "launch a tagged instance by fleet", _launch("CreateFleet", "instance", LAUNCHED)
    ),
    _case(LAUNCH, "launch from an image", _use("RunInstances", "image")),
    _case(LAUNCH, "launch from an image by fleet", _use("CreateFleet", "image")),
    _case(LAUNCH, "launch volumes by fleet", _launch("CreateFleet", "volume", UNTAGGED)),
    _case(LAUNCH, "launch in a shared subnet", _in_shared_vpc("RunInstances", "subnet")),
    _case(LAUNCH, "launch in a shared subnet by fleet", _in_shared_vpc("CreateFleet", "subnet")),
    _case(LAUNCH, "launch with a shared group", _in_shared_vpc("RunInstances", "security-group")),
    _case(LAUNCH, "launch with a shared license", demand("ec2:RunInstances", LICENSE)),
    _case(LAUNCH, "tag what a launch creates", _tag_new("volume", LAUNCHED, "RunInstances")),
    _case(LAUNCH, "tag what a fleet creates", _tag_new("instance", LAUNCHED, "CreateFleet")),
    _case(LAUNCH, "pass a named role", _pass_role(INSTANCE_ROLE)),
    _case(LAUNCH, "grant a named key", _key("CreateGrant")),
    _case(LAUNCH, "decrypt by way of EC2", _key("Decrypt")),
    _case("HandOver", "look up subnets to register targets", demand("ec2:DescribeSubnets")),
    _case("HandOver", "move an address here", _on_instance("AssociateAddress", OURS)),
    _table("UpdateLedger", "PutItem", "WORKLOAD#web"),
    _table("SwitchInstance", "UpdateItem", "WORKLOAD#web"),
    _table("RefreshMarket", "PutItem", "MODELS"),
    _table("RefreshMarket", "Query", "WORKLOADS"),
    _table("HandleSignal", "UpdateItem", "INSTANCE#i-1"),
    _table("Command", "UpdateItem", "STACK"),
    _object("RefreshMarket", "PutObject", "market/snapshot.json.gz"),
    _object("Decide", "PutObject", "decisions/2026/03/02/cycle.jsonl.gz"),
    _start("Decide", "SwitchInstance"),
    _start("HandleSignal", "FailOver"),
    _invoke("Command", "Decide:live"),
    _invoke("SwitchInstance", "HandOver:7"),
    _move_alias("Decide"),
)
DENIED = (
    _case("SwitchInstance", "terminate untagged", _on_instance("TerminateInstances", UNTAGGED)),
    _case(
        "SwitchInstance", "terminate another's", _on_instance("TerminateInstances", ANOTHER_STACKS)
    ),
    _case("FailOver", "terminate a user's own", _on_instance("TerminateInstances", OURS)),
    _case("Sweep", "terminate a user's own", _on_instance("TerminateInstances", OURS)),
    _case("Sweep", "terminate untagged", _on_instance("TerminateInstances", UNTAGGED)),
    _case(LAUNCH, "terminate", _on_instance("TerminateInstances", LAUNCHED)),
    _case("Decide", "terminate", _on_instance("TerminateInstances", LAUNCHED)),
    _case("HandOver", "stop", _on_instance("StopInstances", OURS)),
    _case(LAUNCH, "launch untagged", _launch("RunInstances", "instance", UNTAGGED)),
    _case(LAUNCH, "launch for another stack", _launch("RunInstances", "instance", ANOTHER_STACKS)),
    _case(LAUNCH, "launch an untagged volume", _launch("RunInstances", "volume", UNTAGGED)),
    *(
        _case(
            LAUNCH,
            f"launch {kind} without a template by {action}",
            _launch(action, kind, LAUNCHED, None),
        )
        for action, kind in (
            ("RunInstances", "instance"),
            ("RunInstances", "volume"),
            ("RunInstances", "network-interface"),
            ("CreateFleet", "instance"),
            ("CreateFleet", "volume"),
        )
    ),
    _case(
        LAUNCH,
        "launch from another account's template",
        _launch(
            "RunInstances", "instance", LAUNCHED, TEMPLATE_ARN.replace(ACCOUNT_ID, "210987654321")
        ),
    ),
    _case(LAUNCH, "launch from a foreign template", _use("RunInstances", "launch-template")),
    _case(
        LAUNCH,
        "launch by fleet from another's template",
        _use("CreateFleet", "launch-template", ANOTHER_STACKS),
    ),
    _case(LAUNCH, "launch untagged by fleet", _launch("CreateFleet", "instance", UNTAGGED)),
    _case(LAUNCH, "start with a license", demand("ec2:StartInstances", LICENSE)),
    _case(
        LAUNCH, "change a license", demand("license-manager:UpdateLicenseConfiguration", LICENSE)
    ),
    _case(LAUNCH, "tag late", _tag("instance", UNTAGGED, OURS)),
    _case(LAUNCH, "tag late what is ours", _tag("instance", LAUNCHED, {"Name": "x"})),
    _case(LAUNCH, "tag a new subnet", _tag_new("subnet", OURS, "CreateSubnet")),
    _case(LAUNCH, "pass a foreign role", _pass_role(f"arn:aws:iam::{ACCOUNT_ID}:role/admin")),
    _case(LAUNCH, "pass a role to Lambda", _pass_role(INSTANCE_ROLE, "lambda.amazonaws.com")),
    _case(LAUNCH, "grant a key to a person", _key("CreateGrant", grant=False)),
    _case(LAUNCH, "grant a foreign key", _key("CreateGrant", KEY.replace("1234abcd", "0000beef"))),
    _case(LAUNCH, "decrypt by itself", _key("Decrypt", via=None)),
    _case(LAUNCH, "decrypt by way of S3", _key("Decrypt", via="s3")),
    _case("Decide", "launch", _launch("RunInstances", "instance", LAUNCHED)),
    _case("SwitchInstance", "launch", _launch("RunInstances", "instance", LAUNCHED)),
    _case("Sweep", "launch", _launch("CreateFleet", "instance", LAUNCHED)),
    _case("Decide", "tag a foreign instance", _tag("instance", UNTAGGED, OURS)),
    _case("Decide", "tag with another key", _tag("instance", OURS, {"Name": "mine"})),
    _case(
        "Decide",
        "tag with another key besides",
        _tag("instance", OURS, {"spot-optimizer:workload": "web", "Name": "mine"}),
    ),
    _case(
        "Decide",
        "make an untagged template",
        _create("CreateLaunchTemplate", "launch-template", {}),
    ),
    _case(
        "Decide",
        "change a foreign template",
        _use("CreateLaunchTemplateVersion", "launch-template"),
    ),
    _case(
        "Decide", "read a foreign user data", _on_instance("DescribeInstanceAttribute", UNTAGGED)
    ),
    _case("SwitchInstance", "take another tag away", _untag(OURS, "Name")),
    _case(
        "SwitchInstance",
        "take another away besides",
        _untag(OURS, "spot-optimizer:managed", "Name"),
    ),
    _case("SwitchInstance", "take all tags away", _untag(ADOPTED)),
    _case("FailOver", "take all tags away", _untag(ADOPTED)),
    _case("SwitchInstance", "untag a foreign instance", _untag(UNTAGGED, "spot-optimizer:managed")),
    _case(
        "SwitchInstance",
        "untag another stack's instance",
        _untag({**LET_GO, **ANOTHER_STACKS}, "spot-optimizer:managed"),
    ),
    _case(
        "HandOver", "move an address to a foreign instance", _on_instance("AssociateAddress", {})
    ),
    _table("UpdateLedger", "PutItem", "WORKLOAD#web", other=True),
    _table("UpdateLedger", "DeleteItem", "WORKLOAD#web"),
    _table("UpdateLedger", "PutItem", "MODELS"),
    _table("SwitchInstance", "DeleteItem", "WORKLOAD#web"),
    _table("SwitchInstance", "UpdateItem", "WORKLOADS"),
    _table("RefreshMarket", "DeleteItem", "MODELS"),
    _table("RefreshMarket", "PutItem", "WORKLOADS"),
    _table("RefreshMarket", "PutItem", "STACK"),
    _table("HandleSignal", "UpdateItem", "STACK"),
    _table("Command", "UpdateItem", "PLANS"),
    _table("Decide", "DeleteItem", "WORKLOAD#web"),
    _table("Decide", "PutItem", "MODELS"),
    _table("Sweep", "PutItem", "WORKLOAD#web"),
    _table("Sweep", "DeleteItem", "WORKLOAD#web"),
    _object("RefreshMarket", "PutObject", "models/live/model.txt"),
    _object("RefreshMarket", "GetObject", "decisions/2026/03/02/cycle.jsonl.gz"),
    _object("Decide", "PutObject", "market/snapshot.json.gz"),
    _object("Decide", "GetObject", "market/snapshot.json.gz", other=True),
    _object("RefreshMarket", "DeleteObject", "market/prices.npz"),
    _start("Decide", "FailOver"),
    _start("HandleSignal", "SwitchInstance"),
    _start("Sweep", "a foreign state machine"),
    _invoke("Command", "Decide"),
    _invoke("Command", "LaunchReplacement:live"),
    _move_alias("LaunchReplacement"),
    _invoke("SwitchInstance", "Decide:live"),
    _case("UpdateLedger", "describe instances", demand("ec2:DescribeInstances")),
)


def _name(case: Case) -> str:
    return f"{case.role}: {case.what}"


@pytest.mark.parametrize("case", ALLOWED, ids=_name)
def test_role_allows_what_it_needs(case: Case, deployed: Deployed) -> None:
    """What the product has to do is allowed."""
    assert deployed.roles[case.role].decides(case.asked(deployed)).allowed


@pytest.mark.parametrize("case", DENIED, ids=_name)
def test_role_denies_everything_else(case: Case, deployed: Deployed) -> None:
    """What it must never do is not."""
    assert not deployed.roles[case.role].decides(case.asked(deployed)).allowed


def test_every_role_has_cases(deployed: Deployed) -> None:
    """A new function or state machine gets cases of its own."""
    assert {case.role for case in (*ALLOWED, *DENIED)} == set(deployed.roles)


LAUNCHING = ("RunInstances", "CreateFleet", "RequestSpotInstances", "RequestSpotFleet")
ENDING = ("TerminateInstances", "StopInstances", "DeleteFleets", "CancelSpotFleetRequests")


def test_no_role_may_both_launch_and_terminate(deployed: Deployed) -> None:
    """With any tags and conditions: different roles launch and terminate instances."""
    makes = [_launch(action, "instance", LAUNCHED) for action in LAUNCHING]
    ends = [_on_instance(action, LAUNCHED) for action in ENDING]
    launching = {n for n, r in deployed.roles.items() if any(r.decides(d).allowed for d in makes)}
    ending = {n for n, r in deployed.roles.items() if any(r.decides(d).allowed for d in ends)}
    assert launching == {LAUNCH}
    assert ending == {"SwitchInstance", "FailOver", "Sweep"}
