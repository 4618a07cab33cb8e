"""Uploaded models: looked at, compared with the live one, kept; refused with the reason otherwise."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from spot_optimizer.aws.data_bucket import (
    KEPT_MODELS,
    UPLOADED_MODELS,
    DataBucket,
)
from spot_optimizer.aws.environment import Environment
from spot_optimizer.aws.ledger.models import ModelItem, ModelLedger, UploadState
from spot_optimizer.aws.ledger.table import Ledger
from spot_optimizer.contracts.announcements import ModelChanged
from spot_optimizer.contracts.boundary import InvalidRequest
from spot_optimizer.forecast.boosters import load_booster
from spot_optimizer.forecast.model_artifact import (
    BOOSTERS,
    CALIBRATION,
    METADATA,
    Metadata,
    Model,
    UnusableModel,
    load_model,
)
from spot_optimizer.forecast.model_comparison import (
    REHEARSAL_S,
    Comparison,
    TooShortHistory,
    compare,
    rehearse,
)
from spot_optimizer.forecast.model_registry import (
    SHIPPED_VERSION,
    NotPossible,
    Slot,
    is_version,
)
from spot_optimizer.forecast.smoke_test import smoke_test
from spot_optimizer.market.prices import PriceChanges
from spot_optimizer.services.refresh_market.market_forecast import kept_model
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.telemetry import logger
from spot_optimizer.vocabulary import DAY_S
from spot_optimizer.workflow.model_announcements import note_and_announce

NEEDED = (METADATA, BOOSTERS, CALIBRATION)
BESIDE = ("rivals.json", "model_card.md")
"""What training writes too, and nothing here reads."""
BYTES_MAX = 32 * 2**20
UPLOAD_TAKES_MAX = timedelta(minutes=30)
"""An upload whose files are not all there by then is refused."""


class _Refused(Exception):
    """The upload cannot be used; the text says why."""


@dataclass(frozen=True)
class _Looked:
    """An upload in which nothing was found wrong."""

    bodies: Mapping[str, bytes]
    model: Model
    comparison: Comparison | None
    remark: str
    """Why nothing was compared."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.bodies[METADATA]).hexdigest()


