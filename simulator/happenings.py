"""What happens in an account, read from its ledger as it appears there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from simulator.account import EmbeddedAccount
from simulator.faults.aftermath import Aftermath, happened
from simulator.ledger_items import DecisionKind, Phase, SwitchItem
from simulator.ledger_view import LedgerView
from simulator.summary import signal_summary

Kind = Literal[
    "decision",
    "launched",
    "no capacity",
    "switched",
    "not switched",
    "taken over",
    "failed over",
    "failover failed",
    "signal",
    "refused",
    "scripted",
    "fault",
]


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a run's log."""

    time: datetime
    workload_id: str
    kind: Kind
    text: str
    why: str = ""
    """The reason of the decision that led to it, of a switch that has ended."""


class Watcher:
    """Reports what is new on the ledger since the last look."""

    def __init__(self, account: EmbeddedAccount, aftermath: Aftermath) -> None:
        self._ledger, self._aftermath = LedgerView(account), aftermath
        self._clock = account.clock
        self._last_decision = ""
        self._switches: dict[str, tuple[Phase, int, str | None]] = {}
        self._refused: dict[str, str] = {}
        self._signals: set[tuple[str, ...]] = set()

    def news(self) -> list[Happening]:
        """Everything new, oldest first."""
        news = [
            *self._new_faults(),
            *self._new_signals(),
            *self._new_decisions(),
            *self._switch_news(),
            *self._refusals(),
        ]
        return sorted(news, key=lambda happening: happening.time)

    def _new_faults(self) -> list[Happening]:
        return [
            Happening(met.at, workload_id, "fault", happened(met))
            for met, workload_id in self._aftermath.look()
        ]

    def _new_signals(self) -> list[Happening]:
        rows = self._ledger.signals()
        found = []
        for row in rows:
            key = (row["workload_id"], row["instance_id"], row["kind"], row["at"])
            if key not in self._signals:
                self._signals.add(key)
                signal = signal_summary(row)
                text = f"{signal.what}: {signal.effect}, {signal.reason}"
                found.append(Happening(signal.received_at, signal.workload_id, "signal", text))
        return found

    def _new_decisions(self) -> list[Happening]:
        rows = self._ledger.decisions(after=self._last_decision)
        found = []
        for row in rows:
            held = f" [held: {row['held_by']}]" if row["held_by"] else ""
            text = f"{row['kind']} {row['reason']}{held}"
            at = datetime.fromisoformat(row["at"])
            found.append(Happening(at, row["workload_id"], "decision", text))
            self._last_decision = max(self._last_decision, f"DECISION#{row['at']}~")
        return found

    def _switch_news(self) -> list[Happening]:
        found = []
        for switch in self._ledger.switches():
            phase, refusals, replacement = self._switches.get(
                switch.switch_id, (Phase.CLAIMED, 0, None)
            )
            for refusal in switch.refusals[refusals:]:
                target = switch.order.candidates[refusal.candidate]
                text = f"{target.instance_type}/{target.availability_zone}: {refusal.code}"
                found.append(self._now(switch, "no capacity", text))
            if switch.replacement_id is not None and replacement is None:
                assert switch.launched_at is not None
                target = switch.order.candidates[switch.candidate]
                place = f"{target.instance_type}/{target.availability_zone} {target.lifecycle}"
                found.append(
                    Happening(
                        switch.launched_at,
                        switch.workload_id,
                        "launched",
                        f"{switch.replacement_id} in {place}",
                    )
                )
            if switch.phase is not phase and switch.ended_at is not None:
                kind, text = _ending(switch)
                why = switch.order.reason
                found.append(Happening(switch.ended_at, switch.workload_id, kind, text, why))
            self._switches[switch.switch_id] = (
                switch.phase,
                len(switch.refusals),
                switch.replacement_id,
            )
        return found

    def _now(self, switch: SwitchItem, kind: Kind, text: str) -> Happening:
        return Happening(self._clock.now(), switch.workload_id, kind, text)

    def _refusals(self) -> list[Happening]:
        found = []
        for item in self._ledger.workloads().values():
            if (
                item.status == "refused"
                and self._refused.get(item.workload_id) != item.status_reason
            ):
                self._refused[item.workload_id] = item.status_reason
                found.append(
                    Happening(self._clock.now(), item.workload_id, "refused", item.status_reason)
                )
        return found


def _ending(switch: SwitchItem) -> tuple[Kind, str]:
    """The kind and the text of a switch's end."""
    text, done = str(switch.outcome["summary"]), switch.phase is Phase.DONE
    if switch.order.kind is not DecisionKind.EVACUATE:
        if switch.taken_over_by is not None and not done:
            return "taken over", text
        return ("switched" if done else "not switched"), text
    if not done or switch.handed_over_at is None:
        return "failover failed", text
    seconds = (switch.handed_over_at - switch.claimed_at).total_seconds()
    return "failed over", f"in {seconds:.0f} s: {text}"
