"""Making a tenant: once for a slug, complete after any interruption, and equal to what the migrations give."""

import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connections

from budgets.models import LedgerHead
from budgets.services import lifecycle
from kernel.ids import mint_tag, schema_name
from kernel.owner import acting_as_owner
from kernel.tenancy import in_public, in_tenant, schema_exists
from tenants.models import Tenant
from tenants.services import provisioning
from tenants.services.provisioning import InvalidSlug, NewTenant, SlugTaken, UnknownTimeZone
from tenants.services.roles import settle_role
from tenants.services.template import build_template, read_template
from tests.support.tenants import drop_tenant

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def made() -> Iterator[list[Tenant]]:
    """Tenants to be cleared away."""
    tenants: list[Tenant] = []
    yield tenants
    for tenant in {tenant.pk: tenant for tenant in tenants}.values():
        drop_tenant(tenant)


def create(slug: str = "umbrella", name: str = "Umbrella", time_zone: str = "UTC") -> Tenant:
    return lifecycle.create_tenant(NewTenant(slug=slug, name=name, time_zone=time_zone), now=datetime.now(UTC))


class TestSlug:
    @pytest.mark.parametrize(
        "slug",
        ["", "Acme", "-a", ".a", "_a", "a b", "a/b", "a:b", "ä", "a" * 64, 'a";drop', "a\n", "tenant:a", "$user", "İ"],
    )
    def test_of_another_shape_is_refused(self, slug: str) -> None:
        with pytest.raises(InvalidSlug):
            create(slug)
        with in_public():
            assert not Tenant.objects.exists()

    @pytest.mark.parametrize("slug", ["a", "0", "public", "pg_catalog", "a" * 63, "a.b_c-d"])
    def test_never_names_the_schema(self, slug: str, made: list[Tenant]) -> None:
        made.append(create(slug))

        assert re.fullmatch(r"t_[a-z2-7]{20}", made[0].schema_name)

    def test_is_one_tenants_alone(self, made: list[Tenant]) -> None:
        made.append(create())

        with pytest.raises(SlugTaken):
            create()

    def test_of_a_closed_tenant_stays_taken(self, made: list[Tenant]) -> None:
        made.append(create())
        lifecycle.close_tenant(tag=made[0].tag, actor=lifecycle.SYSTEM)

        with pytest.raises(SlugTaken):
            create()

    def test_asked_for_by_four_at_once_with_other_names_goes_to_one(self, made: list[Tenant]) -> None:
        results = _at_once([lambda n=n: create(name=f"Umbrella {n}") for n in range(4)])

        winners = [result for result in results if isinstance(result, Tenant)]
        made += winners
        assert len(winners) == 1
        assert all(isinstance(result, SlugTaken) for result in results if result not in winners)

    def test_asked_for_by_four_at_once_with_the_same_details_is_made_once(self, made: list[Tenant]) -> None:
        results = _at_once([create] * 4)

        made += [result for result in results if isinstance(result, Tenant)]
        assert {tenant.pk for tenant in made} == {made[0].pk}
        # One that comes after the others have finished finds the slug taken.
        assert all(isinstance(result, (Tenant, SlugTaken)) for result in results)
        with in_tenant(made[0].tag):
            assert LedgerHead.objects.get().slug == "umbrella"


def _at_once(calls: list[Any]) -> list[object]:
    start = threading.Barrier(len(calls))
    results: list[object] = []

    def run(call: Any) -> None:
        try:
            start.wait()
            results.append(call())
        except (SlugTaken, DatabaseError) as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class TestTimeZone:
    @pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "europe/berlin", "+05:30", "UTC; DROP"])
    def test_that_nobody_knows_is_refused(self, zone: str) -> None:
        with pytest.raises(UnknownTimeZone):
            create(time_zone=zone)

    def test_is_the_books_too(self, made: list[Tenant]) -> None:
        made.append(create(time_zone="Asia/Kolkata"))

        with in_tenant(made[0].tag):
            assert LedgerHead.objects.get().time_zone == "Asia/Kolkata"


