"""Slows down the guessing of passwords and the asking for new ones, without letting a stranger lock anybody out.

Two counts over a window: one for an address on the network together with one e-mail address, and a wider one for the
network address alone. There is none for the e-mail address alone, or whoever knows it could shut its owner out.
"""

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.core.cache import BaseCache, cache, caches
from redis.exceptions import RedisError

WINDOW_S: Final = 15 * 60
ATTEMPTS_FOR_ONE_EMAIL: Final = 5
ATTEMPTS_FROM_ONE_ADDRESS: Final = 30
MAILS_FOR_ONE_EMAIL: Final = 3

type Kind = Literal["sign-in", "password-reset"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `retry_after_s` is 0 where the password may be looked at."""

    retry_after_s: int

    @property
    def is_allowed(self) -> bool:
        return self.retry_after_s == 0


def begin_attempt(*, email: str, network_address: str, now: datetime, kind: Kind = "sign-in") -> Attempt:
    """Count a try before its password is looked at, so that many at once do not slip through.

    Tells nothing about whether the e-mail address is known. With Valkey away each process counts for itself. Each
    `kind` has counts of its own: whoever failed to sign in is the one who needs a new password.
    """
    now_s = now.timestamp()
    window = int(now_s // WINDOW_S)
    limits = {
        _key(f"{kind}:email", network_address, email, window): ATTEMPTS_FOR_ONE_EMAIL,
        _key(f"{kind}:address", network_address, "", window): ATTEMPTS_FROM_ONE_ADDRESS,
    }
    is_over = False
    for key, limit in limits.items():
        is_over = _count(key) > limit or is_over
    return Attempt(retry_after_s=int((window + 1) * WINDOW_S - now_s) + 1 if is_over else 0)


def may_mail(*, email: str, now: datetime) -> bool:
    """Whether one more mail goes to this address now, from wherever it was asked for: nobody's mailbox is flooded.

    Shuts nobody out: the mails that went before hold links that work.
    """
    return _count(_key("password-reset:mail", "", email, int(now.timestamp() // WINDOW_S))) <= MAILS_FOR_ONE_EMAIL


def forget_attempts(*, email: str, network_address: str, now: datetime) -> None:
    """After a success: the owner of the password starts anew."""
    key = _key("sign-in:email", network_address, email, int(now.timestamp() // WINDOW_S))
    with contextlib.suppress(RedisError, OSError):
        cache.delete(key)
    _own_counts().delete(key)


def _count(key: str) -> int:
    try:
        return _count_in(cache, key)
    except (RedisError, OSError):
        return _count_in(_own_counts(), key)


def _count_in(counts: BaseCache, key: str) -> int:
    counts.add(key, 0, timeout=WINDOW_S)
    try:
        return counts.incr(key)
    except ValueError:
        # It ran out between the two calls.
        counts.set(key, 1, timeout=WINDOW_S)
        return 1


def _own_counts() -> BaseCache:
    return caches["process"]


def _key(kind: str, network_address: str, email: str, window: int) -> str:
    # Hashed, so that no e-mail address is readable in the cache; lengths first, so that no two pairs join to one text.
    joined = f"{len(network_address)}:{network_address}:{email}"
    return f"{kind}:{window}:{hashlib.sha256(joined.encode()).hexdigest()}"
