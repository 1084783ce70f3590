"""What a seal says, as bytes: the same for whoever seals, whoever verifies, and whoever has only an export."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from budgets.models import LedgerSeal
from kernel.keyring import keys_for
from kernel.sql_files import read_sql

#: The order of columns that `ledger_hashes.sql` hashes. Another order is another number.
LAYOUT: Final = 1
#: What the first seal follows.
NOTHING: Final = bytes(32)
_PURPOSE: Final = "ledger.seal"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATEMENT_SECONDS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class HashedEntries:
    """Entries of a range; without any, all is None but `number`."""

    number: int
    first_at: datetime | None
    last_at: datetime | None
    entries_hash: bytes | None


def hash_entries(*, after: int, until: int) -> HashedEntries:
    """Of the tenant whose schema the connection is in; inside a transaction, whose limit of time it sets."""
    bounds: Mapping[str, Any] = {"after": after, "until": until}
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS_MAX}s'")
        cursor.execute(read_sql("budgets", "ledger_hashes"), bounds)
        number, first_at, last_at, entries_hash = cursor.fetchone()
    return HashedEntries(number, first_at, last_at, None if entries_hash is None else bytes(entries_hash))


def hash_of(seal: LedgerSeal) -> bytes:
    """SHA-256 over the JSON array of what the seal says. When it was made is not part of it: that proves nothing."""
    said = [
        seal.number,
        seal.layout,
        seal.first_seq,
        seal.last_seq,
        _microseconds(seal.first_at),
        _microseconds(seal.last_at),
        bytes(seal.entries_hash).hex(),
        bytes(seal.previous_hash).hex(),
    ]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).digest()


def sign(seal_hash: bytes) -> bytes:
    return hmac.digest(keys_for(_PURPOSE).signing, seal_hash, "sha256")


def is_signed(seal_hash: bytes, signature: bytes) -> bool:
    """Whether this installation signed it, with its secret or with one before it."""
    return any(
        hmac.compare_digest(hmac.digest(key, seal_hash, "sha256"), signature) for key in keys_for(_PURPOSE).verifying
    )


def _microseconds(at: datetime) -> int:
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
