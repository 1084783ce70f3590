"""A tenant whose books have a clock of their own, that a test moves: for months that pass in seconds.

The functions in the tenant's schema are the real ones, made again with `moved_clock()` in the place of the database's
clock; statements that services send to the tenant's schema have it exchanged on their way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, connections

from kernel.ids import schema_name
from kernel.lanes import shared_lanes
from kernel.owner import acting_as_owner
from kernel.roles import tenant_role
from kernel.tenancy import in_tenant
from tenants.models import Tenant

_REAL = "clock_timestamp()"
_MOVED = "moved_clock()"
_FUNCTIONS = """
    SELECT pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND position('clock_timestamp()' IN prosrc) > 0
"""


@dataclass(frozen=True, slots=True)
class MovedClock:
    """The clock of one tenant's books."""

    tenant: Tenant

    def set(self, at: datetime) -> None:
        """Let it be `at` now; from there it goes on by itself."""
        with acting_as_owner(), in_tenant(self.tenant.tag), connections["default"].cursor() as cursor:
            seconds = (at - datetime.now(UTC)).total_seconds()
            cursor.execute("UPDATE moved_by SET span = make_interval(secs => %s)", [seconds])


@contextmanager
def moved_clock(*tenants: Tenant) -> Iterator[list[MovedClock]]:
    """Clocks for these tenants, each showing the real time at first; within the block only."""
    for tenant in tenants:
        _give_clock(tenant)
    # Sessions that know the functions as they were.
    shared_lanes().close()
    with connection.execute_wrapper(_exchange):
        yield [MovedClock(tenant) for tenant in tenants]


def _give_clock(tenant: Tenant) -> None:
    schema = schema_name(tenant.tag)
    with acting_as_owner(), in_tenant(tenant.tag), connections["default"].cursor() as cursor:
        cursor.execute("CREATE TABLE moved_by (span interval NOT NULL)")
        cursor.execute("INSERT INTO moved_by VALUES ('0')")
        cursor.execute(f'GRANT SELECT ON moved_by TO "{tenant_role(schema)}"')
        cursor.execute(_FUNCTIONS)
        known = [text for (text,) in cursor.fetchall()]
        cursor.execute(
            f"CREATE FUNCTION {_MOVED} RETURNS timestamptz LANGUAGE sql VOLATILE AS $$"
            f' SELECT pg_catalog.clock_timestamp() + (SELECT span FROM "{schema}".moved_by) $$'
        )
        for text in known:
            cursor.execute(text.replace(_REAL, _MOVED))


def _exchange(execute: Callable[..., Any], sql: str, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
    is_in_tenant = context["connection"].schema_name != "public"
    return execute(sql.replace(_REAL, _MOVED) if is_in_tenant else sql, parameters, many, context)
