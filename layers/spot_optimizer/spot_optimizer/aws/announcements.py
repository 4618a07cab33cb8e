"""Events on the stack's bus and alerts to its topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.clients import client
from spot_optimizer.contracts.boundary import Boundary
from spot_optimizer.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "spot-optimizer"
DECISION = "Spot Optimizer Decision"
SWITCH = "Spot Optimizer Switch"
MODEL = "Spot Optimizer Model"
FORECAST = "Spot Optimizer Forecast"

_ENTRIES_MAX = 10
"""PutEvents takes ten entries a call (EventBridge API reference)."""

_SUBJECT_CHARACTERS_MAX = 99
"""SNS API reference, Publish: a subject is "less than 100 characters long", with "no line breaks or
control characters"; its older editions say ASCII."""


def announce(bus_name: str, detail_type: str, details: Sequence[Boundary]) -> None:
    """Put one event for each detail on the bus, where users connect chat or tickets.

    An event that cannot be sent is only logged: the ledger has the same data.
    """
    entries: list[PutEventsRequestEntryTypeDef] = [
        {
            "EventBusName": bus_name,
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": detail.model_dump_json(),
        }
        for detail in details
    ]
    for start in range(0, len(entries), _ENTRIES_MAX):
        try:
            reply = client("events").put_events(Entries=entries[start : start + _ENTRIES_MAX])
        except (BotoCoreError, ClientError):
            logger.exception("events not sent", detail_type=detail_type)
            return
        if reply["FailedEntryCount"]:
            logger.error("events not accepted", detail_type=detail_type, entries=reply["Entries"])


def alert(topic_arn: str, subject: str, text: str) -> None:
    """Send an alert that needs a person. The subject is shortened to what SNS accepts."""
    client("sns").publish(TopicArn=topic_arn, Subject=_subject(subject), Message=text)


def _subject(text: str) -> str:
    """One line of at most 99 ASCII characters; other characters become question marks."""
    line = " ".join(text.split())
    shown = "".join(each if " " <= each <= "~" else "?" for each in line)
    return shown[:_SUBJECT_CHARACTERS_MAX]
