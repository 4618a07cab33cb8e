"""Validate uploaded models: a good one becomes pending, a bad one is refused with the reason."""

import hashlib
from collections.abc import Mapping
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
from spot_optimizer.forecast.model_artifact import METADATA, UnusableModel
from spot_optimizer.forecast.model_registry import NotPossible, Slot, is_version
from spot_optimizer.services.refresh_market.recent_prices import Market
from spot_optimizer.services.refresh_market.upload_checks import (
    CheckedUpload,
    RefusedUpload,
    check_upload,
    missing_files,
    read_upload,
    upload_sizes,
)
from spot_optimizer.telemetry import logger
from spot_optimizer.workflow.model_announcements import note_and_announce

UPLOAD_TIME_MAX = timedelta(minutes=30)
"""An upload that is still incomplete by then is refused."""


class ModelUploads:
    """What refresh_market does with uploaded models."""

    def __init__(self, market: Market, env: Environment) -> None:
        self._market, self._env = market, env
        self._store: DataBucket = market.store
        self._ledger = ModelLedger(Ledger(env.ledger_table))

    def uploaded(self, key: str, requester: str) -> dict[str, Any]:
        """Answer S3's event of an uploaded file: validate its version if all files are there."""
        version, _, name = key.removeprefix(UPLOADED_MODELS).partition("/")
        if not name or not is_version(version):
            logger.error("the uploaded file belongs to no model", key=key)
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
        """Check all files of a version and make it pending, or refuse it."""
        sizes = upload_sizes(self._store, version)
        if not sizes:
            raise InvalidRequest(
                f"version = '{version}': there is nothing under {UPLOADED_MODELS}{version}/"
            )
        try:
            missing = missing_files(sizes)
            if missing:
                return self._note_incomplete(version, missing, asked_by)
            files = read_upload(self._store, version)
            role = self._role_of(version, files)
            if role == "pending" and not self._is_compared(version):
                upload = self._check(files)
                self._note_accepted(version, upload, asked_by)
                return self._announce_pending(version, upload, asked_by)
            if role:
                return {"version": version, "status": role}
            return self._accept(version, self._check(files), asked_by)
        except (RefusedUpload, UnusableModel, NotPossible) as error:
            return self._refuse(version, str(error), asked_by)

    def tidy(self) -> dict[str, Any]:
        """Refuse uploads that stayed incomplete; remove files of models not in the registry."""
        answer: dict[str, Any] = {}
        overdue = self._market.now - UPLOAD_TIME_MAX
        for item in self._ledger.versions():
            if item.state == "incomplete" and item.since <= overdue:
                minutes = UPLOAD_TIME_MAX.seconds // 60
                reason = f"{item.reason}, {minutes} minutes after the first file"
                self._refuse(item.version, reason, item.asked_by)
                answer.setdefault("refused", []).append(item.version)
        kept = {slot.version for slot in self._ledger.registry().kept()}
        for key in self._store.sizes_under(KEPT_MODELS):
            version = key.removeprefix(KEPT_MODELS).partition("/")[0]
            if version not in kept and not self._was_just_accepted(version):
                self._store.remove_object(key)
                if key.endswith(f"/{METADATA}"):
                    self._note_removed(version)
                    answer.setdefault("removed", []).append(version)
        return answer

    def _check(self, files: Mapping[str, bytes]) -> CheckedUpload:
        return check_upload(self._market, files, self._ledger.registry().live)

    def _role_of(self, version: str, files: Mapping[str, bytes]) -> str:
        """Role of exactly these files; empty if they are not in the registry. S3 may deliver an event
        twice, or late."""
        registry = self._ledger.registry()
        slot = Slot(version, hashlib.sha256(files[METADATA]).hexdigest())
        return registry.role_of(version) if slot in registry.kept() else ""

    def _is_compared(self, version: str) -> bool:
        item = self._ledger.version(version)
        return item is not None and bool(item.comparison)

    def _accept(self, version: str, upload: CheckedUpload, asked_by: str) -> dict[str, Any]:
        """Keep the files, then make the version pending."""
        slot = Slot(version, upload.sha256)
        registry = self._ledger.registry()
        if slot in registry.kept():  # S3 delivered the event twice, and the other run was faster
            return {"version": version, "status": registry.role_of(version)}
        registry.accepted(slot)  # raises before anything is written
        self._note_accepted(version, upload, asked_by)
        for name, body in upload.files.items():
            self._store.write(f"{KEPT_MODELS}{version}/{name}", body)
        self._ledger.change(lambda now: now if slot in now.kept() else now.accepted(slot))
        return self._announce_pending(version, upload, asked_by)

    def _announce_pending(
        self, version: str, upload: CheckedUpload, asked_by: str
    ) -> dict[str, Any]:
        self._announce(version, "pending", upload.remark, asked_by, upload.comparison)
        return {
            "version": version,
            "status": "pending",
            "comparison": upload.comparison,
            **({"remark": upload.remark} if upload.remark else {}),
        }

    def _refuse(self, version: str, reason: str, asked_by: str) -> dict[str, Any]:
        """Note and announce the refusal; a version in the registry stays as it is."""
        answer = {"version": version, "status": "refused", "reason": reason}
        if self._was_just_refused(version, reason):
            return answer
        logger.warning("model refused", model=version, reason=reason)
        if not self._ledger.registry().role_of(version):
            self._note(version, "refused", reason, asked_by)
        self._announce(version, "refused", reason, asked_by)
        return answer

    def _was_just_refused(self, version: str, reason: str) -> bool:
        """Whether another file of the same upload was refused for this reason: one event is enough."""
        item = self._ledger.version(version)
        return (
            item is not None
            and (item.state, item.reason) == ("refused", reason)
            and self._market.now - item.since < UPLOAD_TIME_MAX
        )

    def _was_just_accepted(self, version: str) -> bool:
        """Whether the version may be about to enter the registry: its files are written before."""
        item = self._ledger.version(version)
        return (
            item is not None
            and item.state == "accepted"
            and self._market.now - item.since < UPLOAD_TIME_MAX
        )

    # --- ledger and bus ------------------------------------------------------------------------------

    def _note_incomplete(self, version: str, missing: list[str], asked_by: str) -> dict[str, Any]:
        """Not an error yet: files are uploaded one after the other."""
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

    def _note_removed(self, version: str) -> None:
        item = self._ledger.version(version)
        if item is not None:
            reason = "no longer live, previous or pending"
            update = {"state": "removed", "reason": reason, "since": self._market.now}
            self._ledger.note_version(item.model_copy(update=update))
            self._announce(version, "removed", reason, item.asked_by)

    def _note_accepted(self, version: str, upload: CheckedUpload, asked_by: str) -> None:
        self._note(version, "accepted", upload.remark, asked_by, upload)

    def _note(
        self,
        version: str,
        state: UploadState,
        reason: str,
        asked_by: str,
        upload: CheckedUpload | None = None,
    ) -> None:
        self._ledger.note_version(
            ModelItem(
                version=version,
                state=state,
                reason=reason,
                since=self._market.now,
                asked_by=asked_by,
                name=upload.model.metadata.name if upload else "",
                trained_until=upload.model.metadata.trained_until if upload else None,
                sha256=upload.sha256 if upload else "",
                comparison=upload.comparison if upload else {},
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
