"""Which refusals of a switch rule out candidates."""

from spot_optimizer.aws.ledger.items import RefusedAttempt, SwitchItem
from spot_optimizer.switching.launch_refusals import scope_of_stored
from spot_optimizer.vocabulary import Scope


def lasting_refusals(switch: SwitchItem) -> list[tuple[int, Scope]]:
    """Of each refusal that is not transient: index of the refused candidate, and what shares it."""
    return [(r.candidate, refused_scope(r)) for r in switch.refusals if not r.again]


def refused_scope(refusal: RefusedAttempt) -> Scope:
    """The scope of a stored refusal."""
    return scope_of_stored(refusal.scope, refusal.code, refusal.message)
