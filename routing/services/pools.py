"""Provider pools: which deployments have room for a tenant now, and what was sent to them.

Limits are the provider's and the same for all tenants; the shares are weighted by their plans. Who is let through is
counted when the route is chosen, so a pool can be overrun by what is under way at once: the provider refuses it then.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Final

import redis
from django.db import DatabaseError
from redis.commands.core import Script

from kernel.actor import Actor
from kernel.http.planes import closes_shared_connections
from kernel.ids import Tag
from kernel.tenancy import in_public
from kernel.valkey import shared_valkey
from routing.models import ProviderPool
from telemetry.services import audit

#: How old a process's knowledge of the pools may be.
SECONDS: Final = 2.0
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Limits a minute; 0 is none."""

    name: str
    requests_per_minute: int
    tokens_per_minute: int
    is_healthy: bool


class InvalidPool(Exception):
    """The text says what to mend."""


def set_pool(
    *, name: str, requests_per_minute: int, tokens_per_minute: int, is_healthy: bool, actor: Actor, now: datetime
) -> Pool:
    """Make or change a pool, for all processes within `SECONDS`. Safe to repeat. Raises `InvalidPool`."""
    name = name.lower()
    provider, _, model = name.partition(":")
    if not provider or not model or any(character.isspace() for character in name):
        raise InvalidPool("name must be provider:model, or provider:model@deployment.")
    if requests_per_minute < 0 or tokens_per_minute < 0:
        raise InvalidPool("requests_per_minute and tokens_per_minute must be 0 (no limit) or more.")
    values = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "is_healthy": is_healthy,
    }
    with in_public():
        ProviderPool.objects.update_or_create(
            name=name, defaults=values | {"changed_at": now, "changed_by": actor.name}
        )
        audit.record(actor=actor, action="pool.set", target=name, at=now, after=values)
    _known.forget()
    return Pool(name=name, **values)  # type: ignore[arg-type]


def list_pools() -> list[Pool]:
    """All pools, by name."""
    with in_public():
        return [
            Pool(
                name=pool.name,
                requests_per_minute=pool.requests_per_minute,
                tokens_per_minute=pool.tokens_per_minute,
                is_healthy=pool.is_healthy,
            )
            for pool in ProviderPool.objects.order_by("name")
        ]


def without_room(models: Sequence[str], *, tag: Tag, weight: int, tokens: int, at: float | None = None) -> list[str]:
    """The names among `models` that nothing is to be sent to now: unhealthy, or full for this tenant.

    Models without a pool have no limit. Without Valkey only health counts. `at` is in seconds since the epoch, now
    when left out.
    """
    pools = _known.get()
    wanted = [pools[name] for name in models if name in pools]
    limited = [pool for pool in wanted if pool.is_healthy and (pool.requests_per_minute or pool.tokens_per_minute)]
    unhealthy = [pool.name for pool in wanted if not pool.is_healthy]
    if not limited:
        return unhealthy
    try:
        # A pool is a slot of its own, so each is asked by itself, in one round trip.
        with shared_valkey().pipeline(transaction=False) as pipeline:
            for pool in limited:
                _call(pool, "look", tag=tag, weight=weight, tokens=tokens, at=at, client=pipeline)
            answers = pipeline.execute()
    except redis.RedisError:
        return unhealthy
    return unhealthy + [pool.name for pool, answer in zip(limited, answers, strict=True) if answer == 0]


def note_use(name: str, *, tag: Tag, weight: int, tokens: int, at: float | None = None) -> None:
    """Count a call that was let through to the model `name`."""
    pool = _known.get().get(name)
    if pool is None or not (pool.requests_per_minute or pool.tokens_per_minute):
        return
    try:
        _call(pool, "use", tag=tag, weight=weight, tokens=tokens, at=at, client=shared_valkey())
    except redis.RedisError:
        return


def _call(pool: Pool, verb: str, *, tag: Tag, weight: int, tokens: int, at: float | None, client: redis.Redis) -> None:
    minute = int(time.time() if at is None else at) // _MINUTE
    slot = f"pool:{{{pool.name}}}"
    _script()(
        keys=[f"{slot}:{minute}", f"{slot}:{minute - 1}", f"{slot}:weights"],
        args=[verb, tag, weight, 1, tokens, pool.requests_per_minute, pool.tokens_per_minute],
        client=client,
    )


@cache
def _script() -> Script:
    text = resources.files("routing").joinpath("lua", "share.lua").read_text()
    return shared_valkey().register_script(text)


class _KnownPools:
    """The pools as the process knows them: one thread asks when they are old, the others go on with what they have."""

    def __init__(self) -> None:
        self._pools: Mapping[str, Pool] = {}
        self._until = 0.0
        self._lock = threading.Lock()

    def get(self) -> Mapping[str, Pool]:
        now = time.monotonic()
        if now < self._until:
            return self._pools
        with self._lock:
            if now < self._until:
                return self._pools
            self._until = now + SECONDS
        try:
            with closes_shared_connections():
                self._pools = {pool.name: pool for pool in list_pools()}
        except DatabaseError:
            # Without the database nothing is decided anyway.
            return self._pools
        return self._pools

    def forget(self) -> None:
        self._until = 0.0


_known: Final = _KnownPools()
