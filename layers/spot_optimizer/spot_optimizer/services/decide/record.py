"""Step 5 of a cycle: decisions on the ledger, in the data bucket, on the bus and in metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws import data_bucket as bucket_keys
from spot_optimizer.aws.announcements import DECISION, alert, announce
from spot_optimizer.aws.data_bucket import DataBucket, by_time
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.decisions import Change, record_changes
from spot_optimizer.aws.ledger.items import StackItem, WorkloadItem
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.announcements import DecisionMade
from spot_optimizer.decision.decision import Decision
from spot_optimizer.decision.decision_record import plain_record
from spot_optimizer.decision.kept_inputs import (
    SettingLayers,
    TrialMarket,
    inputs_to_bytes,
    parameters_of,
)
from spot_optimizer.services.decide.inventory import ManagedWorkload
from spot_optimizer.services.decide.judge import Judged
from spot_optimizer.services.decide.switch_order import target
from spot_optimizer.setting_precedence import tagged
from spot_optimizer.switching.instance_record import tags_of
from spot_optimizer.telemetry import logger, metrics
from spot_optimizer.vocabulary import DecisionKind


@dataclass(frozen=True, slots=True)
class DecisionRecorder:
    """Writes what one cycle decided. ``name`` tells apart what is written at the same second."""

    env: Environment
    ledger: Ledger
    store: DataBucket
    now: datetime
    name: str

    @property
    def inputs_key(self) -> str:
        """Key in the data bucket of what the cycle decided upon."""
        return f"{by_time(bucket_keys.CYCLES, self.now, self.name)}.json.gz"

    def record_changes(
        self, decisions: Iterable[Decision], workloads: Mapping[str, ManagedWorkload]
    ) -> list[Decision]:
        """Write the decisions that say something new, and return them."""
        made = list(decisions)
        changes = [self._change(d, workloads[d.workload_id].item) for d in made]
        recorded = record_changes(
            self.ledger, [c for c in changes if c is not None], self.now, self.env.retention_days
        )
        return [d for d in made if d.workload_id in recorded]

    def publish(self, decisions: Sequence[Decision], changed: Sequence[Decision]) -> None:
        """All decisions into the data bucket, the changed ones onto the bus, counts into metrics."""
        if decisions:
            rows = map(plain_record, decisions)
            self.store.write_json_lines(bucket_keys.DECISIONS, self.now, rows, self.name)
        announce(self.env.bus_name, DECISION, [_announcement(d) for d in changed])
        self._alert_broken_engines(changed)
        if failures := sum(bool(d.alarm) for d in decisions):
            metrics.add_metric("EngineFailures", "Count", failures)
        for kind, count in Counter(d.kind for d in decisions).items():
            metrics.add_metric(f"Decisions{kind.capitalize()}", "Count", count)

    def keep_inputs(
        self, judged: Judged, workloads: Sequence[ManagedWorkload], stack: StackItem
    ) -> None:
        """Keep what was decided upon: with it the same decisions can be made again, and explained.

        A cycle can do without.
        """
        if not workloads:
            return
        layers = SettingLayers(
            parameters=parameters_of(self.env.settings),
            stack=stack.overrides,
            tags={each.workload_id: tagged(tags_of(each.instance)) for each in workloads},
            workloads={each.workload_id: each.item.overrides for each in workloads},
        )
        trial = judged.world.trial
        body = inputs_to_bytes(
            judged.world,
            self.now,
            self.env.region,
            market_id=judged.market_id,
            catalog_id=self.store.loaded_name(bucket_keys.MARKET_CATALOG),
            layers=layers,
            trial=TrialMarket(trial.version, trial.share, judged.trial_market_id)
            if trial
            else None,
        )
        try:
            self.store.write(self.inputs_key, body)
        except (BotoCoreError, ClientError):
            logger.exception("inputs not kept")
            metrics.add_metric("InputsNotKept", "Count", 1)

    def _change(self, decision: Decision, item: WorkloadItem) -> Change | None:
        """What the decision leaves on the ledger; None if it says nothing new.

        A decision that is acted upon has a record in any case: the switch refers to it.
        """
        digest = _digest(decision)
        is_new = digest != item.decision_digest
        record = None
        if is_new or decision.forced_by or acts(decision):
            record = {**plain_record(decision), "inputs": self.inputs_key}
        pending: dict[str, Any] = {}
        if decision.fallback_pending != (item.fallback_pending_since is not None):
            pending["fallback_pending_since"] = self.now if decision.fallback_pending else None
        if record is None and not pending:
            return None
        new_digest = {"decision_digest": digest} if is_new else {}
        return Change(decision.workload_id, record, new_digest, pending)

    def _alert_broken_engines(self, changed: Sequence[Decision]) -> None:
        """Alert about engines that are unknown or fail, once for each new problem."""
        problems: dict[str, list[str]] = {}
        for decision in changed:
            if decision.alarm:
                problems.setdefault(decision.alarm, []).append(decision.workload_id)
        for problem, workloads in problems.items():
            shown = ", ".join(workloads[:20]) + (" ..." if len(workloads) > 20 else "")
            alert(
                self.env.alert_topic_arn,
                f"Spot Optimizer {self.env.stack_name}: workloads are not judged",
                f"{problem[:1000]}. Until this is cured they stay where they are: {shown}.",
            )


def acts(decision: Decision) -> bool:
    """Whether the cycle starts a switch for it."""
    return decision.kind is not DecisionKind.STAY and not decision.held_by


def _digest(decision: Decision) -> str:
    """What a decision says, without the figures that change every five minutes."""
    first = decision.candidates[0] if decision.candidates else None
    place = f"{first.instance_type}/{first.availability_zone}/{first.lifecycle}" if first else ""
    parts = [decision.kind, decision.row, place, decision.held_by, decision.fallback_pending]
    if decision.alarm:
        parts.append(decision.alarm)
    return "|".join(map(str, parts))


def _announcement(decision: Decision) -> DecisionMade:
    return DecisionMade(
        workload_id=decision.workload_id,
        instance_id=decision.instance_id,
        decision_id=decision.decision_id,
        at=decision.at,
        kind=decision.kind,
        reason=decision.reason,
        held_by=decision.held_by,
        target=target(decision.candidates[0]) if decision.candidates else None,
    )
