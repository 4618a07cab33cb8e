"""A permission that is missing in the middle of a switch is reported, and nothing is lost."""

from simulator.account_id import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from simulator.stage import open_stage
from simulator.world import INSTANCE_ROLE_ARN

ANOTHER_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/another"


def test_switch_of_an_instance_whose_role_is_not_named_changes_nothing() -> None:
    """InstanceRoleArns lacks the instance's role: switch and failover are refused and give the reason."""
    with open_stage(InstanceRoleArns=ANOTHER_ROLE) as stage:
        original = stage.launch()
        stage.adopt()
        stage.force()
        assert stage.finish().status == "FAILED"
        assert stage.alive() == {original}
        (switch,) = stage.switches()
        assert "iam:PassRole" in str(switch)
        assert INSTANCE_ROLE_ARN in str(switch)
        stage.cycle()
        stage.world.interrupt(original)
        stage.finish()
        fleets = stage.calls_of("CreateFleet")
        assert fleets
        assert not any(call.error for call in fleets), "an instant fleet answers with HTTP 200"
        assert stage.alive() == set()
        assert any("iam:PassRole" in str(item) for item in stage.switches()[1:])
