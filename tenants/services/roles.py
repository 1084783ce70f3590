"""A tenant's role: made with its schema, with rights in that schema alone, and taken on by the processes there.

The migrations of a tenant's tables grant to `watermaster_app`, because they run for every tenant alike. What they say
is granted to the tenant's own role instead; the role of the processes keeps nothing but the way to the door.
"""

import re
from typing import Final

from django.db import connections, transaction

from kernel.roles import ACROSS_ROLE, APP_ROLE, TENANT_ROLE, tenant_role
from kernel.tenancy import CELL
from tenants.services.template import read_template

#: What is read of many tenants in one statement, by `kernel.across`.
READ_ACROSS: Final = (
    "credential_lease",
    "credential_reference",
    "decision",
    "decision_rollup",
    "policy_version",
    "router_label",
    "span",
    "span_rollup",
    "usage_day",
    "usage_rollup",
)
_GRANT: Final = re.compile(rf"^(?:GRANT|REVOKE) .*\b{APP_ROLE};$", re.MULTILINE)
# Only what was granted, so that nothing is told apart from a schema that never was.
_TAKE_AWAY: Final = """
    DO $$ DECLARE v_table regclass; v_function regprocedure; BEGIN
        FOR v_table IN
            SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace AND (
                EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 'watermaster_app'::regrole)
                OR EXISTS (
                    SELECT FROM pg_attribute AS t, LATERAL aclexplode(t.attacl) AS a
                    WHERE t.attrelid = c.oid AND a.grantee = 'watermaster_app'::regrole
                )
            )
        LOOP EXECUTE format('REVOKE ALL ON %s FROM watermaster_app', v_table); END LOOP;
        FOR v_function IN
            SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = current_schema()::regnamespace
            AND EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = 'watermaster_app'::regrole)
        LOOP EXECUTE format('REVOKE ALL ON FUNCTION %s FROM watermaster_app', v_function); END LOOP;
    END $$;
"""
# The last one was migrated, and whoever migrated it was cut off before its role was given what is new.
_WITHOUT_ROLE: Final = """
    SELECT n.nspname
    FROM pg_namespace AS n LEFT JOIN pg_roles AS r ON r.rolname = 'watermaster_' || n.nspname
    WHERE n.nspname ~ '^t_[a-z2-7]{20}$' AND (
        r.oid IS NULL OR NOT has_schema_privilege(r.oid, n.oid, 'USAGE')
        OR NOT pg_has_role('watermaster_app', r.oid, 'SET')
        OR EXISTS (
            SELECT FROM unnest(%(across)s::text[]) AS t
            WHERE NOT has_table_privilege(%(across_role)s, to_regclass(format('%%I.%%I', n.nspname, t)), 'SELECT')
        )
        OR n.oid IN (
            SELECT coalesce(c.relnamespace, p.pronamespace)
            FROM pg_shdepend AS d
            LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
            LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
            WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = to_regrole('watermaster_app')
                AND d.deptype = 'a'
                AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND coalesce(c.relnamespace, p.pronamespace) IS NOT NULL
        )
    )
    ORDER BY n.nspname
"""


def make_role(schema: str) -> str:
    """SQL that makes the role of a schema, if it is not there."""
    role = tenant_role(schema)
    # A restored database may find the roles of the one that it was dumped from.
    return f"""
        DO $$ BEGIN
            IF pg_catalog.to_regrole('{role}') IS NULL THEN CREATE ROLE "{role}" NOLOGIN; END IF;
        END $$;
    """


def granted_to_tenant(script: str, schema: str) -> str:
    """The script with the tenant's role where the migrations name that of the processes."""
    return script.replace(APP_ROLE, f'"{tenant_role(schema)}"')


def grants() -> str:
    """What the migrations say of rights in a tenant's schema, in their order and with unqualified names."""
    return "\n".join(_GRANT.findall(read_template()))


def open_schema(schema: str) -> str:
    """SQL that lets the tenant's role into its schema and the processes into the role. Safe to repeat.

    The last grant comes last: until the transaction ends, no other tenant's role can be given the same.
    """
    role = tenant_role(schema)
    return f"""
        GRANT USAGE ON SCHEMA "{schema}" TO "{role}", {APP_ROLE}, {ACROSS_ROLE};
        GRANT SELECT ON {", ".join(READ_ACROSS)} TO {ACROSS_ROLE};
        GRANT "{role}" TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE;
        GRANT {TENANT_ROLE} TO "{role}" WITH INHERIT TRUE, SET FALSE;
    """


def settle_role(schema: str) -> None:
    """Bring the role of a migrated schema to what the template gives a new one. Runs as the owner; safe to repeat."""
    with transaction.atomic(), connections[CELL].cursor() as cursor:
        cursor.execute(
            "\n".join(
                [
                    make_role(schema),
                    f'SET LOCAL search_path = "{schema}";',
                    _TAKE_AWAY,
                    granted_to_tenant(grants(), schema),
                    open_schema(schema),
                ]
            )
        )


def schemas_without_role() -> list[str]:
    """Tenants' schemas whose role is missing, is not let in, or lacks what was granted since."""
    with connections[CELL].cursor() as cursor:
        cursor.execute(_WITHOUT_ROLE, {"across": list(READ_ACROSS), "across_role": ACROSS_ROLE})
        return [name for (name,) in cursor.fetchall()]
