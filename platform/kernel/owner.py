"""Acting as the owner of the schemas: for migrations and set-up, never for a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connections

PREPARE_DATABASE_SQL = Path(__file__).with_name("sql") / "prepare_database.sql"


@contextmanager
def acting_as_owner() -> Iterator[None]:
    """Let the alias `default` log in as the owner, in this thread, until the block ends.

    django-tenants migrates one alias only and asks for the current schema on `default`, so an alias of
    another name would be passed over.
    """
    runtime = connections["default"]
    # Its pool and its session belong to the runtime's role.
    runtime.close()
    owner = connections["owner"].copy(alias="default")
    connections["default"] = owner
    try:
        yield
    finally:
        owner.close()
        connections["default"] = runtime


def prepare_database() -> None:
    """Give the runtime's role what it may have in this database. Safe to repeat."""
    with acting_as_owner(), connections["default"].cursor() as cursor:
        cursor.execute(PREPARE_DATABASE_SQL.read_text())
