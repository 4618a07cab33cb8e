"""Records every change of a model with its requester, and announces it on the bus."""

from spot_optimizer.aws.announcements import MODEL, announce
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.models import ModelLedger
from spot_optimizer.contracts.announcements import ModelChanged


def note_and_announce(ledger: ModelLedger, env: Environment, changed: ModelChanged) -> None:
    """Ledger first: an event that cannot be sent is still on record."""
    ledger.note_change(changed.model_dump(mode="json"), changed.at, env.retention_days)
    announce(env.bus_name, MODEL, [changed])