class TestInterrupted:
    """Provisioning was cut off after a step; asking again completes it."""

    @pytest.mark.parametrize("steps", [1, 2])
    def test_is_completed_by_asking_again(self, steps: int, made: list[Tenant]) -> None:
        new = NewTenant(slug="umbrella", name="Umbrella")
        half = provisioning.register_tenant(new, now=datetime.now(UTC))
        made.append(half)
        if steps > 1:
            provisioning.create_schema(half.tag)

        tenant = create()

        assert tenant.pk == half.pk
        assert schema_exists(tenant.tag)
        with in_tenant(tenant.tag):
            assert LedgerHead.objects.get().status == "ACTIVE"
        with in_public():
            assert Tenant.objects.get().status == "ACTIVE"

    def test_with_other_details_is_refused(self, made: list[Tenant]) -> None:
        made.append(provisioning.register_tenant(NewTenant(slug="umbrella", name="Umbrella"), now=datetime.now(UTC)))

        with pytest.raises(SlugTaken):
            create(name="Another")

    def test_in_the_middle_of_the_schema_leaves_none(self, made: list[Tenant], monkeypatch: pytest.MonkeyPatch) -> None:
        script = read_template()
        monkeypatch.setattr(provisioning, "read_template", lambda: f"{script}; SELECT 1 / 0")
        with pytest.raises(DatabaseError):
            create()
        with in_public():
            made.append(Tenant.objects.get())
        assert not schema_exists(made[0].tag)

        monkeypatch.undo()

        assert create().pk == made[0].pk


class TestTemplate:
    def test_is_what_the_migrations_give(self) -> None:
        with acting_as_owner():
            assert build_template() == read_template()

    def test_makes_the_schema_that_migrating_makes(self, made: list[Tenant]) -> None:
        made.append(create())
        migrated = Tenant.objects.create(
            slug="migrated",
            name="Migrated",
            schema_name=schema_name(mint_tag()),
            status="PROVISIONING",
            created_at=datetime.now(UTC),
        )
        made.append(migrated)
        with acting_as_owner():
            connection = connections["default"]
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE SCHEMA "{migrated.schema_name}"')
            call_command(
                "migrate_schemas", schema_name=migrated.schema_name, tenant=True, interactive=False, verbosity=0
            )
            settle_role(migrated.schema_name)
            left, right = _catalog(made[0].schema_name), _catalog(migrated.schema_name)

        for kind, facts in left.items():
            assert facts == right[kind], kind
        assert {"apply_operations_v1", "period_bounds_v1"} <= {name for name, *_ in left["functions"]}
        assert {"budget", "ledger_entry", "api_key"} <= {name for name, *_ in left["tables"]}


_CATALOG = {
    "schema": "SELECT nspacl::text FROM pg_namespace WHERE nspname = %(s)s",
    "tables": """
        SELECT relname, relkind, relpersistence, coalesce(reloptions::text, ''), coalesce(relacl::text, ''),
            pg_get_userbyid(relowner)
        FROM pg_class WHERE relnamespace = %(s)s::regnamespace AND relkind IN ('r', 'v', 'S', 'p', 'm')
    """,
    "columns": """
        SELECT c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
            a.attgenerated,
            coalesce(pg_get_expr(d.adbin, d.adrelid), ''), coalesce(a.attacl::text, ''), coalesce(col.collname, '')
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation AS col ON col.oid = a.attcollation
        WHERE c.relnamespace = %(s)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v')
    """,
    "constraints": """
        SELECT c.relname, n.conname, n.contype, pg_get_constraintdef(n.oid), n.convalidated
        FROM pg_constraint AS n JOIN pg_class AS c ON c.oid = n.conrelid WHERE n.connamespace = %(s)s::regnamespace
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(s)s",
    "functions": """
        SELECT proname, pg_get_functiondef(oid), coalesce(proacl::text, ''), pg_get_userbyid(proowner)
        FROM pg_proc WHERE pronamespace = %(s)s::regnamespace
    """,
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = %(s)s",
    "triggers": """
        SELECT c.relname, t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = %(s)s::regnamespace
    """,
    "types": "SELECT typname, typtype FROM pg_type WHERE typnamespace = %(s)s::regnamespace AND typtype <> 'c'",
}


def _catalog(schema: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that PostgreSQL knows of a schema, with its own name taken out."""
    facts: dict[str, list[tuple[Any, ...]]] = {}
    with connections["default"].cursor() as cursor:
        for kind, query in _CATALOG.items():
            cursor.execute(query, {"s": schema})
            facts[kind] = sorted(
                tuple(value.replace(schema, "SCHEMA") if isinstance(value, str) else value for value in row)
                for row in cursor.fetchall()
            )
        cursor.execute(f'SELECT app, name FROM "{schema}".django_migrations')
        facts["migrations"] = sorted(cursor.fetchall())
    return facts


class TestSpeed:
    def test_is_reported(self, made: list[Tenant], record_property: Callable[[str, object], None]) -> None:
        """The target is 150 ms a tenant. A timed test says so and fails nothing: the machine may be busy."""
        took_ms = []
        for number in range(3):
            started = time.perf_counter()
            made.append(create(f"fast-{number}"))
            took_ms.append((time.perf_counter() - started) * 1_000)

        median_ms = statistics.median(took_ms)
        record_property("provisioning_ms", median_ms)
        print(f"provisioning a tenant took {median_ms:.0f} ms (median of {len(took_ms)}); the target is 150 ms")
