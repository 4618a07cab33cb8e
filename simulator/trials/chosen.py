"""A few runs that enter every state, every Catch, every exit of a Choice and every kind of fault."""

from simulator.trials.run import RunSpec

_SEED = 4
"""With it, the original of a clean switch terminates so slowly that the wait for it is repeated."""
_INVOKE, _UPDATE, _ALERT = "lambda:Invoke", "dynamodb:UpdateItem", "sns:Publish"

_CHOSEN: tuple[tuple[str, tuple[str, ...]], ...] = (
    # A switch, step by step; a denied call is denied for longer than the step is retried.
    ("switch", (f"{_INVOKE}/ClaimSwitch", f"{_INVOKE}/ReleaseClaim", f"{_ALERT}/AlertLeftAsIs")),
    ("switch", (f"{_INVOKE}/LaunchReplacement",)),
    (
        "switch",
        (
            f"{_INVOKE}/LaunchReplacement",
            "ec2:DescribeInstances/FindReplacement",
            f"{_ALERT}/AlertNotUndone",
            f"{_INVOKE}/RecordFailure",
        ),
    ),
    (
        "switch",
        (
            "ec2:RunInstances:killed",
            f"{_INVOKE}/LaunchReplacement#2",
            "ec2:TerminateInstances/TerminateReplacement",
        ),
    ),
    ("switch", (f"{_UPDATE}/RecordLaunched", f"{_INVOKE}/AbandonSwitch")),
    ("switch", (f"{_INVOKE}/InspectReplacement", f"{_INVOKE}/UndoHandOver")),
    ("switch", (f"{_UPDATE}/RecordHealthy",)),
    ("switch", ("elbv2:RegisterTargets/HandOver:killed", f"{_INVOKE}/HandOver#2")),
    ("switch", (f"{_UPDATE}/RecordHandedOver",)),
    ("switch", (f"{_INVOKE}/CommitSwitch",)),
    ("switch", ("dynamodb:TransactWriteItems/CommitSwitch:killed", f"{_INVOKE}/CommitSwitch#2")),
    ("switch", (f"{_INVOKE}/ReleaseOriginal", f"{_ALERT}/AlertUnfinished")),
    ("switch", ("ec2:TerminateInstances/TerminateOriginal",)),
    ("switch", ("ec2:DescribeInstances/ConfirmOriginalGone",)),
    ("switch", (f"{_INVOKE}/RecordSuccess",)),
    (
        "switch",
        (
            "ec2:RunInstances:lost-reply",
            f"{_UPDATE}/RecordLaunched:twice",
            "ec2:DescribeInstances/InspectReplacement:stale",
            f"{_INVOKE}/HandOver:throttle",
            "dynamodb:TransactWriteItems/CommitSwitch:timed-out",
            f"{_UPDATE}/RecordHandedOver:error",
        ),
    ),
    ("switch", (f"{_INVOKE}/InspectReplacement:aborted",)),
    ("switch", (f"{_INVOKE}/InspectReplacement:redriven",)),
    ("redriven", ()),
    ("redriven", (f"{_INVOKE}/LaunchReplacement:aborted",)),
    ("switch-stopped", (f"{_INVOKE}/ClaimSwitch:error",)),
    ("undo", ()),
    ("leave-original", ("ec2:DeleteTags/LeaveOriginal",)),
    ("persistent-request", ("ec2:CancelSpotInstanceRequests/CancelSpotRequest",)),
    ("capacity-loop", ()),
    ("full", ()),
    ("full", (f"{_INVOKE}/NoCapacity",)),
    # A failover, step by step.
    (
        "failover-manual",
        (f"{_INVOKE}/ClaimFailOver", f"{_INVOKE}/ReleaseClaim", f"{_ALERT}/AlertLeftAsIs"),
    ),
    ("failover-manual", (f"{_INVOKE}/LaunchReplacement", f"{_ALERT}/AlertNotFailedOver")),
    (
        "failover-manual",
        (
            f"{_INVOKE}/LaunchReplacement",
            "ec2:DescribeInstances/FindReplacement",
            f"{_ALERT}/AlertNotUndone",
            f"{_INVOKE}/RecordFailure",
        ),
    ),
    (
        "failover-manual",
        (
            "ec2:CreateFleet:killed",
            f"{_INVOKE}/LaunchReplacement#2",
            "ec2:TerminateInstances/TerminateReplacement",
        ),
    ),
    ("failover-manual", (f"{_UPDATE}/RecordLaunched", f"{_INVOKE}/AbandonSwitch")),
    ("failover-manual", ("ec2:DescribeInstances/CheckReplacement",)),
    ("failover-ended", (f"{_INVOKE}/RecordEnded",)),
    ("failover-boot-ended", ()),
    (
        "failover",
        (
            f"{_INVOKE}/HandOver",
            "ec2:DescribeInstanceStatus/CheckBeforeKeeping",
        ),
    ),
    ("failover", (f"{_UPDATE}/RecordHandedOver", f"{_INVOKE}/CommitOwing")),
    ("failover", (f"{_INVOKE}/CommitFailOver", f"{_INVOKE}/RecordPaid")),
    ("failover", (f"{_UPDATE}/RecordRunning", f"{_INVOKE}/PayDebt")),
    ("failover-sick", (f"{_INVOKE}/UndoHandOver",)),
    (
        "failover",
        ("dynamodb:TransactWriteItems/CommitFailOver:killed", f"{_INVOKE}/CommitFailOver#2"),
    ),
    (
        "failover-ended-at-commit",
        ("dynamodb:TransactWriteItems/CommitFailOver:killed", f"{_INVOKE}/CommitFailOver#2"),
    ),
    (
        "failover",
        (
            f"{_INVOKE}/ReleaseOriginal",
            "ec2:DescribeInstances/ConfirmOriginalGone",
            f"{_ALERT}/AlertUnfinished",
        ),
    ),
    (
        "failover",
        (
            f"{_INVOKE}/RecordSuccess",
            "delivery@HandleSignal:delivered-twice",
            "delivery@HandleSignal#2:delivered-late",
        ),
    ),
    ("failover", ("delivery@HandleSignal:not-delivered",)),
    ("failover", (f"{_INVOKE}/HandOver:redriven",)),
    ("failover-redriven", ()),
    ("failover-redriven", (f"{_INVOKE}/LaunchReplacement:aborted",)),
    ("failover-stopped", (f"{_INVOKE}/ClaimFailOver:error",)),
    ("failover-ended", ()),
    ("failover-full", (f"{_INVOKE}/NoCapacity",)),
    ("failover-full", ()),
    ("failover-during-hand-over", ()),
    ("failover-on-demand", ()),
    ("failover-stop", ("ec2:DeleteTags/LeaveOriginal",)),
    ("failover-stop", (f"{_ALERT}/AlertOriginalRemains", f"{_INVOKE}/RecordRemaining")),
    ("failover-persistent", ("ec2:CancelSpotInstanceRequests/CancelSpotRequest",)),
    ("failover-persistent", ("ec2:DescribeInstances/CheckOriginal",)),
    ("failover-persistent", ("ec2:CancelSpotInstanceRequests/CancelRequestOfGone",)),
    ("failover-stopped-first", ()),
)
"""Trial and its faults: ``service:Operation[/state][:kind]``; without a kind the call is denied."""


def _with_kind(fault: str) -> str:
    return fault if fault.count(":") > 1 or fault.startswith("delivery") else f"{fault}:denied"


CHOSEN = tuple(RunSpec(trial, _SEED, tuple(map(_with_kind, faults))) for trial, faults in _CHOSEN)
