"""The standing plans of a cycle: changed in memory, written once."""

from collections.abc import Iterator, Mapping
from typing import Any

from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import PlanItem
from spot_optimizer.aws.ledger.table import Ledger


class StandingPlans(Mapping[str, PlanItem]):
    """Launch template and failover plan of each workload, by workload id.

    All steps of a cycle see each other's changes. :meth:`write` puts those on the ledger that differ
    from what was read.
    """

    def __init__(self, kept: Mapping[str, PlanItem]) -> None:
        self._kept = dict(kept)
        self._current = dict(kept)

    def __getitem__(self, workload_id: str) -> PlanItem:
        return self._current[workload_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current)

    def __len__(self) -> int:
        return len(self._current)

    def put(self, plans: Mapping[str, PlanItem]) -> None:
        """Replace whole plans, or add new ones."""
        self._current.update(plans)

    def change(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change attributes (by their names in ``PlanItem``) of plans that exist."""
        for workload_id, each in changes.items():
            if each:
                self._current[workload_id] = self[workload_id].model_copy(update=dict(each))

    def write(self, ledger: Ledger) -> None:
        """Write the plans that changed, each whole."""
        changed = [plan for w, plan in self._current.items() if plan != self._kept.get(w)]
        ledger.put_all([(keys.plan_key(p.workload_id), p.model_dump(mode="json")) for p in changed])
        self._kept = dict(self._current)
