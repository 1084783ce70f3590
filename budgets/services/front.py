"""What a process needs of a tenant's rules before it asks the books: rate limits, and what shares of providers.

Kept for `SECONDS` in the process. What is decided by it is nothing but how fast and where; everything that must not be
a moment old is judged in the books' own transaction.
"""

import threading
import time
from typing import Final

import msgspec

from budgets.services import engine
from kernel.ids import Tag

SECONDS: Final = 1.0
_TENANTS_MAX: Final = 4096


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A token bucket of the tenant, or of each workspace, agent or key. `capacity` is what a burst may take."""

    name: str
    level: str
    counts: str
    capacity: int
    per_minute: int


class Shadow(msgspec.Struct, frozen=True):
    is_on: bool = False
    checks: tuple[str, ...] = ()


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the ruleset that is looked at first. `models` are the names that routes may lead to."""

    rate: tuple[RateLimit, ...] = ()
    shadow: Shadow = Shadow()
    models: tuple[str, ...] = ()
    share_weight: int = 1

    @property
    def is_rate_shadowed(self) -> bool:
        return self.shadow.is_on or "rate" in self.shadow.checks


class _Kept(msgspec.Struct):
    front: Front
    until: float


_EMPTY: Final = Front()
_DECODER: Final = msgspec.json.Decoder(Front)
_kept: dict[Tag, _Kept] = {}
_lock = threading.Lock()


def front_of(tag: Tag) -> Front:
    """The tenant's, at most `SECONDS` old. Nothing is limited here while the books cannot be asked: they refuse."""
    kept = _kept.get(tag)
    now = time.monotonic()
    if kept is not None:
        if now < kept.until:
            return kept.front
        # One thread asks, the others go on with what they have.
        with _lock:
            if now < kept.until:
                return kept.front
            kept.until = now + SECONDS
    front = _load(tag, otherwise=_EMPTY if kept is None else kept.front)
    with _lock:
        if len(_kept) >= _TENANTS_MAX:
            _kept.clear()
        _kept[tag] = _Kept(front, time.monotonic() + SECONDS)
    return front


def _load(tag: Tag, *, otherwise: Front) -> Front:
    try:
        found = engine.read_front(tag)
    except (engine.EngineUnavailable, engine.UnknownTenant):
        return otherwise
    return _EMPTY if found is None else _DECODER.decode(found)
