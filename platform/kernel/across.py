"""Reading the same of several tenants in one statement: as many round trips for 24 tenants as for one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import connections
from psycopg import sql

from kernel.ids import Tag, schema_name
from kernel.sql_files import read_sql
from kernel.tenancy import CELL, across_tenants

#: Tenants that one statement reads: each is planned for itself.
TENANTS_MAX: Final = 25


def rows_across(package: str, name: str, tags: Sequence[Tag], parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `<package>/sql/<name>.sql` for each of these tenants, who are at most `TENANTS_MAX`. One query.

    The file names its tables `{schema}.…` and says `{tag}`; both are put in as an identifier and a literal. It is read
    as the role across, so a table that no file named before is granted to that role in `tenants.services.roles`.
    """
    if not tags:
        return []
    if len(tags) > TENANTS_MAX:
        raise ValueError(f"{len(tags)} tenants in one statement")
    text = sql.SQL(read_sql(package, name))
    parts = [
        sql.SQL("({})").format(text.format(schema=sql.Identifier(schema_name(tag)), tag=sql.Literal(tag)))
        for tag in tags
    ]
    with across_tenants(), connections[CELL].cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(parts), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
