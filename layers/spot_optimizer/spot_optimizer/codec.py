"""The two formats of stored state: columns of numbers (npz) and records (gzipped JSON).

Both have a kind and a version, and reading them runs no code of theirs (no pickle). Equal content
gives equal bytes, so that a write can be skipped if nothing changed.
"""

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spot_optimizer.vocabulary import Pool

POOL_COLUMNS = ("types", "zones")
"""Names of the columns of ``pools_to_columns``."""
_FORM = "form"


class DamagedState(ValueError):
    """Stored bytes that cannot be read: damaged, of another kind, or of an unknown version."""


def pack_columns(kind: str, version: int, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """``columns`` as a compressed npz archive with its kind and version."""
    buffer = io.BytesIO()
    arrays = {_FORM: np.array(_form(kind, version)), **columns}
    # numpy's stubs mistake the named arrays for the flag allow_pickle.
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_columns(
    data: bytes, kind: str, version: int, names: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Read the columns ``names`` that ``pack_columns`` wrote. Raises only DamagedState."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            # Only the requested columns: archives are large, and each column is unpacked separately.
            columns = {name: archive[name] for name in (_FORM, *names) if name in archive.files}
    # zipfile, zlib and numpy raise a dozen kinds of errors on damaged bytes; all mean the same here.
    except Exception as error:
        raise DamagedState(f"{kind}: {len(data)} bytes are not an npz archive ({error})") from error
    _check_form(str(columns.get(_FORM, "nothing")), kind, version)
    missing = [name for name in names if name not in columns]
    if missing:
        raise DamagedState(f"{kind}: columns {', '.join(missing)} are missing")
    return {name: columns[name] for name in names}


def pools_to_columns(pools: tuple[Pool, ...]) -> dict[str, NDArray[Any]]:
    """Pools as the columns ``POOL_COLUMNS``."""
    return {
        "types": np.array([pool.instance_type for pool in pools], dtype=np.str_),
        "zones": np.array([pool.availability_zone for pool in pools], dtype=np.str_),
    }


def pools_from_columns(columns: Mapping[str, NDArray[Any]]) -> tuple[Pool, ...]:
    """Read what ``pools_to_columns`` gave."""
    return tuple(map(Pool, columns["types"].tolist(), columns["zones"].tolist()))


def pack_json(kind: str, version: int, body: Mapping[str, Any]) -> bytes:
    """``body`` as gzipped JSON with its kind and version."""
    text = json.dumps({_FORM: _form(kind, version), **body}, separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def unpack_json(data: bytes, kind: str, version: int) -> dict[str, Any]:
    """Read the body that ``pack_json`` wrote. Raises only DamagedState."""
    try:
        body = json.loads(gzip.decompress(data))
        form = str(body.pop(_FORM, "nothing"))
    # gzip and zlib raise several kinds of errors on damaged bytes; all mean the same here.
    except Exception as error:
        raise DamagedState(f"{kind}: {len(data)} bytes are not gzipped JSON ({error})") from error
    _check_form(form, kind, version)
    return dict(body)


def _form(kind: str, version: int) -> str:
    return f"{kind}/{version}"


def _check_form(found: str, kind: str, version: int) -> None:
    if found != _form(kind, version):
        raise DamagedState(f"{kind}: stored form is '{found}', allowed is '{_form(kind, version)}'")
