"""The roles: whether a tenant's tables are open to its own role alone, and whether the processes take it on."""

from collections.abc import Sequence
from typing import Any, Final

from django.db import ProgrammingError, connections

from budgets.isolation.surface import Surface, judged
from kernel.ids import Tag, schema_name
from kernel.roles import ACROSS_ROLE, APP_ROLE, TENANT_ROLE, tenant_role
from kernel.tenancy import CELL, in_public, in_tenant
from tenants.services.roles import READ_ACROSS

#: As whom this process works for a tenant is tried with so many of them.
_TRIED_MAX: Final = 25
# Who may do what is asked of the grants themselves, so that a role is found that nobody thought of.
_STRANGERS: Final = """
    WITH granted AS (
        SELECT n.nspname AS schema, format('%%I.%%I', n.nspname, c.relname) AS thing, c.relowner AS owner,
            a.grantee, a.privilege_type AS verb, c.relname AS name
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, LATERAL aclexplode(c.relacl) AS a
        UNION ALL
        SELECT n.nspname, format('%%I.%%I.%%I', n.nspname, c.relname, t.attname), c.relowner,
            a.grantee, a.privilege_type, c.relname
        FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace, LATERAL aclexplode(t.attacl) AS a
        UNION ALL
        SELECT n.nspname, format('%%I.%%I()', n.nspname, p.proname), p.proowner, a.grantee, a.privilege_type, p.proname
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace, LATERAL aclexplode(p.proacl) AS a
        UNION ALL
        SELECT n.nspname, format('schema %%I', n.nspname), n.nspowner, a.grantee, a.privilege_type, ''
        FROM pg_namespace AS n, LATERAL aclexplode(n.nspacl) AS a
    )
    SELECT DISTINCT format('%%s may %%s %%s', coalesce(r.rolname, 'everybody'), lower(g.verb), g.thing)
    FROM granted AS g LEFT JOIN pg_roles AS r ON r.oid = g.grantee
    WHERE g.schema = ANY (%(schemas)s) AND g.grantee <> g.owner
        AND r.rolname IS DISTINCT FROM 'watermaster_' || g.schema
        AND NOT coalesce(r.rolname = %(app)s AND g.verb = 'USAGE', false)
        AND NOT coalesce(r.rolname = %(across)s AND g.verb = 'USAGE', false)
        AND NOT coalesce(r.rolname = %(across)s AND g.verb = 'SELECT' AND g.name = ANY (%(read_across)s), false)
    UNION ALL
    SELECT format('%%s has the rights of %%s', r.rolname, g.rolname)
    FROM unnest(%(roles)s::text[]) AS s JOIN pg_roles AS r ON r.rolname = s
    JOIN pg_auth_members AS m ON m.member = r.oid JOIN pg_roles AS g ON g.oid = m.roleid
    WHERE g.rolname <> %(tenant)s
    UNION ALL
    SELECT format('%%s inherits the rights of %%s', g.rolname, r.rolname)
    FROM unnest(%(roles)s::text[]) AS s JOIN pg_roles AS r ON r.rolname = s
    JOIN pg_auth_members AS m ON m.roleid = r.oid JOIN pg_roles AS g ON g.oid = m.member
    WHERE m.inherit_option
    UNION ALL
    -- What the processes have without taking it on.
    SELECT format('%%s has the rights of %%s', r.rolname, g.rolname)
    FROM unnest(ARRAY[%(app)s, %(across)s, %(tenant)s]) AS s JOIN pg_roles AS r ON r.rolname = s
    JOIN pg_auth_members AS m ON m.member = r.oid JOIN pg_roles AS g ON g.oid = m.roleid
    WHERE m.inherit_option
    UNION ALL
    SELECT format('%%s is more than a role of the processes', r.rolname)
    FROM pg_roles AS r
    WHERE r.rolname IN (%(app)s, %(across)s, %(tenant)s)
        AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication)
    UNION ALL
    SELECT format('%%s is more than the role of a tenant', r.rolname)
    FROM unnest(%(roles)s::text[]) AS s JOIN pg_roles AS r ON r.rolname = s
    WHERE r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolcanlogin
"""
_MISSING: Final = """
    SELECT s || ' is not there or cannot be taken on' FROM unnest(%(roles)s::text[]) AS s
    WHERE to_regrole(s) IS NULL OR NOT pg_has_role(%(app)s, to_regrole(s), 'SET')
"""


def role_surfaces(tags: Sequence[Tag]) -> list[Surface]:
    """Two questions to the catalogue, however many tenants there are, and one to this process's own sessions."""
    schemas = [schema_name(tag) for tag in tags]
    nobody = [] if schemas else ["there is no tenant to look at"]
    tried = tags[:_TRIED_MAX]
    return [
        judged(
            "database: a tenant's tables are open to its role",
            f"grants and memberships of {len(schemas)} roles",
            leaks=_rows(_STRANGERS, schemas),
            riddles=_rows(_MISSING, schemas) or nobody,
        ),
        judged(
            "database: sessions take on the tenant's role",
            f"sessions for {len(tried)} tenants",
            leaks=[f"{who} is at work for {tag}" for tag in tried if (who := _worker_for(tag)) is not None],
            riddles=nobody,
        ),
    ]


def _worker_for(tag: Tag) -> str | None:
    """Who is at work for a tenant if not its role. Without a role nobody can be."""
    try:
        with in_tenant(tag), connections[CELL].cursor() as cursor:
            cursor.execute("SELECT nullif(current_user::text, %s)", [tenant_role(schema_name(tag))])
            found: str | None = cursor.fetchone()[0]
    except ProgrammingError:
        return None
    return found


def _rows(statement: str, schemas: Sequence[str]) -> list[str]:
    parameters: dict[str, Any] = {
        "schemas": list(schemas),
        "roles": [tenant_role(schema) for schema in schemas],
        "app": APP_ROLE,
        "across": ACROSS_ROLE,
        "tenant": TENANT_ROLE,
        "read_across": list(READ_ACROSS),
    }
    with in_public(), connections[CELL].cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]
