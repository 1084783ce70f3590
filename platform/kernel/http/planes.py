"""What is different about the plane of the hot path: it keeps no connections of Django's between requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from kernel.tenancy import CELL


@contextmanager
def closes_shared_connections() -> Iterator[None]:
    """Close what a rare query through Django opened: a thread of this plane would keep it for ever."""
    try:
        yield
    finally:
        connections[CELL].close()
