"""What a stack stores now, and what it will store once its retention periods have passed.

Data with a retention period grows by as much a day as it did during the measurement, until as much
expires as is added: its final size is one day's growth times its days. Other data keeps its size.
"""

from collections import Counter
from collections.abc import Mapping

from moto.s3.models import s3_backends

from simulator.account import EmbeddedAccount
from simulator.costs.item_sizes import STORAGE_OVERHEAD_BYTES
from simulator.costs.tables import Tables

__all__ = ["Stored", "full_gb", "look"]

Stored = Counter[str]
"""Folder of the bucket, or ``items`` -> bytes."""

ITEMS = "items"


def look(account: EmbeddedAccount) -> Stored:
    """What is stored now."""
    bucket = s3_backends[account.account_id]["aws"].buckets[account.outputs["DataBucket"]]
    stored = Stored()
    for key in bucket.keys.values():
        stored[f"{key.name.partition('/')[0]}/"] += key.size
    sizes = Tables(account.account_id).table_sizes(account.region, account.outputs["LedgerTable"])
    stored[ITEMS] = sum(sizes) + STORAGE_OVERHEAD_BYTES * len(sizes)
    return stored


def full_gb(
    begin: Stored, end: Stored, days: float, kept_days: Mapping[str, float]
) -> dict[str, float]:
    """Folder -> gigabytes once all that is kept for ``kept_days`` is there."""
    return {
        folder: max(size, (size - begin[folder]) / days * kept_days[folder]) / 1e9
        if folder in kept_days
        else size / 1e9
        for folder, size in end.items()
    }
