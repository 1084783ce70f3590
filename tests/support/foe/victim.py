"""A tenant that must neither change nor be seen while another one tries: what it consists of, and its secrets."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import psycopg
import redis
from django.conf import settings
from psycopg import sql

from tenants.models import Tenant
from tests.plugins.live_api import database_url

#: Shorter texts stand in too many places by chance.
_LENGTH_MIN: Final = 9
#: Of each column.
_VALUES_MAX: Final = 400
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Dates and numbers are no secrets by themselves: two tenants work on the same days.
#: Nor are codes, which are the program's own words.
_PLAIN: Final = re.compile(r"[\d\s:+.,TZ-]*|\d{4}-\d\d-\d\d[\d\s:+.TZ-]*|[A-Z_]+")
#: What every tenant may read: plans, prices, pools, and what the program itself is made of.
_CATALOGUES: Final = (
    *("plan", "price_version", "price_multiplier", "provider_pool", "display_rate"),
    *("django_content_type", "django_migrations", "auth_permission"),
)
_TEXTS: Final = ("text", "character varying", "uuid", "jsonb", "ARRAY")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that is the tenant's, in digests by place: tables of its schema, rows elsewhere, keys of Valkey."""

    digests: Mapping[str, str]

    def changes(self, later: "Fingerprint") -> list[str]:
        """The places in which the two differ."""
        places = self.digests.keys() | later.digests.keys()
        return sorted(place for place in places if self.digests.get(place) != later.digests.get(place))


#: All that stands in the rows.
_CONTENT: Final = sql.SQL("md5(coalesce(string_agg(t::text, '' ORDER BY t::text), ''))")
#: How many rows, and which transactions wrote them: what is written or gone is seen, at a tenth of the price.
_WRITES: Final = sql.SQL("concat_ws(' ', count(*), sum(xmin::text::bigint))")


@dataclass(slots=True)
class Victim:
    """Looked at as the owner, on a connection of its own: what the processes may see is what is being tried."""

    tenant: Tenant
    _owner: "psycopg.Connection[Any]" = field(init=False)
    _valkey: "redis.Redis" = field(init=False)
    _tables: Mapping[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        # More patient than the program's own.
        self._valkey = redis.Redis.from_url(settings.REDIS_URL)
        self._owner = psycopg.connect(database_url("owner"), autocommit=True)
        self._tables = {schema: _tables_of(schema) for schema in (self.tenant.schema_name, "public")}

    def close(self) -> None:
        self._owner.close()
        self._valkey.close()

    def content(self) -> Fingerprint:
        """By what is in it."""
        return Fingerprint(digests=self._rows(_CONTENT) | self._keys())

    def writes(self) -> Fingerprint:
        """By what was written, which a change cannot but be."""
        return Fingerprint(digests=self._rows(_WRITES) | self._keys())

    def _rows(self, digest: sql.Composable) -> dict[str, str]:
        """The tenant's tables; and of the shared ones the rows that have its tag anywhere in them."""
        own, shared = sql.SQL("true"), sql.SQL("t::text LIKE {}").format(sql.Literal(f"%{self.tenant.tag}%"))
        parts = [
            sql.SQL("SELECT {name}, {digest} FROM {table} AS t WHERE {condition}").format(
                name=sql.Literal(f"{schema}.{table}"),
                digest=digest,
                table=sql.Identifier(schema, table),
                condition=shared if schema == "public" else own,
            )
            for schema, tables in self._tables.items()
            for table in tables
        ]
        return dict(self._owner.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall())

    def _keys(self) -> dict[str, str]:
        """The keys with the tenant's tag in them, and what they hold. How long they live on is left aside."""
        client: Any = self._valkey
        keys = sorted(client.scan_iter(match=f"*{self.tenant.tag}*", count=10_000))
        return {f"Valkey {key.decode()}": sha256(client.dump(key) or b"").hexdigest() for key in keys}


def secrets_of(victim: Tenant, *, foe: Tenant, published: str) -> frozenset[str]:
    """The texts that are in the one's tables and neither in the other's nor in `published`, nor in the catalogues."""
    own = set(_texts(victim.schema_name)) | {victim.name, victim.schema_name}
    catalogues = columns_of("public", tables=_CATALOGUES).values()
    everybodys = "\n".join([published, *(value for values in catalogues for value in values)])
    found = {text for text in own - set(_texts(foe.schema_name)) if text not in everybodys}
    return frozenset(found | {text.replace("-", "") for text in found if _UUID.fullmatch(text)})


def seen_in(text: str, secrets: Iterable[str], *, sent: str = "") -> list[str]:
    """Which of the secrets stand in `text`, those aside that the reader had sent."""
    return sorted(secret for secret in secrets if secret in text and secret not in sent)


def _tables_of(schema: str) -> list[str]:
    query = sql.SQL("SELECT tablename FROM pg_tables WHERE schemaname = {} ORDER BY 1").format(sql.Literal(schema))
    return [table for (table,) in _rows(query)]


def columns_of(schema: str, *, tables: tuple[str, ...] = ()) -> dict[tuple[str, str], list[str]]:
    """What stands in the columns of a schema that hold texts or ids, by table and column."""
    query = sql.SQL(
        "SELECT c.table_name, c.column_name FROM information_schema.columns AS c JOIN pg_tables AS t"
        " ON t.schemaname = c.table_schema AND t.tablename = c.table_name"
        " WHERE c.table_schema = {} AND c.data_type = ANY ({})"
    ).format(sql.Literal(schema), sql.Literal(list(_TEXTS)))
    found: dict[tuple[str, str], list[str]] = {}
    for table, column in _rows(query):
        if tables and table not in tables:
            continue
        values = sql.SQL("SELECT DISTINCT {c}::text FROM {t} WHERE {c} IS NOT NULL ORDER BY 1 LIMIT {n}").format(
            c=sql.Identifier(column), t=sql.Identifier(schema, table), n=sql.Literal(_VALUES_MAX)
        )
        found[table, column] = [value for (value,) in _rows(values)]
    return found


def _texts(schema: str, *, tables: tuple[str, ...] = ()) -> Iterator[str]:
    """Every text in a schema, or in some of its tables, that is long enough to be told from chance."""
    for values in columns_of(schema, tables=tables).values():
        for value in values:
            yield from _pieces(value)


def _pieces(value: str) -> Iterator[str]:
    """A text as it is, and of a document or a list the texts in it."""
    if value[:1] in {"{", "["}:
        pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', value) + re.findall(r"[{,]([^{},\"]+)", value)
    else:
        pieces = [value]
    for piece in pieces:
        text = piece.strip()
        if len(text) >= _LENGTH_MIN and not _PLAIN.fullmatch(text):
            yield text


def _rows(query: sql.Composed) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url("owner"), autocommit=True) as owner:
        return list(owner.execute(query).fetchall())
