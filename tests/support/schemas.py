"""Schemas that serve one test's tenant after another.

PostgreSQL takes longer to make and to drop a schema than most tests run. So one in which a test changed rows alone is
emptied afterwards and becomes the next tenant's, under that tenant's name: a tenant is new to the program, its schema
is as the template makes it, and nothing that is known by tag or name leads to the one before. A schema of another shape
than it had, by as little as a grant, is dropped.
"""

import os
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import sql

from kernel.roles import tenant_role
from tests.plugins.live_api import database_url

# Every object by its oid, with what can be changed about it. A definition that is written anew has another xmin. So has
# a table in pg_class that is emptied; of that the columns are read. The template's own rows belong to the shape.
_SHAPE: Final = """
SELECT md5(string_agg(part, ';' ORDER BY part)) FROM (
    SELECT concat_ws(',', 'class', oid, relname, relkind, relowner, relnatts, relchecks, relhasrules, relhastriggers,
        relrowsecurity, relforcerowsecurity, relispartition, reloptions,
        (SELECT string_agg(concat(grantor, grantee, privilege_type, is_grantable), ' ') FROM aclexplode(relacl))
    ) AS part
    FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'attribute', a.attrelid, a.attnum, a.xmin) FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'default', d.oid, d.xmin) FROM pg_attrdef AS d
    JOIN pg_class AS c ON c.oid = d.adrelid WHERE c.relnamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'trigger', t.oid, t.xmin) FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid WHERE c.relnamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'policy', p.oid, p.xmin) FROM pg_policy AS p
    JOIN pg_class AS c ON c.oid = p.polrelid WHERE c.relnamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'constraint', oid, xmin) FROM pg_constraint WHERE connamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'function', oid, xmin) FROM pg_proc WHERE pronamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'type', oid, xmin) FROM pg_type WHERE typnamespace = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'schema', oid, nspowner,
        (SELECT string_agg(concat(grantor, grantee, privilege_type), ' ') FROM aclexplode(nspacl)))
    FROM pg_namespace WHERE oid = to_regnamespace(%(schema)s)
    UNION ALL
    SELECT concat_ws(',', 'role', r.oid, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
        r.rolbypassrls, (
            SELECT string_agg(concat_ws(' ', m.roleid, m.member, m.admin_option, m.inherit_option, m.set_option), ';'
                ORDER BY m.oid)
            FROM pg_auth_members AS m WHERE r.oid IN (m.roleid, m.member)
        )
    )
    FROM pg_roles AS r WHERE r.rolname = {role}
    UNION ALL
    SELECT concat_ws(',', 'migrations', count(*), max(xmin::text::bigint)) FROM {schema}.django_migrations
) AS parts
"""

_EMPTY: Final = """
DO $$
DECLARE
    v_schema constant regnamespace := '{schema}';
    v_name text;
    v_has_rows boolean;
    v_filled text[] := '{{}}';
BEGIN
    FOR v_name IN
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace = v_schema AND relkind = 'r' AND relname <> 'django_migrations'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', v_name) INTO v_has_rows;
        IF v_has_rows THEN
            v_filled := v_filled || v_name;
        END IF;
    END LOOP;
    IF v_filled <> '{{}}' THEN
        EXECUTE format('TRUNCATE %s RESTART IDENTITY CASCADE', array_to_string(v_filled, ', '));
    END IF;
    FOR v_name IN
        SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences
        WHERE schemaname = v_schema::text AND last_value IS NOT NULL
    LOOP
        EXECUTE format('ALTER SEQUENCE %s RESTART', v_name);
    END LOOP;
END
$$;
ALTER SCHEMA {schema} RENAME TO {spare};
ALTER ROLE {role} RENAME TO {role_of_spare}
"""

_RENAME: Final = """
ALTER SCHEMA {spare} RENAME TO {schema};
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    -- Those that run as their owner are set to find one schema, by its name.
    FOR v_function IN SELECT oid FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace AND prosecdef LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = {schema}, pg_temp', v_function);
    END LOOP;
END
$$;
ALTER ROLE {role_of_spare} RENAME TO {role}
"""


@dataclass(slots=True)
class Schemas:
    """Those of one database; `shapes` by the name of each that is in use and came through here."""

    owner: psycopg.Connection
    shapes: dict[str, str] = field(default_factory=dict)
    #: The names that they had.
    spare: list[str] = field(default_factory=list)

    def rename_one(self, schema: str) -> bool:
        """Give a tenant's schema to be a spare one, if there is any."""
        if not self.spare:
            return False
        before = self.spare.pop()
        self._run(_RENAME, schema=schema, spare=_spare_name(before))
        self.note(schema)
        return True

    def note(self, schema: str) -> None:
        """This one was made, or given on, a moment ago and nothing has been written to it."""
        self.shapes[schema] = self._shape(schema)

    def take_back(self, schema: str) -> bool:
        """Empty the schema and keep it; False if it did not come through here or is no longer as it was."""
        shape = self.shapes.pop(schema, None)
        if shape is None or shape != self._shape(schema):
            return False
        self._run(_EMPTY, schema=schema, spare=_spare_name(schema))
        self.spare.append(schema)
        return True

    def _shape(self, schema: str) -> str:
        query = sql.SQL(_SHAPE).format(schema=sql.Identifier(schema), role=sql.Literal(tenant_role(schema)))
        try:
            row = self.owner.execute(query, {"schema": schema}).fetchone()
        except psycopg.errors.UndefinedTable:
            return ""
        assert row is not None
        return str(row[0])

    def _run(self, statements: str, *, schema: str, spare: str) -> None:
        # Names of ours, of letters, digits and underscores.
        roles = {"role": tenant_role(schema), "role_of_spare": tenant_role(spare)}
        self.owner.execute(statements.format(schema=schema, spare=spare, **roles).encode())


_schemas: dict[tuple[int, str], Schemas] = {}


def schemas() -> Schemas:
    """Those of the database that this process uses now."""
    url = database_url("owner")
    found = _schemas.get((os.getpid(), url))
    if found is None or found.owner.closed:
        found = _schemas[os.getpid(), url] = Schemas(psycopg.connect(url, autocommit=True))
    return found


def _spare_name(schema: str) -> str:
    return f"spare_{schema}"
