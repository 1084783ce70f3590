"""Whose schema a piece of work runs in. The one place that knows how a tenant's tag leads to a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from django.db import connections
from django_tenants.postgresql_backend.base import DatabaseWrapper

from kernel.ids import Tag, schema_name

#: The database alias of every tenant's cell. With several cells this becomes a look-up, here and nowhere else.
CELL = "default"


@contextmanager
def in_tenant(tag: Tag) -> Iterator[None]:
    """Run a block in the schema of the tenant `tag` and nowhere else, on this thread's connection.

    The shared schema is not in the search path: some tables have the same name in both, and for a tenant whose schema
    is gone they would be read there. What was set before comes back after the block.
    """
    with _in_schema(schema_name(tag)):
        yield


@contextmanager
def in_public() -> Iterator[None]:
    """Run a block in the shared schema."""
    with _in_schema("public"):
        yield


@contextmanager
def _in_schema(name: str) -> Iterator[None]:
    # Neither `with tenant:`, whose stack is shared by threads, nor `schema_context`, which puts `public` behind.
    connection = cast("DatabaseWrapper", connections[CELL])
    before = connection.schema_name
    connection.set_schema(name, include_public=name == "public")
    try:
        yield
    finally:
        connection = cast("DatabaseWrapper", connections[CELL])
        connection.set_schema(before, include_public=before == "public")


def schema_exists(tag: Tag) -> bool:
    """Whether the tenant's schema is there."""
    with connections[CELL].cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema_name(tag)])
        return bool(cursor.fetchone()[0])
