"""Two parameters change what roles allow: one narrows HandOver, one loosens LaunchReplacement."""

import pytest

from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.deployed import REGION, STACK
from simulator.permissions.demand import Demand, demand, tag_context
from tests.permissions.conftest import Deployed, deployed_with

_GROUPS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT_ID}:targetgroup"
NAMED = (f"{_GROUPS}/web/0123456789abcdef", f"{_GROUPS}/api/0123456789abcde0")
ANOTHER = f"{_GROUPS}/payroll/0123456789abcde1"


@pytest.fixture(scope="module")
def changed() -> Deployed:
    """The stack with both parameters changed."""
    return deployed_with(RequireLaunchTemplate="false", TargetGroupArns=",".join(NAMED))


@pytest.mark.parametrize("action", ["RegisterTargets", "DeregisterTargets"])
def test_named_target_groups_are_the_only_ones(
    action: str, changed: Deployed, deployed: Deployed
) -> None:
    """Without names HandOver may touch any target group of the account."""

    def allowed(stack: Deployed, group: str) -> bool:
        return (
            stack.roles["HandOver"].decides(Demand(f"elasticloadbalancing:{action}", group)).allowed
        )

    assert all(allowed(changed, group) for group in NAMED)
    assert not allowed(changed, ANOTHER)
    assert allowed(deployed, ANOTHER)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("RunInstances", "instance"),
        ("RunInstances", "volume"),
        ("RunInstances", "network-interface"),
        ("CreateFleet", "instance"),
        ("CreateFleet", "volume"),
    ],
)
def test_launches_without_the_key_of_the_template_can_be_allowed(
    action: str, kind: str, changed: Deployed, deployed: Deployed
) -> None:
    """The tag is still demanded, except of a fleet's volumes, of which RunInstances demands it."""
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:{kind}/*"
    ours = tag_context(requested={"spot-optimizer:managed": STACK})
    role = changed.roles["LaunchReplacement"]
    assert role.decides(demand(f"ec2:{action}", arn, ours)).allowed
    assert (
        not deployed.roles["LaunchReplacement"].decides(demand(f"ec2:{action}", arn, ours)).allowed
    )
    untagged = role.decides(demand(f"ec2:{action}", arn)).allowed
    assert untagged is ((action, kind) == ("CreateFleet", "volume"))
