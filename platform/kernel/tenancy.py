"""Whose schema a piece of work runs in. The one place that knows how a tenant's tag leads to a database."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django_tenants.utils import schema_context

from kernel.ids import Tag, schema_name

#: The database alias of every tenant's cell. With several cells this becomes a look-up, here and nowhere else.
CELL = "default"


@contextmanager
def in_tenant(tag: Tag) -> Iterator[None]:
    """Run a block in the schema of the tenant `tag`, on this thread's connection; the schema before comes back after
    it.

    The stack behind `with tenant:` is shared by threads, so this uses `schema_context`.
    """
    with schema_context(schema_name(tag)):
        yield


@contextmanager
def in_public() -> Iterator[None]:
    """Run a block in the shared schema."""
    with schema_context("public"):
        yield


def schema_exists(tag: Tag) -> bool:
    """Whether the tenant's schema is there."""
    with connections[CELL].cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema_name(tag)])
        return bool(cursor.fetchone()[0])
