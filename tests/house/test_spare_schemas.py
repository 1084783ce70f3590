"""The tests' own economy: a schema that served one tenant serves the next only if that one cannot tell."""

from collections.abc import Iterator

import pytest
from django.db import connection, connections

from budgets.isolation.database import database_surfaces
from budgets.isolation.surface import Verdict
from budgets.models import Budget, LedgerEntry, LedgerHead
from budgets.selectors.audit import audit
from kernel.owner import acting_as_owner
from kernel.tenancy import in_tenant
from tenants.models import Tenant
from tenants.services.provisioning import NewTenant
from tests.support.books import Books
from tests.support.owner import as_owner
from tests.support.tenants import drop_tenant, make_tenant

NEW = NewTenant(slug="hooli", name="Hooli")


def oid_of(tenant: Tenant) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::regnamespace::oid", [tenant.schema_name])
        return int(cursor.fetchone()[0])


def rows_of(tenant: Tenant) -> dict[str, int]:
    """Of each table, how many rows it has."""
    found = {}
    with acting_as_owner(), in_tenant(tenant.tag), connections["default"].cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            found[table] = cursor.fetchone()[0]
    return found


@pytest.fixture(autouse=True)
def _nobody_left(database: None) -> Iterator[None]:
    yield
    for tenant in Tenant.objects.filter(slug=NEW.slug):
        drop_tenant(tenant)


class TestSpareSchema:
    def test_has_functions_of_its_owner_that_find_it_under_its_new_name(self) -> None:
        first = make_tenant(NEW)
        drop_tenant(first)

        second = make_tenant(NEW)

        (mighty,) = (each for each in database_surfaces([second.tag]) if "functions" in each.name)
        assert (mighty.verdict, mighty.offenders) == (Verdict.ISOLATED, ())

    def test_of_which_rows_alone_were_changed_serves_the_next_under_another_name(self) -> None:
        first = make_tenant(NEW)
        oid, rows = oid_of(first), rows_of(first)
        books = Books(first)
        books.add_budget(allocated=100)
        assert books.ask("event", amount=7).status == "OK"
        drop_tenant(first)

        second = make_tenant(NEW)

        assert oid_of(second) == oid
        assert second.schema_name != first.schema_name
        assert rows_of(second) == rows
        with in_tenant(second.tag):
            assert not Budget.objects.exists()
            assert not LedgerEntry.objects.exists()
            assert LedgerHead.objects.get().last_seq == 0
        books = Books(second)
        books.add_budget(allocated=5)
        assert books.ask("reserve", amount=6).status == "BUDGET_EXCEEDED"
        assert audit(second.tag) == []
        drop_tenant(second)

    @pytest.mark.parametrize(
        "statement",
        [
            "GRANT DELETE ON ledger_entry TO watermaster_app",
            "GRANT UPDATE (amount) ON ledger_entry TO watermaster_app",
            "CREATE TABLE more (n int)",
            "DROP TABLE run_template",
            "ALTER TABLE budget ADD COLUMN more int",
            "ALTER TABLE budget ALTER COLUMN spent SET DEFAULT 1",
            "ALTER TABLE budget SET (fillfactor = 50)",
            "ALTER TABLE budget ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE budget ADD CONSTRAINT more CHECK (spent < 9)",
            "CREATE INDEX more ON budget (spent)",
            "ALTER FUNCTION door_v1(text, jsonb) STABLE",
            "CREATE SEQUENCE more",
            "DELETE FROM django_migrations WHERE app = 'budgets' AND name LIKE '0001%'",
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON SCHEMA %I TO watermaster_app', current_schema()); END $$",
        ],
        ids=lambda statement: " ".join(statement.split()[:4]),
    )
    def test_of_another_shape_is_dropped(self, statement: str) -> None:
        first = make_tenant(NEW)
        oid = oid_of(first)
        as_owner(first.tag, statement)
        drop_tenant(first)

        second = make_tenant(NEW)

        assert oid_of(second) != oid
        drop_tenant(second)

    @pytest.mark.parametrize("again", [1, 3])
    def test_is_one_for_as_many_as_come_one_after_the_other(self, again: int) -> None:
        drop_tenant(make_tenant(NEW))
        oids = set()
        for _ in range(again):
            tenant = make_tenant(NEW)
            oids.add(oid_of(tenant))
            drop_tenant(tenant)

        assert len(oids) == 1

    def test_is_not_what_was_dropped_by_hand(self) -> None:
        first = make_tenant(NEW)
        as_owner(first.tag, f'DROP SCHEMA "{first.schema_name}" CASCADE')
        drop_tenant(first)

        second = make_tenant(NEW)

        assert rows_of(second)["ledger_head"] == 1
        drop_tenant(second)
