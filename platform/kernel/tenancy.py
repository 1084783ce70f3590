"""Whose schema a piece of work runs in, and as whom. The one place that knows how a tag leads to a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from django.db import connections

from kernel.ids import Tag, schema_name
from kernel.postgresql.base import DatabaseWrapper
from kernel.roles import ACROSS_ROLE

#: The database alias of every tenant's cell. With several cells this becomes a look-up, here and nowhere else.
CELL = "default"


@contextmanager
def in_tenant(tag: Tag) -> Iterator[None]:
    """Run a block in the schema of the tenant `tag` and nowhere else, as its role, on this thread's connection.

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
def across_tenants() -> Iterator[None]:
    """Run a block as the role that reads some tables of every tenant and writes none; names are qualified there."""
    with _in_schema("public", role=ACROSS_ROLE):
        yield


@contextmanager
def _in_schema(name: str, *, role: str | None = None) -> Iterator[None]:
    # Neither `with tenant:`, whose stack is shared by threads, nor `schema_context`, which puts `public` behind.
    connection = cast("DatabaseWrapper", connections[CELL])
    before, role_before = connection.schema_name, connection.taken_role
    connection.set_schema(name, include_public=name == "public")
    connection.take_role(role)
    try:
        yield
    finally:
        connection = cast("DatabaseWrapper", connections[CELL])
        connection.set_schema(before, include_public=before == "public")
        connection.take_role(role_before)


def schema_exists(tag: Tag) -> bool:
    """Whether the tenant's schema is there."""
    with connections[CELL].cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema_name(tag)])
        return bool(cursor.fetchone()[0])
