"""The two forms in which state is stored: columns of numbers (npz) and records (gzipped JSON).

Both carry a kind and a version, are read without running code from them (no pickle), and come out
the same byte for byte for the same content, so that a write may be skipped when nothing changed.
"""

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FORM = "form"


class DamagedState(ValueError):
    """Stored bytes that cannot be read: damaged, of another kind, or of an unknown version."""


def pack_columns(kind: str, version: int, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """``columns`` as a compressed npz archive that says what it is."""
    buffer = io.BytesIO()
    arrays = {_FORM: np.array(_form(kind, version)), **columns}
    # numpy's stubs take the flag allow_pickle for one of the named arrays.
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_columns(
    data: bytes, kind: str, version: int, names: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """The columns ``names`` that ``pack_columns`` wrote. Raises DamagedState and nothing else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            # Only what is asked for: an archive is large, and its parts are unpacked one by one.
            columns = {name: archive[name] for name in (_FORM, *names) if name in archive.files}
    # zipfile, zlib and numpy raise a dozen kinds of error on damaged bytes; all mean the same here.
    except Exception as error:
        raise DamagedState(f"{kind}: {len(data)} bytes are no npz archive ({error})") from error
    _check_form(str(columns.get(_FORM, "nothing")), kind, version)
    missing = [name for name in names if name not in columns]
    if missing:
        raise DamagedState(f"{kind}: columns {', '.join(missing)} are missing")
    return {name: columns[name] for name in names}


def pack_json(kind: str, version: int, body: Mapping[str, Any]) -> bytes:
    """``body`` as gzipped JSON that says what it is."""
    text = json.dumps({_FORM: _form(kind, version), **body}, separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def unpack_json(data: bytes, kind: str, version: int) -> dict[str, Any]:
    """The body that ``pack_json`` wrote. Raises DamagedState and nothing else."""
    try:
        body = json.loads(gzip.decompress(data))
        form = str(body.pop(_FORM, "nothing"))
    # gzip and zlib raise several kinds of error on damaged bytes; all mean the same here.
    except Exception as error:
        raise DamagedState(f"{kind}: {len(data)} bytes are no gzipped JSON ({error})") from error
    _check_form(form, kind, version)
    return dict(body)


def _form(kind: str, version: int) -> str:
    return f"{kind}/{version}"


def _check_form(found: str, kind: str, version: int) -> None:
    if found != _form(kind, version):
        raise DamagedState(f"{kind}: stored form is '{found}', allowed is '{_form(kind, version)}'")
