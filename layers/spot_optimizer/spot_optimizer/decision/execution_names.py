"""Ids of decisions, which are the names of the executions of their switches."""

import hashlib
import re
from datetime import UTC, datetime

_LENGTH_MAX = 80
_STAMP = "%Y%m%dT%H%M%SZ"


def execution_name(workload_id: str, at: datetime, detail: str) -> str:
    """At most 80 characters of ``[0-9A-Za-z_-]`` (StartExecution API reference, ``name``).

    Readable, with a hash that differs if the full workload ids or ``detail`` do.
    """
    stamp = at.astimezone(UTC).strftime(_STAMP)
    whole = f"{workload_id}|{at.astimezone(UTC).isoformat()}|{detail}"
    digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
    room = _LENGTH_MAX - len(stamp) - len(digest) - 2
    slug = re.sub(r"[^0-9A-Za-z_-]+", "-", workload_id)[:room]
    return f"{slug}-{stamp}-{digest}"
