"""The data bucket: market, usage, models and decisions."""

import gzip
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError

from spot_optimizer.aws.clients import client, error_code
from spot_optimizer.telemetry import logger

MARKET_PRICES = "market/prices.npz"
MARKET_SAFETY = "market/safety.npz"
MARKET_SNAPSHOT = "market/snapshot.npz"
MARKET_TRIAL = "market/trial.npz"
"""The snapshot as the pending model forecasts it, while that decides for some workloads."""
MARKET_TRIAL_SAFETY = "market/trial-safety.npz"
MARKET_CATALOG = "market/catalog.json.gz"
MARKET_ADVISOR = "market/advisor.json.gz"
MARKET_DOUBTED = "market/doubted-prices.json"
SCORES = "market/scores.json.gz"
LESSONS = "market/lessons"
"""What each version of a model has learned in this account: ``market/lessons/<version>.npz``."""
ISSUED_FORECASTS = "forecasts"
"""Issued forecasts: ``forecasts/dt=2026-03-02/140000.npz``."""
UPLOADED_MODELS = "models/uploads/"
"""Where users upload models, each in a folder named after its version."""
KEPT_MODELS = "models/kept/"
"""Copies of the models as they were when they were validated."""
HISTORY = "history"
"""Prices by month: ``history/reported/2026-03.npz``, ``history/imported/2026-03.npz``."""
KEPT_SNAPSHOTS = "inputs/snapshots/"
KEPT_CATALOGS = "inputs/catalogs/"
"""Market snapshots and catalogs that decisions were based on, by their ETags."""
CYCLES = "inputs/cycles"
"""The other inputs of each cycle's decisions."""
DECISIONS = "decisions"
IMPORTS = "history/imports.json"
USAGE = "usage/usage.json.gz"
MEMORY_METRICS = "usage/memory-metrics.json"
THROUGHPUT = "usage/throughput.json"


_UPDATE_TRIES = 5
_WRITTEN_MEANWHILE = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")

Parsed = TypeVar("Parsed")

_loaded: dict[tuple[str, str], tuple[str, object]] = {}
"""(bucket, key) -> ETag and parsed object; kept while the execution environment lives."""


class TooLarge(ValueError):
    """An object has more bytes than its reader allows."""


class DataBucket:
    """Objects of the stack's data bucket by their keys above."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def read(self, key: str, bytes_max: int | None = None) -> bytes | None:
        """An object's bytes; None if there is none yet. Raises TooLarge above ``bytes_max`` bytes."""
        return self.read_named(key, bytes_max)[0]

    def read_named(self, key: str, bytes_max: int | None = None) -> tuple[bytes | None, str]:
        """An object's bytes and its ETag; None and "" if there is none yet. Raises TooLarge."""
        try:
            reply = client("s3").get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None, ""
            raise
        if bytes_max is not None and reply["ContentLength"] > bytes_max:
            raise TooLarge(
                f"the object has {reply['ContentLength']} bytes, allowed are {bytes_max}"
            )
        return reply["Body"].read(), _bare(reply["ETag"])

    def loaded_name(self, key: str) -> str:
        """ETag of an object as it was last loaded; "" if it was not loaded."""
        return _bare(_loaded.get((self._bucket, key), ("", None))[0])

    def keys(self, prefix: str) -> list[str]:
        """Keys that begin with ``prefix``, in order."""
        pages = (
            client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._bucket, Prefix=prefix)
        )
        return [row["Key"] for page in pages for row in page.get("Contents", ())]

    def load(self, key: str, parse: Callable[[bytes], Parsed]) -> Parsed | None:
        """An object as ``parse`` reads it; None if there is none yet.

        For objects that change seldom and take long to parse: a warm function only asks S3 whether the
        object has changed. ``parse`` must return an immutable value, because callers share it.
        """
        etag, parsed = _loaded.get((self._bucket, key), ("", None))
        unless_same: dict[str, Any] = {"IfNoneMatch": etag} if etag else {}
        try:
            reply = client("s3").get_object(Bucket=self._bucket, Key=key, **unless_same)
        except ClientError as error:
            if error_code(error) == "304":
                return cast(Parsed, parsed)
            if error_code(error) == "NoSuchKey":
                return None
            raise
        fresh = parse(reply["Body"].read())
        _loaded[self._bucket, key] = (reply["ETag"], fresh)
        return fresh

    def write(self, key: str, body: bytes) -> str:
        """Put an object; returns its ETag."""
        reply = client("s3").put_object(Bucket=self._bucket, Key=key, Body=body)
        return _bare(reply["ETag"])

    def write_and_keep(self, key: str, folder: str, body: bytes) -> None:
        """Put an object, and a copy under its ETag that remains when the object is overwritten.

        A copy that fails is logged: only later explanations need it.
        """
        etag = self.write(key, body)
        try:
            self.write(folder + etag, body)
        except (BotoCoreError, ClientError):
            logger.exception("copy not kept", key=key)

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace an object by the result of ``change``, which gets None if there is none yet.

        If another writer changed the object in the meantime, the update is repeated with the newer object
        (S3 user guide, "How to prevent object overwrites with conditional writes"), so ``change`` may be
        called several times. Raises S3's error if every attempt meets another writer.
        """
        condition: dict[str, Any]
        for tries_left in reversed(range(_UPDATE_TRIES)):
            try:
                reply = client("s3").get_object(Bucket=self._bucket, Key=key)
                before, condition = reply["Body"].read(), {"IfMatch": reply["ETag"]}
            except ClientError as error:
                if error_code(error) != "NoSuchKey":
                    raise
                before, condition = None, {"IfNoneMatch": "*"}
            try:
                client("s3").put_object(
                    Bucket=self._bucket, Key=key, Body=change(before), **condition
                )
                return
            except ClientError as error:
                if error_code(error) not in _WRITTEN_MEANWHILE or not tries_left:
                    raise

    def sizes_under(self, prefix: str) -> dict[str, int]:
        """Key -> bytes of every object whose key begins with ``prefix``."""
        pages = (
            client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._bucket, Prefix=prefix)
        )
        return {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", ())}

    def remove_object(self, key: str) -> None:
        """Delete an object. No error if there is none."""
        client("s3").delete_object(Bucket=self._bucket, Key=key)

    def write_json_lines(self, kind: str, at: datetime, rows: Iterable[Any], name: str = "") -> str:
        """Write rows as gzip JSON lines under ``kind/dt=YYYY-MM-DD/``, where Athena and DuckDB find them.

        ``name`` distinguishes objects of the same second. Returns the key.
        """
        key = f"{by_time(kind, at, name)}.jsonl.gz"
        text = "\n".join(json.dumps(row, default=str, sort_keys=True) for row in rows)
        # mtime 0: the same rows give the same bytes.
        self.write(key, gzip.compress(text.encode(), compresslevel=6, mtime=0))
        return key


def by_time(kind: str, at: datetime, name: str = "") -> str:
    """Key, without its ending, of an object that is written at a time."""
    return f"{kind}/dt={at:%Y-%m-%d}/{at:%H%M%S}{name}"


def _bare(etag: str) -> str:
    return etag.strip('"')
