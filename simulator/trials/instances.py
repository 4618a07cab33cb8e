"""The instances that trials are about."""

from simulator.deployed import HOME, ZONES
from simulator.trials.ground import Ground

SECRET = b"hunter2-the-password-in-the-user-data"


def with_everything(
    ground: Ground, workload: str = "web", lifecycle: str = "spot", **tags: str
) -> None:
    """An instance with user data, a target group and an elastic address."""
    group = ground.world.create_target_group(workload)
    ground.notes[f"group of {workload}"] = group
    ground.launch(
        workload,
        lifecycle=lifecycle,
        tags={f"spot-optimizer:{name.replace('_', '-')}": value for name, value in tags.items()},
        user_data=SECRET,
        target_group_arn=group,
        address=True,
    )


def stranger(ground: Ground) -> None:
    """An instance that does not ask to be managed."""
    ground.notes["stranger"] = ground.world.launch_instance(
        HOME, ZONES[2], tags={"Name": "stranger"}
    )


def on_its_way(ground: Ground, workload: str) -> list[str]:
    """Running instances of a workload other than the one on the ledger."""
    own = ground.ledger.workloads()[workload].instance_id
    return [each for each in ground.running(workload) if each != own]
