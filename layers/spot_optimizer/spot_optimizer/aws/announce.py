"""Events on the stack's bus and alerts to its topic."""

from collections.abc import Sequence

from spot_optimizer.aws.clients import client
from spot_optimizer.contracts import Boundary

SOURCE = "spot-optimizer"
DECISION = "Spot Optimizer Decision"
SWITCH = "Spot Optimizer Switch"

_ENTRIES_MAX = 10
"""PutEvents takes ten entries a call (EventBridge API reference)."""


def announce(bus_name: str, detail_type: str, details: Sequence[Boundary]) -> None:
    """Put one event for each detail on the bus, so that users can hang Slack or tickets on it."""
    entries = [
        {
            "EventBusName": bus_name,
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": detail.model_dump_json(),
        }
        for detail in details
    ]
    for start in range(0, len(entries), _ENTRIES_MAX):
        client("events").put_events(Entries=entries[start : start + _ENTRIES_MAX])


def alert(topic_arn: str, subject: str, text: str) -> None:
    """Tell the team what needs a person. SNS takes 100 characters of subject."""
    client("sns").publish(TopicArn=topic_arn, Subject=subject[:100], Message=text)
