"""Whether a request with a known idempotency key is the same request."""

import hashlib
import json
from typing import Any

from budgets.models import LedgerEntry


class PayloadDiffers(Exception):
    """The idempotency key was used for something else."""


def hash_of(*parts: Any) -> bytes:
    """16 bytes that are equal for equal parts (JSON data)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def earlier_entry(*, endpoint: str, idempotency_key: str, payload_hash: bytes) -> LedgerEntry | None:
    """The entry that this key made, if it has made one. Keys are the tenant's. Raises `PayloadDiffers`."""
    entry = LedgerEntry.objects.filter(idempotency_key=idempotency_key, endpoint=endpoint, target__isnull=True).first()
    if entry is not None and bytes(entry.payload_hash or b"") != payload_hash:
        raise PayloadDiffers
    return entry
