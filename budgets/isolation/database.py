"""The database: whether one tenant's schema leads into another's, and what the processes' role may do there."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

from budgets.isolation.surface import Surface, judged
from kernel.ids import Tag, schema_name
from kernel.tenancy import in_public

_MISSING: Final = """
    SELECT s || ' is not there' FROM unnest(%(schemas)s::text[]) AS s WHERE to_regnamespace(quote_ident(s)) IS NULL
"""
_CROSSING: Final = """
    SELECT format('%%s.%%s refers to %%s', n.nspname, c.conname, fn.nspname)
    FROM pg_constraint AS c
    JOIN pg_namespace AS n ON n.oid = c.connamespace
    JOIN pg_class AS f ON f.oid = c.confrelid
    JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
    WHERE c.contype = 'f' AND n.nspname = ANY (%(schemas)s) AND fn.nspname <> n.nspname
    UNION ALL
    SELECT format('%%s.%%s inherits from %%s', n.nspname, k.relname, pn.nspname)
    FROM pg_inherits AS i
    JOIN pg_class AS k ON k.oid = i.inhrelid JOIN pg_namespace AS n ON n.oid = k.relnamespace
    JOIN pg_class AS p ON p.oid = i.inhparent JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND pn.nspname <> n.nspname
    UNION ALL
    SELECT DISTINCT format('view %%s.%%s reads %%s', n.nspname, v.relname, tn.nspname)
    FROM pg_rewrite AS r
    JOIN pg_class AS v ON v.oid = r.ev_class JOIN pg_namespace AS n ON n.oid = v.relnamespace
    JOIN pg_depend AS d
        ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class AS t ON t.oid = d.refobjid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND tn.nspname <> n.nspname AND starts_with(tn.nspname, 't_')
"""
# A function that names a schema of another tenant would find that one, whoever calls it. One that runs with its owner's
# rights finds its own schema alone, for it is set to, whoever calls it cannot set it otherwise, and not everybody may.
_FUNCTIONS: Final = """
    SELECT format('function %%s.%%s names a tenant', n.nspname, p.proname)
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    CROSS JOIN LATERAL replace(p.prosrc || coalesce(p.proconfig::text, ''), n.nspname, '') AS said
    WHERE (n.nspname = ANY (%(schemas)s) OR n.nspname = 'public') AND said ~ '\\mt_[a-z2-7]{20}\\M'
    UNION ALL
    SELECT format('function %%s.%%s runs with its owner''s rights', n.nspname, p.proname)
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE (n.nspname = ANY (%(schemas)s) OR n.nspname = 'public') AND p.prosecdef
        AND NOT (
            coalesce(p.proconfig, '{}') @> ARRAY[format('search_path=%%s, pg_temp', n.nspname)]
            AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
        )
"""
_OWNED: Final = """
    SELECT format('the processes own %%s.%%s', n.nspname, c.relname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (n.nspname = ANY (%(schemas)s) OR n.nspname = 'public') AND pg_has_role(current_user, c.relowner, 'MEMBER')
    UNION ALL
    SELECT 'the processes may pass by the rights of rows or be superuser' FROM pg_roles
    WHERE rolname = current_user AND (rolsuper OR rolbypassrls)
"""


def database_surfaces(tags: Sequence[Tag]) -> list[Surface]:
    """Four questions to the catalogue, however many tenants there are."""
    schemas = [schema_name(tag) for tag in tags]
    missing = _rows(_MISSING, schemas)
    many = f"{len(schemas)} schemas"
    return [
        judged("database: a schema for each tenant", many, leaks=[], riddles=missing or _nobody(schemas)),
        judged(
            "database: no schema leads into another",
            f"keys, views and tables of {many}",
            leaks=_rows(_CROSSING, schemas),
            riddles=_nobody(schemas),
        ),
        judged("database: functions name no schema", f"functions of {many}", leaks=_rows(_FUNCTIONS, schemas)),
        judged("database: the processes own nothing", f"tables of {many}", leaks=_rows(_OWNED, schemas)),
    ]


def _nobody(schemas: Sequence[str]) -> list[str]:
    return [] if schemas else ["there is no tenant to look at"]


def _rows(statement: str, schemas: Sequence[str]) -> list[str]:
    with in_public(), connection.cursor() as cursor:
        cursor.execute(statement, {"schemas": list(schemas)})
        return [row[0] for row in cursor.fetchall()]
