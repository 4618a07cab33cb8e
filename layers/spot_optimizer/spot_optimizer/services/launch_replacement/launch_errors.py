"""What an error of a launch means to the state machine, which sees the names of these exceptions."""

from botocore.exceptions import ClientError

from spot_optimizer.aws.clients import TryAgain, error_code, http_status, is_transient
from spot_optimizer.contracts.steps import RefusedLaunch
from spot_optimizer.switching.error_table import MAY_HAVE_LAUNCHED, TEMPLATE_UNSEEN
from spot_optimizer.switching.launch_refusals import (
    Refusal,
    known_refusal,
    refusal_of,
    stored_scope,
)
from spot_optimizer.vocabulary import Scope


class CapacityUnavailable(Exception):
    """Another pool, subnet, zone, family class or lifecycle may help. The text is a RefusedLaunch."""


class LaunchRejected(Exception):
    """No other candidate helps, only time or a person. The text is a RefusedLaunch."""


def meaning_of(error: ClientError, *, failover: bool) -> Exception | None:
    """The exception to raise instead of EC2's error; None if something may have been launched anyway."""
    code, message = error_code(error), str(error.response["Error"].get("Message", ""))
    refusal = known_refusal(code, message)
    transient = is_transient(error) if refusal is None else refusal.scope is Scope.TIME
    if transient and code not in TEMPLATE_UNSEEN:
        return TryAgain(str(error))
    if refusal is None and _is_rejected(error):
        refusal = _refusal_of_unknown(code, failover=failover)
    if refusal is None or code in MAY_HAVE_LAUNCHED:
        return None
    scope = stored_scope(refusal.scope)
    if error.operation_name == "CreateFleet" and scope is not Scope.TIME:
        # A fleet is refused as a whole; on-demand is another call, with its own permissions and quotas.
        scope = Scope.LIFECYCLE
    text = RefusedLaunch(
        code=code, scope=scope, cure=refusal.cure, message=message[:500]
    ).model_dump_json()
    kind = LaunchRejected if scope in (Scope.TIME, Scope.NOTHING) else CapacityUnavailable
    return kind(text)


def _is_rejected(error: ClientError) -> bool:
    """Whether EC2 rejected the request itself, so that it had no effect ("Error codes for the Amazon
    EC2 API": client errors have a status of the 400 series)."""
    return 400 <= http_status(error) < 500


def _refusal_of_unknown(code: str, *, failover: bool) -> Refusal:
    """A code that no table has. A failover tries its other candidates: its original is about to end."""
    if not failover:
        return refusal_of(code)
    return Refusal(
        Scope.POOL, f"'{code}' is not a known EC2 error code; another candidate is tried."
    )
