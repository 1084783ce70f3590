"""What of the providers' capacity is used in this minute, by tenant: from the counts that calls leave in Valkey."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import redis

from kernel.valkey import shared_valkey

_MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUse:
    """What one tenant was let through in this minute; `weight` is its share's, from its plan."""

    tag: str
    weight: int
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """A pool's use in this minute and in the whole minute before; `tenants` are those of the last hour."""

    requests: int
    tokens: int
    requests_before: int
    tokens_before: int
    tenants: tuple[TenantUse, ...]


def pool_uses(names: Iterable[str], *, at: float | None = None) -> dict[str, PoolUse] | None:
    """The use of these pools, in one round trip; None while Valkey is away. `at` is in seconds since the epoch."""
    wanted = list(names)
    minute = int(time.time() if at is None else at) // _MINUTE_S
    try:
        with shared_valkey().pipeline(transaction=False) as pipeline:
            for name in wanted:
                # The slots that `lua/share.lua` counts in.
                slot = f"pool:{{{name}}}"
                for key in (f"{slot}:{minute}", f"{slot}:{minute - 1}", f"{slot}:weights"):
                    pipeline.hgetall(key)
            found = pipeline.execute() if wanted else []
    except redis.RedisError:
        return None
    return {name: _use(*(_plain(found[3 * place + part]) for part in range(3))) for place, name in enumerate(wanted)}


def _use(now: dict[str, int], before: dict[str, int], weights: dict[str, int]) -> PoolUse:
    tenants = (
        TenantUse(tag=tag, weight=weight, requests=now.get(f"r:{tag}", 0), tokens=now.get(f"t:{tag}", 0))
        for tag, weight in weights.items()
    )
    return PoolUse(
        requests=now.get("r", 0),
        tokens=now.get("t", 0),
        requests_before=before.get("r", 0),
        tokens_before=before.get("t", 0),
        tenants=tuple(sorted(tenants, key=lambda tenant: (-tenant.tokens, -tenant.requests, tenant.tag))),
    )


def _plain(found: dict[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in found.items()}
