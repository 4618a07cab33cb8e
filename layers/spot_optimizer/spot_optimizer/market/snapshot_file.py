"""The market snapshot as a file: ``refresh_market`` writes it, ``decide`` reads it."""

from dataclasses import fields
from datetime import datetime
from typing import Any

import numpy as np

from spot_optimizer.codec import (
    POOL_COLUMNS,
    DamagedState,
    pack_columns,
    pools_from_columns,
    pools_to_columns,
    unpack_columns,
)
from spot_optimizer.market.snapshot import MarketSnapshot

_KIND, _VERSION = "market-snapshot", 1
_TEXTS = ("forecaster", "degraded")
_COLUMNS = tuple(
    f.name for f in fields(MarketSnapshot) if f.name not in ("as_of", "pools", *_TEXTS)
)
_UNUSED_COLUMNS = ("volatility_24h",)
"""Version 0.1.0 of ``decide`` refuses a snapshot without them but never uses their values. They are
written as NaN (unknown) so that a gradual deployment and a rollback work."""


def snapshot_to_bytes(snapshot: MarketSnapshot) -> bytes:
    """A compressed npz archive; equal snapshots give equal bytes."""
    texts = {name: np.array(getattr(snapshot, name), dtype=np.str_) for name in _TEXTS}
    columns = {name: getattr(snapshot, name) for name in _COLUMNS}
    columns |= {name: np.full(len(snapshot.pools), np.nan) for name in _UNUSED_COLUMNS}
    pools = pools_to_columns(snapshot.pools)
    as_of = {"as_of": np.array(snapshot.as_of.isoformat(), dtype=np.str_)}
    return pack_columns(_KIND, _VERSION, {**as_of, **texts, **pools, **columns})


def snapshot_from_bytes(data: bytes) -> MarketSnapshot:
    """Read what ``snapshot_to_bytes`` wrote. Raises DamagedState."""
    names = ("as_of", *_TEXTS, *POOL_COLUMNS, *_COLUMNS)
    stored = unpack_columns(data, _KIND, _VERSION, names)
    pools = pools_from_columns(stored)
    for name in _COLUMNS:
        if stored[name].shape != (len(pools),):
            raise DamagedState(f"{_KIND}: {name} has shape {stored[name].shape}, not {len(pools)}")
    try:
        as_of = datetime.fromisoformat(str(stored["as_of"]))
    except ValueError as error:
        raise DamagedState(f"{_KIND}: as_of = '{stored['as_of']}' is not a time") from error
    texts: dict[str, Any] = {name: str(stored[name]) for name in _TEXTS}
    columns: dict[str, Any] = {name: stored[name] for name in _COLUMNS}
    return MarketSnapshot(as_of=as_of, pools=pools, **texts, **columns)
