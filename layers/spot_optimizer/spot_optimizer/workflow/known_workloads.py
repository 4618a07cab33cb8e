"""The workload that a request names: known to the ledger, and managed."""

from spot_optimizer.aws.ledger.items import WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.boundary import InvalidRequest

_SHOWN_MAX = 20


def known_workload(ledger: Ledger, workload_id: str) -> WorkloadItem:
    """The workload's item. Raises InvalidRequest, with the known ids, if there is none."""
    item = ledger.workload(workload_id)
    if item is None:
        known = ledger.workload_ids()
        shown = ", ".join(known[:_SHOWN_MAX]) + (" ..." if len(known) > _SHOWN_MAX else "")
        raise InvalidRequest(
            f"workload = '{workload_id}' is unknown; known are {shown or 'none yet'}"
        )
    return item


def require_managed(item: WorkloadItem) -> None:
    """Raise InvalidRequest, with the reason, if a workload is refused or gone."""
    if item.status != "managed":
        raise InvalidRequest(
            f"workload = '{item.workload_id}' is {item.status}: {item.status_reason}"
        )
