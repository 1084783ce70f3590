"""Valkey as the hot path uses it: one pool a process, short waits, and never anything that must not be lost."""

from functools import cache
from typing import Final

import redis
from django.conf import settings

#: A rate limit is not worth waiting for longer.
SECONDS_MAX: Final = 0.05
CONNECTIONS_MAX: Final = 64


@cache
def shared_valkey() -> redis.Redis:
    """The process's client. Its calls raise `redis.RedisError` when Valkey is away or slow."""
    pool = redis.BlockingConnectionPool.from_url(
        settings.REDIS_URL,
        socket_timeout=SECONDS_MAX,
        socket_connect_timeout=SECONDS_MAX,
        timeout=SECONDS_MAX,
        max_connections=CONNECTIONS_MAX,
    )
    return redis.Redis(connection_pool=pool)
