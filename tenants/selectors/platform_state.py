"""How the platform's own parts are: queues, workers, notes, versions. Each part that is away is None."""

import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import django
import redis
from django.conf import settings
from django.db import connection

from kernel.tenancy import in_public
from kernel.valkey import shared_valkey

#: The queue of tasks where nobody named another, and the one of those that wait for other people's servers.
_QUEUES: Final = ("celery", "webhooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """Tasks that wait, tasks that workers have taken and not yet acknowledged, and the workers that listen."""

    waiting: int
    taken: int
    workers: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    watermaster: str
    python: str
    django: str
    postgresql: str


def queue_state() -> QueueState | None:
    """None while Valkey is away. Reads what Celery keeps there."""
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    try:
        with shared_valkey().pipeline(transaction=False) as reading:
            for queue in _QUEUES:
                reading.llen(f"{prefix}{queue}")
            reading.hlen(f"{prefix}unacked")
            reading.smembers(f"{prefix}_kombu.binding.celery.pidbox")
            reading.info("server")
            *waiting, taken, bindings, server = reading.execute()
    except redis.RedisError:
        return None
    known = server.get("valkey_version") or server.get("redis_version") or "unknown"
    return QueueState(
        waiting=sum(waiting),
        taken=taken,
        workers=tuple(sorted({_worker(binding) for binding in bindings})),
        version=str(known),
    )


def versions() -> Versions:
    """One query."""
    with in_public(), connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgresql,) = cursor.fetchone()
    try:
        own = version("watermaster")
    except PackageNotFoundError:
        own = "a checkout"
    return Versions(
        watermaster=own, python=platform.python_version(), django=django.get_version(), postgresql=str(postgresql)
    )


def seconds_since(at: datetime | None, *, now: datetime) -> int | None:
    return None if at is None else max(int((now - at).total_seconds()), 0)


def _worker(binding: bytes | str) -> str:
    """`celery@host` of a binding, whose parts kombu joins by a control character."""
    text = binding.decode(errors="replace") if isinstance(binding, bytes) else binding
    return text.rpartition("\x16")[2].removesuffix(".celery.pidbox")
