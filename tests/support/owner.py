"""What no door can do: statements on a tenant's tables as their owner. For planted damage and for moving time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connections
from django.db.models import Model, QuerySet
from psycopg import sql

from kernel.ids import Tag
from kernel.owner import acting_as_owner
from kernel.tenancy import in_public, in_tenant
from tenants.models import Tenant
from tests.plugins.live_api import database_url


def delete_shared(*rows: QuerySet[Model]) -> None:
    """Delete rows of the shared schema that the processes keep for good."""
    with acting_as_owner(), in_public():
        for each in rows:
            each.delete()


def as_owner(tag: Tag, *statements: str) -> None:
    """Run the statements in the tenant's schema, in one transaction."""
    with acting_as_owner(), in_tenant(tag), connections["default"].cursor() as cursor:
        cursor.execute(";".join(statements))


@contextmanager
def head_held(tenant: Tenant) -> Iterator[None]:
    """Somebody else is at work in the tenant's books and does not come to an end."""
    with psycopg.connect(database_url("owner")) as stranger:
        stranger.execute(sql.SQL("SELECT FROM {}.ledger_head FOR UPDATE").format(sql.Identifier(tenant.schema_name)))
        yield


def let_time_pass(tag: Tag, span: timedelta) -> None:
    """Move everything that the tenant's books remember `span` into the past, as if the clock had gone on by as much."""
    parameters: dict[str, Any] = {"span": span, "away": timedelta(days=36525)}
    with acting_as_owner(), in_tenant(tag), connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name, array_agg(c.column_name::text) FROM information_schema.columns AS c"
            " JOIN information_schema.tables AS t USING (table_schema, table_name)"
            " WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'"
            " AND c.data_type = 'timestamp with time zone' GROUP BY c.table_name"
        )
        for table, columns in cursor.fetchall():
            # By way of another century, so that no two rows of a unique index meet half-way.
            for way in ("- %(away)s", "+ %(away)s - %(span)s"):
                moved = ", ".join(f"{column} = {column} {way}" for column in columns)
                cursor.execute(f"UPDATE {table} SET {moved}", parameters)