class ModelUploads:
    """What refresh_market does about uploads."""

    def __init__(self, market: Market, env: Environment) -> None:
        self._market, self._env = market, env
        self._store: DataBucket = market.store
        self._ledger = ModelLedger(Ledger(env.ledger_table))

    def uploaded(self, key: str, requester: str) -> dict[str, Any]:
        """An object has come: look at its version when all its files are there."""
        version, _, name = key.removeprefix(UPLOADED_MODELS).partition("/")
        if not name or not is_version(version):
            logger.error("a file that belongs to no model", key=key)
            self._announce(
                version[:64] or "?",
                "refused",
                f"{key}: put the files of a model under {UPLOADED_MODELS}<version>/; a version "
                "has up to 64 letters, digits and . _ -",
                requester,
            )
            return {"version": version, "status": "refused"}
        return self.validate(version, requester)

    def validate(self, version: str, asked_by: str) -> dict[str, Any]:
        """Look at all files of a version; pending when nothing speaks against it."""
        sizes = self._sizes(version)
        if not sizes:
            raise InvalidRequest(
                f"version = '{version}': there is nothing under {UPLOADED_MODELS}{version}/"
            )
        try:
            missing = self._missing(sizes)
            if missing:
                return self._incomplete(version, missing, asked_by)
            bodies = {name: self._body(version, name) for name in NEEDED}
            role = self._role_of(version, bodies)
            if role == "pending" and not self._is_compared(version):
                return self._compare_again(version, self._look(bodies), asked_by)
            if role:
                return {"version": version, "status": role}
            return self._accept(version, self._look(bodies), asked_by)
        except (_Refused, UnusableModel, NotPossible) as error:
            return self._refuse(version, str(error), asked_by)

    def tidy(self) -> dict[str, Any]:
        """Refuse uploads that stayed incomplete; remove the files of models that are out of play."""
        answer: dict[str, Any] = {}
        overdue = self._market.now - UPLOAD_TAKES_MAX
        for item in self._ledger.versions():
            if item.state == "incomplete" and item.since <= overdue:
                text = f"{item.reason}, {UPLOAD_TAKES_MAX.seconds // 60} minutes after the first"
                answer.setdefault("refused", []).append(
                    self._refuse(item.version, text, item.asked_by)["version"]
                )
        kept = {slot.version for slot in self._ledger.registry().kept()}
        for key in self._store.sizes_under(KEPT_MODELS):
            version = key.removeprefix(KEPT_MODELS).partition("/")[0]
            if version not in kept and not self._was_just_accepted(version):
                self._store.remove_object(key)
                if key.endswith(f"/{METADATA}"):
                    self._removed(version)
                    answer.setdefault("removed", []).append(version)
        return answer

    # --- looking ---------------------------------------------------------------------------------

    def _sizes(self, version: str) -> dict[str, int]:
        folder = f"{UPLOADED_MODELS}{version}/"
        found = self._store.sizes_under(folder)
        # Consoles make an empty object for the folder itself.
        return {key.removeprefix(folder): size for key, size in found.items() if key != folder}

    def _missing(self, sizes: Mapping[str, int]) -> list[str]:
        foreign = sorted(set(sizes) - {*NEEDED, *BESIDE})
        if foreign:
            raise _Refused(
                f"{foreign[0]}: no file of a model; allowed are LightGBM's text and JSON alone, "
                f"nothing that runs code when it is read: {', '.join((*NEEDED, *BESIDE))}"
            )
        for name, size in sizes.items():
            if size > BYTES_MAX:
                raise _Refused(f"{name}: {size} bytes, allowed are {BYTES_MAX}")
        return [name for name in NEEDED if name not in sizes]

    def _body(self, version: str, name: str) -> bytes:
        body = self._store.read(f"{UPLOADED_MODELS}{version}/{name}")
        if body is None:
            raise _Refused(f"{name}: it has been taken away")
        return body

    def _role_of(self, version: str, bodies: Mapping[str, bytes]) -> str:
        """Of this very model, if it is in play: its last event has come, or one that came twice."""
        registry = self._ledger.registry()
        slot = Slot(version, hashlib.sha256(bodies[METADATA]).hexdigest())
        return registry.role_of(version) if slot in registry.kept() else ""

    def _is_compared(self, version: str) -> bool:
        item = self._ledger.version(version)
        return item is not None and bool(item.comparison)

    def _look(self, bodies: Mapping[str, bytes]) -> _Looked:
        """Load, smoke prediction, comparison with the live model on the account's own prices."""
        model = load_model(bodies.get, load_booster)
        smoke_test(model)
        live = self._rival()
        until_s = self._market.now_s // DAY_S * DAY_S
        try:
            losses = rehearse(
                {"candidate": model, "live": live},
                self._prices(until_s),
                self._market.on_demand_usd_per_hour,
                until_s,
            )
        except TooShortHistory as error:
            return _Looked(bodies, model, None, f"not compared with the live model: {error}")
        found = compare(losses["candidate"], losses["live"])
        if found.worse:
            raise _Refused(found.worse)
        return _Looked(bodies, model, found, "")

    def _rival(self) -> Model:
        """The live model; the shipped one where that does not load, for somebody has to be beaten."""
        try:
            return kept_model(self._store, self._ledger.registry().live)
        except UnusableModel as error:
            logger.warning("the live model cannot be compared with", reason=str(error))
            return kept_model(self._store, Slot(SHIPPED_VERSION))

    def _prices(self, until_s: int) -> PriceChanges:
        span = (until_s - REHEARSAL_S - DAY_S, until_s + 1)
        changes = self._market.prices.read("reported", span).changes
        return changes.restrict(self._market.types)

    # --- recording -------------------------------------------------------------------------------

    def _accept(self, version: str, looked: _Looked, asked_by: str) -> dict[str, Any]:
        slot = Slot(version, looked.sha256)
        registry = self._ledger.registry()
        if slot in registry.kept():  # S3 has told twice, and another look was quicker
            return {"version": version, "status": registry.role_of(version)}
        registry.accepted(slot)  # raises before anything is written
        metadata, comparison = looked.model.metadata, _comparison(looked.comparison)
        self._note(version, "accepted", looked.remark, asked_by, metadata, slot.sha256, comparison)
        for name, body in looked.bodies.items():
            self._store.write(f"{KEPT_MODELS}{version}/{name}", body)
        self._ledger.change(lambda now: now if slot in now.kept() else now.accepted(slot))
        return self._tell_pending(version, looked, asked_by)

    def _compare_again(self, version: str, looked: _Looked, asked_by: str) -> dict[str, Any]:
        metadata, comparison = looked.model.metadata, _comparison(looked.comparison)
        self._note(
            version, "accepted", looked.remark, asked_by, metadata, looked.sha256, comparison
        )
        return self._tell_pending(version, looked, asked_by)

    def _tell_pending(self, version: str, looked: _Looked, asked_by: str) -> dict[str, Any]:
        comparison = _comparison(looked.comparison)
        self._announce(version, "pending", looked.remark, asked_by, comparison)
        return {
            "version": version,
            "status": "pending",
            "comparison": comparison,
            **({"remark": looked.remark} if looked.remark else {}),
        }

    def _refuse(self, version: str, reason: str, asked_by: str) -> dict[str, Any]:
        """What is in play stays so, whatever is uploaded under its name."""
        answer = {"version": version, "status": "refused", "reason": reason}
        if self._was_just_refused(version, reason):
            return answer
        logger.warning("model refused", model=version, reason=reason)
        if not self._ledger.registry().role_of(version):
            self._note(version, "refused", reason, asked_by)
        self._announce(version, "refused", reason, asked_by)
        return answer

    def _was_just_refused(self, version: str, reason: str) -> bool:
        """For the same reason, with another file of the same upload: that is told once."""
        item = self._ledger.version(version)
        return (
            item is not None
            and (item.state, item.reason) == ("refused", reason)
            and self._market.now - item.since < UPLOAD_TAKES_MAX
        )

    def _incomplete(self, version: str, missing: list[str], asked_by: str) -> dict[str, Any]:
        """Not an error yet: files come one after the other."""
        reason = f"{', '.join(missing)}: not there"
        known = self._ledger.version(version)
        if not self._ledger.registry().role_of(version):
            since = known.since if known and known.state == "incomplete" else self._market.now
            self._ledger.note_version(
                ModelItem(
                    version=version,
                    state="incomplete",
                    reason=reason,
                    since=since,
                    asked_by=asked_by,
                )
            )
        return {"version": version, "status": "incomplete", "reason": reason}

    def _was_just_accepted(self, version: str) -> bool:
        """Its files are written before it is in play; a validation takes no longer than that."""
        item = self._ledger.version(version)
        return (
            item is not None
            and item.state == "accepted"
            and self._market.now - item.since < UPLOAD_TAKES_MAX
        )

    def _removed(self, version: str) -> None:
        item = self._ledger.version(version)
        if item is not None:
            reason = "neither live, previous nor pending any more"
            self._ledger.note_version(
                item.model_copy(
                    update={"state": "removed", "reason": reason, "since": self._market.now}
                )
            )
            self._announce(version, "removed", reason, item.asked_by)

    def _note(
        self,
        version: str,
        state: UploadState,
        reason: str,
        asked_by: str,
        metadata: Metadata | None = None,
        sha256: str = "",
        comparison: Mapping[str, Any] | None = None,
    ) -> None:
        self._ledger.note_version(
            ModelItem(
                version=version,
                state=state,
                reason=reason,
                since=self._market.now,
                asked_by=asked_by,
                name=metadata.name if metadata else "",
                trained_until=metadata.trained_until if metadata else None,
                sha256=sha256,
                comparison=dict(comparison or {}),
            )
        )

    def _announce(
        self,
        version: str,
        status: Any,
        reason: str,
        asked_by: str,
        comparison: Mapping[str, Any] | None = None,
    ) -> None:
        changed = ModelChanged(
            version=version,
            status=status,
            reason=reason,
            at=self._market.now,
            asked_by=asked_by,
            comparison=dict(comparison or {}),
        )
        note_and_announce(self._ledger, self._env, changed)


def _comparison(found: Comparison | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "overall": found.overall,
        "ratios": dict(found.ratios),
        "forecasts": found.forecasts,
        "changed": found.changed,
    }
