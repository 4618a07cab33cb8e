"""What every step of one sweep needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger import keys
from spot_optimizer.aws.ledger.items import WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.setting_precedence import overridden_for_stack
from spot_optimizer.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One sweep: where it runs, when, and under which settings."""

    env: Environment
    ledger: Ledger
    now: datetime
    settings: Settings
    global_stop: bool

    @classmethod
    def of(cls, env: Environment, ledger: Ledger, now: datetime) -> Self:
        """The context of a sweep that begins now."""
        stack = ledger.stack()
        settings = overridden_for_stack(env.settings, stack.overrides)
        return cls(env, ledger, now, settings, stack.global_stop)

    def update_workload(self, workload_id: str, changes: Mapping[str, Any]) -> None:
        self.ledger.update(keys.workload_key(workload_id), WorkloadItem.stored(changes))
